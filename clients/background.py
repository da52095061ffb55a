"""The thread behind a synchronous client: one event loop that owns its connections.

One thread for each client, not one for all: a callback that blocks holds up its own client only.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from clients.errors import ClientClosed

T = TypeVar("T")


class BackgroundLoop:
    """Started at once, a daemon: a program that forgets to close its client ends all the same."""

    def __init__(self, name: str) -> None:
        import uvloop

        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float | None = None) -> T:
        """Run `work` on the loop and wait for what it gives. Not from the loop's own thread: callbacks may not wait."""
        if threading.current_thread() is self.thread:
            work.close()
            raise RuntimeError("a callback of a client must not wait for that client")
        if not self.thread.is_alive() or self.loop.is_closed():
            work.close()
            raise ClientClosed("the client is closed")
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result(timeout_s)
        except BaseException:
            future.cancel()  # a Ctrl-C must not leave the work running unseen
            raise

    def soon(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Run a callback on the loop; forgotten when the loop has ended."""
        try:
            self.loop.call_soon_threadsafe(work, *arguments)
        except RuntimeError:
            pass

    def close(self) -> None:
        """Idempotent; ends what still runs on the loop."""
        if self.thread.is_alive():
            self.soon(self.loop.stop)
            if threading.current_thread() is not self.thread:
                self.thread.join(5.0)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            tasks = asyncio.all_tasks(self.loop)
            for task in tasks:
                task.cancel()
            if tasks:
                self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
            self.loop.close()
