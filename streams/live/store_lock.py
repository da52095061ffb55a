"""The lock between an app's thread, which processes, and others, which look into its stores."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

_STEP_ASIDE_S = 0.0005


class StoreLock:
    """The app's thread takes it with `with`, again and again; others with `asking`.

    Python's locks are not fair: a busy app would have taken it again before anybody who waits has woken up. So it
    calls `let_in` while it doesn't hold it.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._counting = threading.Lock()
        self._waiting = 0

    def __enter__(self) -> StoreLock:
        self._lock.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    @contextmanager
    def asking(self) -> Iterator[None]:
        self._count(1)
        with self._lock:
            self._count(-1)
            yield

    def let_in(self) -> None:
        """Step aside for those who wait."""
        if self._waiting:
            time.sleep(_STEP_ASIDE_S)

    def _count(self, change: int) -> None:
        with self._counting:
            self._waiting += change
