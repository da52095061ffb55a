"""Record batches, format v2 (magic 2): what the broker reads, checks, patches and, rarely, opens.

The hot path touches only the 61-byte header. Offsets and leader epoch lie outside the CRC, so that a leader can
assign them in place; everything from the attributes on is covered by it. Layout, big-endian:

    base_offset 8 | batch_length 4 | leader_epoch 4 | magic 1 | crc 4 | attributes 2 | last_offset_delta 4
    | base_timestamp 8 | max_timestamp 8 | producer_id 8 | producer_epoch 2 | base_sequence 4 | record_count 4 | records

`batch_length` counts what follows it. Single records go through aiokafka's compiled codec, imported on first use
because most brokers never open a batch.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from crc32c import crc32c

from model.errors import CorruptMessage

Buffer = bytes | bytearray | memoryview

HEADER = struct.Struct(">qiibIhiqqqhii")
HEADER_SIZE = HEADER.size  # 61
LENGTH_PREFIX = 12  # base_offset + batch_length: what `batch_length` does not count
CRC_POSITION = 17
ATTRIBUTES_POSITION = 21
MAGIC = 2

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
CODEC_MASK = 0x07
TIMESTAMP_TYPE_BIT = 0x08
TRANSACTIONAL_BIT = 0x10
CONTROL_BIT = 0x20
MAX_SEQUENCE = 0x7FFFFFFF

_unpack_header = HEADER.unpack_from
_OFFSET = struct.Struct(">q")
_EPOCH = struct.Struct(">i")
_CRC = struct.Struct(">I")
_ATTRIBUTES = struct.Struct(">h")
_NO_BATCH_LIMIT = 0x7FFFFFFF  # the builder refuses records beyond its limit; ours is enforced elsewhere


class BatchHeader(NamedTuple):
    """The header of one batch that starts at `position` of some buffer."""

    position: int
    base_offset: int
    batch_length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    base_timestamp: int
    max_timestamp: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    record_count: int

    @property
    def size(self) -> int:
        """Bytes of the whole batch, header and all."""
        return self.batch_length + LENGTH_PREFIX

    @property
    def last_offset(self) -> int:
        return self.base_offset + self.last_offset_delta

    @property
    def next_offset(self) -> int:
        return self.base_offset + self.last_offset_delta + 1

    @property
    def last_sequence(self) -> int:
        """The sequence of the last record; sequences wrap to 0 after 2^31-1. -1 without a producer."""
        if self.base_sequence < 0:
            return -1
        return (self.base_sequence + self.last_offset_delta) & MAX_SEQUENCE

    @property
    def codec(self) -> str:
        """'none', 'gzip', 'snappy', 'lz4' or 'zstd'. Raises CorruptMessage for an id that has no name."""
        number = self.attributes & CODEC_MASK
        if number >= len(CODECS):
            raise CorruptMessage(f"unknown compression codec {number}")
        return CODECS[number]

    @property
    def is_transactional(self) -> bool:
        return bool(self.attributes & TRANSACTIONAL_BIT)

    @property
    def is_control(self) -> bool:
        return bool(self.attributes & CONTROL_BIT)

    @property
    def timestamp_type(self) -> str:
        return "LogAppendTime" if self.attributes & TIMESTAMP_TYPE_BIT else "CreateTime"


class Record(NamedTuple):
    """One record. When encoding, offset -1 means "the next one in this batch"."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()


def parse_header(buffer: Buffer, position: int = 0) -> BatchHeader:
    """The header at `position`. Raises CorruptMessage when fewer than 61 bytes are left; checks nothing else."""
    try:
        return BatchHeader(position, *_unpack_header(buffer, position))
    except struct.error:
        raise CorruptMessage(f"a batch header is cut short at byte {position} of {len(buffer)}") from None


def is_transactional(buffer: Buffer) -> bool:
    """Whether the first batch says so; False too for what is too short to be one."""
    return len(buffer) > ATTRIBUTES_POSITION + 1 and bool(buffer[ATTRIBUTES_POSITION + 1] & TRANSACTIONAL_BIT)


def iter_batches(buffer: Buffer, position: int = 0) -> Iterator[BatchHeader]:
    """The headers of the batches that fill `buffer` from `position` to its end.

    Raises CorruptMessage at the first one that is cut short, has an impossible length, or is of another format than
    magic 2. Does not check CRCs.
    """
    end = len(buffer)
    while position < end:
        if end - position < HEADER_SIZE:
            raise CorruptMessage(f"a batch header is cut short at byte {position} of {end}")
        header = BatchHeader(position, *_unpack_header(buffer, position))
        if header.magic != MAGIC:
            raise CorruptMessage(f"the batch at byte {position} has magic {header.magic}, only 2 is supported")
        position += header.batch_length + LENGTH_PREFIX
        if header.batch_length < HEADER_SIZE - LENGTH_PREFIX or position > end:
            raise CorruptMessage(f"the batch at byte {header.position} claims {header.batch_length} bytes")
        yield header


def check_crc(buffer: Buffer, header: BatchHeader) -> None:
    """Raises CorruptMessage unless the batch's CRC-32C fits its bytes."""
    start = header.position
    with memoryview(buffer) as view, view[start + ATTRIBUTES_POSITION : start + header.size] as covered:
        if len(covered) != header.size - ATTRIBUTES_POSITION or crc32c(covered) != header.crc:
            raise CorruptMessage(f"the batch of offset {header.base_offset} fails its CRC")


def patch(
    buffer: bytearray | memoryview,
    position: int,
    base_offset: int,
    leader_epoch: int,
    append_time_ms: int | None = None,
) -> None:
    """Give the batch at `position` its place in the log, in place.

    With `append_time_ms` the batch becomes LogAppendTime, which costs a new CRC; without, the CRC stays right.
    """
    _OFFSET.pack_into(buffer, position, base_offset)
    _EPOCH.pack_into(buffer, position + 12, leader_epoch)
    if append_time_ms is not None:
        header = parse_header(buffer, position)
        _ATTRIBUTES.pack_into(buffer, position + ATTRIBUTES_POSITION, header.attributes | TIMESTAMP_TYPE_BIT)
        _OFFSET.pack_into(buffer, position + 35, append_time_ms)
        seal(buffer, position, header.size)


def seal(buffer: bytearray | memoryview, position: int, size: int) -> None:
    """Put the CRC of the `size` bytes of the batch at `position` into its header."""
    with memoryview(buffer) as view, view[position + ATTRIBUTES_POSITION : position + size] as covered:
        checksum = crc32c(covered)
    _CRC.pack_into(buffer, position + CRC_POSITION, checksum)


def encode_batch(
    records: Iterable[Record],
    *,
    base_offset: int = 0,
    leader_epoch: int = -1,
    producer_id: int = -1,
    producer_epoch: int = -1,
    base_sequence: int = -1,
    codec: str = "none",
    transactional: bool = False,
    control: bool = False,
    append_time_ms: int | None = None,
    last_offset_delta: int | None = None,
) -> bytearray:
    """One batch of `records`, whose offsets are absolute (or -1 for "the next") and rise from `base_offset`.

    A batch that compression would make larger is left uncompressed. `last_offset_delta` keeps the end of a batch
    whose last records were compacted away; then `records` may even be empty.
    """
    from aiokafka.record.default_records import DefaultRecordBatchBuilder

    builder = DefaultRecordBatchBuilder(
        magic=MAGIC,
        compression_type=CODECS.index(codec),
        is_transactional=transactional,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        base_sequence=base_sequence,
        batch_size=_NO_BATCH_LIMIT,
    )
    delta = -1
    for offset, timestamp, key, value, headers in records:
        delta = delta + 1 if offset < 0 else offset - base_offset
        builder.append(delta, timestamp, key, value, list(headers))
    if delta < 0 and last_offset_delta is None:
        raise ValueError("a batch needs at least one record")
    batch = bytearray(builder.build())
    _OFFSET.pack_into(batch, 0, base_offset)
    _EPOCH.pack_into(batch, 12, leader_epoch)
    if append_time_ms is not None:
        patch(batch, 0, base_offset, leader_epoch, append_time_ms)
    if control or last_offset_delta is not None:
        attributes = parse_header(batch).attributes | (CONTROL_BIT if control else 0)
        _ATTRIBUTES.pack_into(batch, ATTRIBUTES_POSITION, attributes)
        if last_offset_delta is not None:
            _EPOCH.pack_into(batch, 23, last_offset_delta)
        seal(batch, 0, len(batch))
    return batch


def decode_records(buffer: Buffer, header: BatchHeader) -> list[Record]:
    """Every record of the batch, with absolute offsets.

    Raises CorruptMessage when the records, or their compression, do not decode.
    """
    from aiokafka.record.default_records import DefaultRecordBatch

    header.codec  # refuses a codec id without a name  # noqa: B018
    with memoryview(buffer) as view, view[header.position : header.position + header.size] as whole:
        if len(whole) != header.size:
            raise CorruptMessage(f"the batch of offset {header.base_offset} is cut short")
        try:
            return [
                Record(record.offset, record.timestamp, record.key, record.value, record.headers)
                for record in DefaultRecordBatch(bytes(whole))
            ]
        except Exception as error:  # each codec library has its own error types
            raise CorruptMessage(f"the batch of offset {header.base_offset} does not decode: {error}") from error


def next_offset_of(buffer: Buffer) -> int:
    """The offset after the last whole batch; reads lengths and one header only. -1 for an empty buffer."""
    position, last, end = 0, -1, len(buffer)
    while position + HEADER_SIZE <= end:
        size = _EPOCH.unpack_from(buffer, position + 8)[0] + LENGTH_PREFIX
        if size < HEADER_SIZE or position + size > end:
            break
        last = position
        position += size
    return -1 if last < 0 else parse_header(buffer, last).last_offset + 1
