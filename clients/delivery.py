"""What `send` returns: a record's way from the buffer to its offset."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import Struct

if TYPE_CHECKING:
    from clients.batch import Batch


class RecordMetadata(NamedTuple):
    """Where a record went. `offset` is -1 when the broker did not say (acks=0, or a duplicate of long ago)."""

    topic: str
    partition: int
    offset: int
    timestamp: int


class Delivery(Struct, frozen=True, eq=False, gc=False):
    """A record under way: wait with `result()` in a thread, with `await` on a loop, or not at all.

    Thread-safe. Looking at `result` sends a batch that still lingers. A struct, and none of the garbage collector's
    business, because there may be one for each of a million records; its batch forgets the callbacks when it is done.
    """

    _batch: Batch
    _row: Any  # the codec's word on the record: `offset` within the batch, `timestamp`

    @property
    def topic(self) -> str:
        return self._batch.topic

    @property
    def partition(self) -> int:
        return self._batch.partition

    def done(self) -> bool:
        """Acknowledged or failed."""
        return self._batch.is_done

    def result(self, timeout_s: float | None = None) -> RecordMetadata:
        """Wait for the acknowledgement. Raises what the delivery failed with, or TimeoutError."""
        batch = self._batch
        if not batch.is_done and not batch.wait(timeout_s):
            raise TimeoutError(f"not acknowledged within {timeout_s} s (it may be later)")
        return batch.outcome(self._row.offset, self._row.timestamp)

    def exception(self, timeout_s: float | None = None) -> BaseException | None:
        """What the delivery failed with; None when it worked."""
        try:
            self.result(timeout_s)
        except TimeoutError:
            if not self.done():
                raise
            return self._batch.error
        except Exception as error:
            return error
        return None

    def add_done_callback(self, callback: Callable[[Delivery], Any]) -> None:
        """Called once on the client's loop, or at once when it is done already. Must not block."""
        if not self._batch.call_when_done(lambda: callback(self)):
            callback(self)

    def __await__(self) -> Generator[Any, None, RecordMetadata]:
        if not self._batch.is_done:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[None] = loop.create_future()

            def tell() -> None:
                loop.call_soon_threadsafe(wake)

            def wake() -> None:
                if not future.done():
                    future.set_result(None)

            if self._batch.call_when_done(tell):
                self._batch.hurry()
                yield from future.__await__()
        return self._batch.outcome(self._row.offset, self._row.timestamp)

    def __repr__(self) -> str:
        state = "under way" if not self.done() else "failed" if self._batch.error is not None else "delivered"
        return f"<Delivery to {self.topic}-{self.partition}, {state}>"
