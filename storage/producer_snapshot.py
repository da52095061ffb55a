"""The bytes of a `.snapshot` file: Kafka's ProducerSnapshot, schema version 1.

    version 2 | crc 4 | count 4 | rows of 46 bytes

The CRC-32C covers everything after itself. The file is named after the offset up to which the log had been taken in.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from crc32c import crc32c

from model.errors import CorruptMessage

VERSION = 1
_HEAD = struct.Struct(">hI")
_COUNT = struct.Struct(">i")
_ROW = struct.Struct(">qhiqiqiq")


class SnapshotRow(NamedTuple):
    """One producer; -1 stands for "none" in sequence, offset, timestamp and transaction."""

    producer_id: int
    epoch: int
    last_sequence: int
    last_offset: int
    offset_delta: int
    timestamp: int
    coordinator_epoch: int
    current_txn_first_offset: int


def encode(rows: Sequence[SnapshotRow]) -> bytes:
    pack = _ROW.pack
    body = _COUNT.pack(len(rows)) + b"".join([pack(*row) for row in rows])
    return _HEAD.pack(VERSION, crc32c(body)) + body


def decode(snapshot: bytes) -> list[SnapshotRow]:
    """Raises CorruptMessage for an unknown version, a wrong CRC, or a length that does not fit the count."""
    if len(snapshot) < _HEAD.size + _COUNT.size:
        raise CorruptMessage(f"a producer snapshot of {len(snapshot)} bytes is cut short")
    version, checksum = _HEAD.unpack_from(snapshot)
    if version != VERSION:
        raise CorruptMessage(f"producer snapshot version {version} is unknown")
    body = snapshot[_HEAD.size :]
    if crc32c(body) != checksum:
        raise CorruptMessage("the producer snapshot fails its CRC")
    (count,) = _COUNT.unpack_from(body)
    if len(body) != _COUNT.size + count * _ROW.size:
        raise CorruptMessage(f"the producer snapshot announces {count} producers in {len(body)} bytes")
    return [SnapshotRow._make(row) for row in _ROW.iter_unpack(body[_COUNT.size :])]
