"""Where the latest batches of a segment start, so that a fetch at the tail is one exact pread.

Kept for the active segment only, about the last thousand batches, and only while offsets have no holes.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right

_KEPT_AT_LEAST = 1024


class BatchPositions:
    """Two parallel rising columns: base offset and byte position of each batch."""

    __slots__ = ("_next_offset", "_offsets", "_positions")

    def __init__(self) -> None:
        self._offsets = array("q")
        self._positions = array("q")
        self._next_offset = -1

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, base_offset: int, next_offset: int, position: int) -> None:
        """The batch just written at `position`. A hole in the offsets starts the memory anew."""
        offsets = self._offsets
        if base_offset != self._next_offset:
            self.clear()
        elif len(offsets) >= 2 * _KEPT_AT_LEAST:
            del offsets[:_KEPT_AT_LEAST], self._positions[:_KEPT_AT_LEAST]
        offsets.append(base_offset)
        self._positions.append(position)
        self._next_offset = next_offset

    def clear(self) -> None:
        del self._offsets[:], self._positions[:]
        self._next_offset = -1

    def extent(self, offset: int, max_bytes: int, up_to: int, size: int) -> tuple[int, int] | None:
        """First byte and end of the whole batches to return for a fetch at `offset`; None when too old to know.

        `size` is where the last batch ends. At least one batch, even when larger than `max_bytes`.
        """
        offsets, positions = self._offsets, self._positions
        if not offsets or offset < offsets[0] or offset >= self._next_offset:
            return None
        first = bisect_right(offsets, offset) - 1
        start = positions[first]
        following = bisect_left(offsets, up_to, lo=first)
        end = positions[following] if following < len(positions) else size
        if end - start > max_bytes:
            fits = bisect_right(positions, start + max_bytes, lo=first) - 1
            end = positions[max(fits, first + 1)] if first + 1 < len(positions) else size
        return start, end
