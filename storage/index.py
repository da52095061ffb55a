"""The two sparse indexes beside each segment: offset → byte position, and timestamp → offset.

Kafka's formats, big-endian: `.index` holds rows of (relative offset 4, position 4), `.timeindex` rows of (timestamp 8,
relative offset 4); both rise. An offset row names the *last* offset of the batch that starts at its position.

The index of the active segment lives in memory and is written behind the log, a few rows at a time; one that is behind
only makes recovery and lookups scan further. Those of older segments are loaded when a lookup needs them.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_left, bisect_right
from operator import lt
from typing import NamedTuple

from storage.disk import Disk

OFFSET_ROW = struct.Struct(">II")
TIME_ROW = struct.Struct(">qI")


class OffsetPosition(NamedTuple):
    offset: int
    position: int


class TimestampOffset(NamedTuple):
    timestamp: int
    offset: int


class _IndexFile:
    """What the two have in common: rows that the file gets later, and a sync that is owed to it."""

    __slots__ = ("_disk", "_is_unsynced", "_on_disk", "base_offset", "path")

    def __init__(self, path: str, base_offset: int, disk: Disk, is_new: bool) -> None:
        self.path = path
        self.base_offset = base_offset
        self._disk = disk
        self._on_disk = 0  # rows that the file holds
        self._is_unsynced = not is_new  # whoever wrote it before us may have died before the sync

    def take_unsynced(self) -> list[str]:
        """The file, if it has changed since and the caller now syncs it."""
        if not self._is_unsynced:
            return []
        self._is_unsynced = False
        return [self.path]

    def _put(self, rows: bytes, row_size: int) -> None:
        self._disk.write(self.path, rows, self._on_disk * row_size)
        self._is_unsynced = True

    def _cut(self, keep: int, row_size: int) -> None:
        if keep < self._on_disk:
            self._disk.truncate(self.path, keep * row_size)
            self._on_disk, self._is_unsynced = keep, True


class OffsetIndex(_IndexFile):
    """`.index` of the segment that starts at `base_offset`."""

    __slots__ = ("_offsets", "_positions")

    def __init__(self, path: str, base_offset: int, disk: Disk, *, is_new: bool = False) -> None:
        super().__init__(path, base_offset, disk, is_new)
        self._offsets: array[int] | None = array("I") if is_new else None
        self._positions = array("I")

    def _load(self) -> array[int]:
        if self._offsets is None:
            content = self._disk.read_all(self.path) if self._disk.exists(self.path) else b""
            numbers = array("I", content[: len(content) - len(content) % OFFSET_ROW.size])
            if sys.byteorder == "little":
                numbers.byteswap()
            self._offsets, self._positions = numbers[0::2], numbers[1::2]
            self._drop_unsorted_tail()
            self._on_disk = len(self._offsets)
        return self._offsets

    def _drop_unsorted_tail(self) -> None:
        """Zero rows (a preallocated file after an unclean stop) and anything else that does not rise."""
        assert self._offsets is not None
        offsets, positions = self._offsets, self._positions
        if all(map(lt, offsets, offsets[1:])) and all(map(lt, positions, positions[1:])):
            return
        for row in range(1, len(offsets)):
            if offsets[row] <= offsets[row - 1] or positions[row] <= positions[row - 1]:
                del offsets[row:], positions[row:]
                return

    def __len__(self) -> int:
        return len(self._load())

    @property
    def unwritten_rows(self) -> int:
        return len(self._load()) - self._on_disk

    def size_bytes(self) -> int:
        return len(self._load()) * OFFSET_ROW.size

    def append(self, offset: int, position: int) -> None:
        offsets = self._load()
        offsets.append(offset - self.base_offset)
        self._positions.append(position)

    def floor(self, offset: int) -> OffsetPosition:
        """The last row at or below `offset`; position 0 when there is none."""
        row = bisect_right(self._load(), offset - self.base_offset) - 1 if offset >= self.base_offset else -1
        return self._row(row)

    def last(self) -> OffsetPosition:
        return self._row(len(self._load()) - 1)

    def _row(self, row: int) -> OffsetPosition:
        if row < 0:
            return OffsetPosition(self.base_offset, 0)
        assert self._offsets is not None
        return OffsetPosition(self.base_offset + self._offsets[row], self._positions[row])

    def truncate_to_position(self, position: int) -> None:
        """Forget rows at or above `position`."""
        offsets = self._load()
        keep = bisect_left(self._positions, position)
        del offsets[keep:], self._positions[keep:]
        self._cut(keep, OFFSET_ROW.size)

    def write(self) -> None:
        """Write the rows that are in memory only (not durable before a sync)."""
        if self._offsets is None or len(self._offsets) == self._on_disk:
            return
        rows = array("I", bytes((len(self._offsets) - self._on_disk) * OFFSET_ROW.size))
        rows[0::2], rows[1::2] = self._offsets[self._on_disk :], self._positions[self._on_disk :]
        if sys.byteorder == "little":
            rows.byteswap()
        self._put(rows.tobytes(), OFFSET_ROW.size)
        self._on_disk = len(self._offsets)

    def unload(self) -> None:
        """Write what is missing on disk and give the memory back."""
        self.write()
        self._offsets = None
        self._positions = array("I")


class TimeIndex(_IndexFile):
    """`.timeindex` of the segment that starts at `base_offset`.

    A row (timestamp, offset) says: no batch up to `offset` has a larger timestamp.
    """

    __slots__ = ("_offsets", "_timestamps")

    def __init__(self, path: str, base_offset: int, disk: Disk, *, is_new: bool = False) -> None:
        super().__init__(path, base_offset, disk, is_new)
        self._timestamps: array[int] | None = array("q") if is_new else None
        self._offsets = array("I")

    def _load(self) -> array[int]:
        if self._timestamps is None:
            self._timestamps, self._offsets = array("q"), array("I")
            content = self._disk.read_all(self.path) if self._disk.exists(self.path) else b""
            last_timestamp = -1
            for timestamp, offset in TIME_ROW.iter_unpack(content[: len(content) - len(content) % TIME_ROW.size]):
                if timestamp <= last_timestamp or (self._offsets and offset <= self._offsets[-1]):
                    break  # zeroes of a preallocated file, or damage: the rest is worthless
                self._timestamps.append(timestamp)
                self._offsets.append(offset)
                last_timestamp = timestamp
            self._on_disk = len(self._timestamps)
        return self._timestamps

    def __len__(self) -> int:
        return len(self._load())

    def size_bytes(self) -> int:
        return len(self._load()) * TIME_ROW.size

    def maybe_append(self, timestamp: int, offset: int) -> None:
        """Add a row if its timestamp is news."""
        timestamps = self._load()
        if timestamp < 0 or (timestamps and timestamp <= timestamps[-1]):
            return
        timestamps.append(timestamp)
        self._offsets.append(offset - self.base_offset)

    def floor(self, timestamp: int) -> TimestampOffset:
        """The last row strictly before `timestamp`: whoever looks for `timestamp` may start at its offset."""
        row = bisect_left(self._load(), timestamp) - 1
        return self._row(row)

    def last(self) -> TimestampOffset:
        return self._row(len(self._load()) - 1)

    def _row(self, row: int) -> TimestampOffset:
        if row < 0:
            return TimestampOffset(-1, self.base_offset)
        assert self._timestamps is not None
        return TimestampOffset(self._timestamps[row], self.base_offset + self._offsets[row])

    def truncate_to_offset(self, offset: int) -> None:
        """Forget rows at or above `offset`."""
        timestamps = self._load()
        keep = bisect_left(self._offsets, max(0, offset - self.base_offset))
        del timestamps[keep:], self._offsets[keep:]
        self._cut(keep, TIME_ROW.size)

    def write(self) -> None:
        """Write the rows that are in memory only (not durable before a sync)."""
        if self._timestamps is None or len(self._timestamps) == self._on_disk:
            return
        start = self._on_disk
        rows = b"".join(map(TIME_ROW.pack, self._timestamps[start:], self._offsets[start:]))
        self._put(rows, TIME_ROW.size)
        self._on_disk = len(self._timestamps)

    def unload(self) -> None:
        """Write what is missing on disk and give the memory back."""
        self.write()
        self._timestamps = None
        self._offsets = array("I")
