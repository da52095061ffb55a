"""What a transaction coordinator begins with: its partition of `__transaction_state`, read slice by slice.

It may be acted on once all of it is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from actors.replica import Replica
from actors.transaction_log import decode
from protocol.internal_topics import TransactionLogValue
from protocol.records import next_offset_of

SLICE_BYTES = 256 << 10


class TransactionReplay:
    """Of what the log holds now. `go_on()` is called, maybe more than once, when there is more to be done."""

    def __init__(self, replica: Replica, go_on: Callable[[], None]) -> None:
        self._replica = replica
        self._go_on = go_on
        self._from, self._end = replica.log.log_start_offset, replica.log.log_end_offset

    @property
    def is_read(self) -> bool:
        """There are no more slices."""
        return self._from >= self._end

    def next_slice(self) -> Iterator[tuple[str, TransactionLogValue | None]]:
        """Transactional ids and what becomes of them; None: it is forgotten."""
        log = self._replica.log
        data = log.read(max(self._from, log.log_start_offset), SLICE_BYTES, up_to=self._end)
        self._from = next_offset_of(data) if len(data) else self._end
        return decode(data)

    def is_committed(self) -> bool:
        """Whether nothing that was read can be lost any more; if not, `go_on` is called when it is so."""
        if self._replica.high_watermark >= self._end:
            return True
        self._replica.waiters.add(self._on_high_watermark)
        return False

    def _on_high_watermark(self) -> None:
        if self._replica.high_watermark >= self._end:
            self.end()
            self._go_on()

    def end(self) -> None:
        """Wait for nothing."""
        self._replica.waiters.discard(self._on_high_watermark)
