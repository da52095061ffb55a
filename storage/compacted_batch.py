"""A batch after compaction: fewer records or none, perhaps with a delete horizon, its offsets and sequences unchanged.

A batch keeps its first and last offset and its base sequence whatever is taken out, so that the log has no doubt where
it ends and producers none about what they wrote.

The delete horizon is the time from which tombstones and markers in the batch may go (KIP-534). The first cleaning that
meets them sets it: it sits in the base timestamp, with attribute bit 6 to say so. Record timestamps are relative to the
base timestamp, so setting it means encoding the records anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crc32c import crc32c

from protocol.records import (
    ATTRIBUTES_POSITION,
    CODEC_MASK,
    HEADER,
    HEADER_SIZE,
    LENGTH_PREFIX,
    MAGIC,
    TIMESTAMP_TYPE_BIT,
    BatchHeader,
    Record,
)

DELETE_HORIZON_BIT = 0x40
_ANCHOR_SIZE = 7  # length, attributes, timestamp and offset delta, no key, no value, no headers: a byte each
_NO_BATCH_LIMIT = 0x7FFFFFFF


def delete_horizon_ms(header: BatchHeader) -> int | None:
    """From when on the batch's tombstones or marker may go; None when no cleaning has met them yet."""
    return header.base_timestamp if header.attributes & DELETE_HORIZON_BIT else None


def with_records(header: BatchHeader, records: Sequence[Record], horizon_ms: int | None) -> bytes:
    """The batch of `header` with these of its records, in order, compressed as it was, and this delete horizon."""
    body = _encode(header, records, horizon_ms)
    attributes = header.attributes & ~(CODEC_MASK | DELETE_HORIZON_BIT)
    if horizon_ms is not None:
        attributes |= DELETE_HORIZON_BIT
    codec = header.attributes & CODEC_MASK
    if codec:
        compressed = _compressor(codec)(body)
        if len(compressed) < len(body):
            body, attributes = compressed, attributes | codec
    return _seal(
        header._replace(
            attributes=attributes,
            base_timestamp=records[0].timestamp if horizon_ms is None else horizon_ms,
            max_timestamp=_max_timestamp(header, records),
            record_count=len(records),
        ),
        body,
    )


def without_records(header: BatchHeader) -> bytes:
    """Only the header, which is what the producer's state needs."""
    attributes = header.attributes & ~(CODEC_MASK | DELETE_HORIZON_BIT)
    return _seal(header._replace(attributes=attributes, base_timestamp=header.max_timestamp, record_count=0), b"")


def _max_timestamp(header: BatchHeader, records: Sequence[Record]) -> int:
    if header.attributes & TIMESTAMP_TYPE_BIT:
        return header.max_timestamp
    return max(record.timestamp for record in records)


def _encode(header: BatchHeader, records: Sequence[Record], horizon_ms: int | None) -> bytes:
    """The records' bytes, uncompressed.

    The builder counts timestamps from its first record; an empty one at the horizon makes it count from there, and is
    cut off again.
    """
    from aiokafka.record.default_records import DefaultRecordBatchBuilder

    builder = DefaultRecordBatchBuilder(
        magic=MAGIC,
        compression_type=0,
        is_transactional=False,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=_NO_BATCH_LIMIT,
    )
    if horizon_ms is not None:
        builder.append(0, horizon_ms, None, None, [])
    base_offset, append = header.base_offset, builder.append
    for offset, timestamp, key, value, headers in records:
        append(offset - base_offset, timestamp, key, value, headers)
    return bytes(builder.build()[HEADER_SIZE + (_ANCHOR_SIZE if horizon_ms is not None else 0) :])


def _compressor(codec: int) -> Callable[[bytes], bytes]:
    from aiokafka import codec as codecs

    by_id: dict[int, Callable[[bytes], bytes]] = {
        1: codecs.gzip_encode,
        2: codecs.snappy_encode,
        3: codecs.lz4_encode,
        4: codecs.zstd_encode,
    }
    return by_id[codec]


def _seal(header: BatchHeader, body: bytes) -> bytes:
    fields = header._replace(batch_length=HEADER_SIZE - LENGTH_PREFIX + len(body))[1:]
    head = HEADER.pack(*fields)
    checksum = crc32c(body, crc32c(head[ATTRIBUTES_POSITION:]))
    return HEADER.pack(*fields[:4], checksum, *fields[5:]) + body
