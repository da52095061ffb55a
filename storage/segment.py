"""One segment: a `.log` of batches from `base_offset` on, with its indexes. Knows bytes and offsets, no policy."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from crc32c import crc32c

from model.errors import StorageFailure
from protocol.records import ATTRIBUTES_POSITION, HEADER, HEADER_SIZE, LENGTH_PREFIX, MAGIC, BatchHeader, Buffer
from storage.batch_positions import BatchPositions
from storage.disk import Disk
from storage.index import OffsetIndex, TimeIndex
from storage.txn_index import TxnIndex

LOG_SUFFIX, INDEX_SUFFIX, TIME_INDEX_SUFFIX, TXN_INDEX_SUFFIX = ".log", ".index", ".timeindex", ".txnindex"
_UNKNOWN = -2
_LOOK_AHEAD = 64 * 1024
_RECOVERY_CHUNK = 4 * 1024 * 1024
_HINTS_KEPT = 16
_ROWS_KEPT_BACK = 32
_BASE_AND_LENGTH = struct.Struct(">qi")
_unpack_header = HEADER.unpack_from


class Segment:
    """`size` is the length of its `.log`; the files are made by the first write."""

    __slots__ = (
        "_disk", "_first_timestamp", "_hints", "_max_timestamp", "_offset_of_max_timestamp", "base_offset",
        "bytes_since_index_row", "log_path", "offset_index", "positions", "size", "time_index", "txn_index",
    )  # fmt: skip

    def __init__(self, directory: Path, base_offset: int, disk: Disk, *, size: int = 0, is_new: bool = False) -> None:
        stem = f"{directory}/{base_offset:020d}"
        self._disk = disk
        self.base_offset = base_offset
        self.size = size
        self.log_path = stem + LOG_SUFFIX
        self.offset_index = OffsetIndex(stem + INDEX_SUFFIX, base_offset, disk, is_new=is_new)
        self.time_index = TimeIndex(stem + TIME_INDEX_SUFFIX, base_offset, disk, is_new=is_new)
        self.txn_index = TxnIndex(Path(stem + TXN_INDEX_SUFFIX), disk)
        self.positions = BatchPositions()
        self.bytes_since_index_row = 0
        self._first_timestamp = _UNKNOWN
        self._max_timestamp = -1 if is_new else _UNKNOWN
        self._offset_of_max_timestamp = base_offset
        self._hints: dict[int, int] = {}  # offset after a read → where it starts, for consumers that read on

    # --- Writing ------------------------------------------------------------------------------------------------------

    def append(self, buffer: Buffer, headers: Sequence[BatchHeader], index_interval_bytes: int) -> None:
        """Write `buffer`, which `headers` describe (offsets assigned), at the end with one write.

        Raises StorageFailure; then the file may have grown by a torn batch, `size` has not.
        """
        start = self.size
        self._disk.write(self.log_path, buffer, start)
        self.size = start + len(buffer)
        for header in headers:
            position = start + header.position
            self.take_in(header, position, index_interval_bytes)
            self.positions.add(header.base_offset, header.next_offset, position)

    def take_in(self, header: BatchHeader, position: int, index_interval_bytes: int) -> None:
        """Index the batch that stands at `position`, the last one so far."""
        if position == 0:
            self._first_timestamp = header.max_timestamp
        if header.max_timestamp > self.max_timestamp:
            self._max_timestamp, self._offset_of_max_timestamp = header.max_timestamp, header.last_offset
        if self.bytes_since_index_row > index_interval_bytes:
            self.offset_index.append(header.last_offset, position)
            self.time_index.maybe_append(self._max_timestamp, self._offset_of_max_timestamp)
            self.bytes_since_index_row = 0
            if self.offset_index.unwritten_rows >= _ROWS_KEPT_BACK:
                self.write_indexes()
        self.bytes_since_index_row += header.size

    def forget_end(self) -> None:
        """Recovery starts: nothing is known past the last rows of the indexes."""
        row = self.time_index.last()
        self._max_timestamp, self._offset_of_max_timestamp = row.timestamp, row.offset
        self.bytes_since_index_row = 0

    def create(self) -> None:
        """Make the empty `.log`, so that its name tells the next start where the log goes on."""
        self._disk.write(self.log_path, b"", 0)

    def seal(self) -> None:
        """The log has rolled: note the largest timestamp, write the indexes out, give memory back."""
        if self.size:
            self.time_index.maybe_append(self.max_timestamp, self._offset_of_max_timestamp)
        self.time_index.unload()
        self.offset_index.unload()
        self.positions.clear()

    def write_indexes(self) -> None:
        """Time rows first: recovery takes the last time row for the maximum up to the last offset row."""
        self.time_index.write()
        self.offset_index.write()

    def sync(self) -> None:
        self._disk.sync(self.log_path)

    def truncate(self, position: int, offset: int) -> None:
        """Cut the file at `position`, where the batch stood whose first offset is `offset` or above."""
        self._disk.truncate(self.log_path, position)
        self.size = position
        self.offset_index.truncate_to_position(position)
        self.time_index.truncate_to_offset(offset)
        self.txn_index.truncate_to(offset)
        self.positions.clear()
        self._hints.clear()
        self.bytes_since_index_row = 0
        self._max_timestamp = _UNKNOWN
        if position == 0:
            self._first_timestamp = _UNKNOWN

    def delete(self) -> None:
        for path in (self.log_path, self.offset_index.path, self.time_index.path):
            self._disk.remove(path)
        self.txn_index.delete()

    def close(self) -> None:
        for path in (self.log_path, self.offset_index.path, self.time_index.path):
            self._disk.close(path)

    # --- Timestamps ---------------------------------------------------------------------------------------------------

    @property
    def first_timestamp(self) -> int:
        """Largest timestamp of the first batch: what rolling by time counts from. -1 when empty or without one."""
        if self._first_timestamp == _UNKNOWN:
            if not self.size:
                return -1
            self._first_timestamp = next(self.headers()).max_timestamp
        return self._first_timestamp

    @property
    def max_timestamp(self) -> int:
        """-1 when the segment is empty or its batches have none."""
        if self._max_timestamp == _UNKNOWN:
            self._find_max_timestamp()
        return self._max_timestamp

    @property
    def offset_of_max_timestamp(self) -> int:
        """Last offset of the first batch with the largest timestamp."""
        return self._offset_of_max_timestamp if self.max_timestamp >= 0 else -1

    def _find_max_timestamp(self) -> None:
        """From the last row of the time index, and the batches after the last row of the offset index."""
        row = self.time_index.last()
        maximum, its_offset = row.timestamp, row.offset
        for header in self.headers(self.offset_index.last().position):
            if header.max_timestamp > maximum:
                maximum, its_offset = header.max_timestamp, header.last_offset
        self._max_timestamp, self._offset_of_max_timestamp = maximum, its_offset

    # --- Reading ------------------------------------------------------------------------------------------------------

    def headers(self, position: int = 0) -> Iterator[BatchHeader]:
        """The headers from `position` on, which stand at `header.position` of the file. Checks no CRC.

        Raises StorageFailure for a file that isn't made of batches.
        """
        chunk, chunk_start, look_ahead = b"", position, _LOOK_AHEAD
        while position < self.size:
            at = position - chunk_start
            if at + HEADER_SIZE > len(chunk):
                chunk, chunk_start, at = self._disk.read(self.log_path, look_ahead, position), position, 0
                if len(chunk) < HEADER_SIZE:
                    raise StorageFailure(f"{self.log_path} ends amid a batch header at byte {position}")
            header = BatchHeader(position, *_unpack_header(chunk, at))
            if header.batch_length < HEADER_SIZE - LENGTH_PREFIX:
                raise StorageFailure(f"{self.log_path} is damaged at byte {position}")
            yield header
            position += header.batch_length + LENGTH_PREFIX
            look_ahead = _LOOK_AHEAD if header.batch_length < _LOOK_AHEAD // 4 else HEADER_SIZE

    def sound_batches(self, position: int = 0) -> Iterator[BatchHeader]:
        """As `headers`, but reads and checks each batch and stops at the first that is torn or damaged."""
        view, view_start = memoryview(b""), position
        while position + HEADER_SIZE <= self.size:
            at = position - view_start
            if at + HEADER_SIZE > len(view):
                view, view_start, at = (
                    memoryview(self._disk.read(self.log_path, _RECOVERY_CHUNK, position)),
                    position,
                    0,
                )
            header = BatchHeader(position, *_unpack_header(view, at))
            size = header.batch_length + LENGTH_PREFIX
            if header.magic != MAGIC or size < HEADER_SIZE or position + size > self.size:
                return
            if at + size > len(view):
                length = max(_RECOVERY_CHUNK, size)
                view, view_start, at = memoryview(self._disk.read(self.log_path, length, position)), position, 0
            if crc32c(view[at + ATTRIBUTES_POSITION : at + size]) != header.crc:
                return
            yield header
            position += size

    def batch(self, header: BatchHeader) -> bytes:
        """The whole batch; put `header._replace(position=0)` beside it."""
        return self._disk.read(self.log_path, header.size, header.position)

    def find(self, offset: int) -> BatchHeader | None:
        """The first batch that ends at or above `offset`; None when all end below."""
        for header in self.headers(self.offset_index.floor(offset).position):
            if header.last_offset >= offset:
                return header
        return None

    def read(self, offset: int, max_bytes: int, up_to: int, *, at_least_one: bool) -> bytes | memoryview:
        """Whole batches from the one that holds `offset`; empty when there is none below `up_to` in this segment."""
        extent = self.positions.extent(offset, max_bytes, up_to, self.size)
        if extent is None:
            return self._read_and_search(offset, max_bytes, up_to, at_least_one=at_least_one)
        start, end = extent
        if end - start > max_bytes and not at_least_one:
            return b""
        return self._disk.read(self.log_path, end - start, start)

    def _read_and_search(self, offset: int, max_bytes: int, up_to: int, *, at_least_one: bool) -> bytes | memoryview:
        start = self._hints.get(offset, -1)
        if start < 0:
            found = self.find(offset)
            if found is None:
                return b""
            start = found.position
        chunk = self._disk.read(self.log_path, max(max_bytes, HEADER_SIZE), start)
        end, last = 0, -1
        unpack, length = _BASE_AND_LENGTH.unpack_from, len(chunk)
        while end + HEADER_SIZE <= length:
            base_offset, batch_length = unpack(chunk, end)
            following = end + batch_length + LENGTH_PREFIX
            if base_offset >= up_to or following > max_bytes or following <= end:
                break
            last, end = end, following
        if last < 0:
            return self._read_one(start, up_to) if at_least_one else b""
        self._remember(BatchHeader(last, *_unpack_header(chunk, last)).next_offset, start + end)
        return chunk if end == length else memoryview(chunk)[:end]

    def _read_one(self, start: int, up_to: int) -> bytes:
        """The batch at `start`, however large."""
        header = next(self.headers(start), None)
        if header is None or header.base_offset >= up_to:
            return b""
        self._remember(header.next_offset, start + header.size)
        return self.batch(header)

    def _remember(self, next_offset: int, position: int) -> None:
        if position < self.size:
            if len(self._hints) >= _HINTS_KEPT:
                del self._hints[next(iter(self._hints))]
            self._hints[next_offset] = position

    def __repr__(self) -> str:
        return f"Segment({self.log_path}, {self.size} bytes)"
