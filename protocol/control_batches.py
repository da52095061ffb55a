"""Control batches: the markers that end a producer's transaction. `records.py` has the batches that carry data."""

from __future__ import annotations

import struct
from typing import NamedTuple

from model.errors import CorruptMessage
from protocol.records import (
    CONTROL_BIT,
    HEADER,
    HEADER_SIZE,
    LENGTH_PREFIX,
    MAGIC,
    TRANSACTIONAL_BIT,
    BatchHeader,
    Buffer,
    decode_records,
    seal,
)

_CONTROL_KEY = struct.Struct(">hh")
_END_TXN_VALUE = struct.Struct(">hi")


class EndTxnMarker(NamedTuple):
    """What a control batch says about a producer's transaction."""

    is_commit: bool
    coordinator_epoch: int


def control_batch(
    *,
    is_commit: bool,
    producer_id: int,
    producer_epoch: int,
    coordinator_epoch: int,
    timestamp: int,
    base_offset: int = 0,
    leader_epoch: int = -1,
) -> bytearray:
    """The marker that ends a producer's transaction (WriteTxnMarkers)."""
    key, value = _CONTROL_KEY.pack(0, int(is_commit)), _END_TXN_VALUE.pack(0, coordinator_epoch)
    record = b"\x20\0\0\0\x08" + key + b"\x0c" + value + b"\0"  # lengths as zigzag varints; no deltas, no headers
    header = HEADER.pack(
        base_offset,
        HEADER_SIZE - LENGTH_PREFIX + len(record),
        leader_epoch,
        MAGIC,
        0,
        TRANSACTIONAL_BIT | CONTROL_BIT,
        0,
        timestamp,
        timestamp,
        producer_id,
        producer_epoch,
        -1,
        1,
    )
    batch = bytearray(header + record)
    seal(batch, 0, len(batch))
    return batch


def end_txn_marker(buffer: Buffer, header: BatchHeader) -> EndTxnMarker | None:
    """What the control batch decides, or None for another kind than commit or abort, or without a record."""
    records = decode_records(buffer, header)
    if not records:
        return None
    record = records[0]
    if record.key is None or len(record.key) < _CONTROL_KEY.size:
        raise CorruptMessage(f"the control batch of offset {header.base_offset} has no readable key")
    kind = _CONTROL_KEY.unpack_from(record.key)[1]
    if kind not in (0, 1):
        return None
    if record.value is None or len(record.value) < _END_TXN_VALUE.size:
        raise CorruptMessage(f"the control batch of offset {header.base_offset} has no readable value")
    return EndTxnMarker(kind == 1, _END_TXN_VALUE.unpack_from(record.value)[1])
