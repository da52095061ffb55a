"""Stores that only joins use.

`OuterJoinStore` keeps the records of left and outer stream joins that met nobody yet, by time.
`StreamBuffer` holds a stream back for the grace of a join with a versioned table.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Any

from streams.records import NO_TIMESTAMP, Headers
from streams.stores.builder import StoreBuilder
from streams.stores.byte_map import ByteMap
from streams.stores.change_buffer import RecordOrigin, read_bytes
from streams.stores.store import StateStore, StoreContext

_LONG = struct.Struct(">q")
_INT = struct.Struct(">i")


class OuterJoinStore(StateStore):
    """Values of one side by (time, side, key); several of the same place are kept in a list."""

    def __init__(self, builder: StoreBuilder, context: StoreContext, byte_map: ByteMap) -> None:
        self.name = builder.name
        self._bytes = byte_map
        topic = context.changelog_topic(self.name)
        key_serde = context.key_serde(builder.key_serde, self.name)
        self._key_bytes, self._key_object = key_serde.serializer(topic), key_serde.deserializer(topic)
        left = context.value_serde(builder.value_serde, self.name)
        right = context.value_serde(builder.other_value_serde, self.name)
        self._value_bytes = (right.serializer(topic), left.serializer(topic))
        self._value_object = (right.deserializer(topic), left.deserializer(topic))
        self._write = context.change_writer(self.name) if builder.is_logged else None

    def _place(self, timestamp: int, is_left: bool, key: Any) -> bytes:
        return _LONG.pack(timestamp) + (b"\x01" if is_left else b"\x00") + (self._key_bytes(key) or b"")

    def put(self, timestamp: int, is_left: bool, key: Any, value: Any) -> None:
        place = self._place(timestamp, is_left, key)
        added = (b"\x01" if is_left else b"\x00") + (self._value_bytes[is_left](value) or b"")
        entry = _INT.pack(len(added)) + added
        known = self._bytes.get(place)
        if known is None:
            data = b"\x01" + _INT.pack(1) + entry
        else:
            data = b"\x01" + _INT.pack(_INT.unpack(known[1:5])[0] + 1) + known[5:] + entry
        self._bytes.put(place, data)
        if self._write is not None:
            self._write(place, data, None, ())

    def delete(self, timestamp: int, is_left: bool, key: Any) -> None:
        place = self._place(timestamp, is_left, key)
        self._bytes.delete(place)
        if self._write is not None:
            self._write(place, None, None, ())

    def delete_if_present(self, timestamp: int, is_left: bool, key: Any) -> None:
        if self._bytes.get(self._place(timestamp, is_left, key)) is not None:
            self.delete(timestamp, is_left, key)

    def restore(self, key: bytes, value: bytes | None, timestamp: int, headers: Headers) -> None:
        if value is None:
            self._bytes.delete(key)
        else:
            self._bytes.put(key, value)

    def all(self) -> Iterator[tuple[int, bool, Any, Any]]:
        """(time, whether it is the left side's, key, value), oldest first."""
        for place, data in self._bytes.scan(None, None):
            timestamp, is_left = _LONG.unpack(place[:8])[0], place[8] == 1
            key = self._key_object(place[9:])
            at = 5
            for _ in range(_INT.unpack(data[1:5])[0]):
                size = _INT.unpack(data[at : at + 4])[0]
                yield timestamp, is_left, key, self._value_object[is_left](data[at + 5 : at + 4 + size])
                at += 4 + size

    def close(self) -> None:
        self._bytes.close()


class StreamBuffer(StateStore):
    """Records in order of time, let go once stream time is past them by the grace."""

    def __init__(self, builder: StoreBuilder, context: StoreContext) -> None:
        self.name = builder.name
        self._grace_ms = builder.grace_ms
        self._latest = -1
        self._sequence = 0
        self._heap: list[tuple[int, bytes, int]] = []
        self._records: dict[tuple[int, bytes, int], tuple[bytes | None, RecordOrigin]] = {}
        topic = builder.serde_topic or context.changelog_topic(self.name)
        key_serde = context.key_serde(builder.key_serde, self.name)
        value_serde = context.value_serde(builder.value_serde, self.name)
        self._key_bytes, self._key_object = key_serde.serializer(topic), key_serde.deserializer(topic)
        self._value_bytes, self._value_object = value_serde.serializer(topic), value_serde.deserializer(topic)
        self._write = context.change_writer(self.name) if builder.is_logged else None

    def put(self, key: Any, value: Any, origin: RecordOrigin) -> bool:
        """False when the record is so late that it should be joined at once."""
        if self._latest - self._grace_ms > origin.timestamp:
            return False
        self._sequence = (self._sequence + 1) & 0x7FFFFFFF
        place = (origin.timestamp, self._key_bytes(key) or b"", self._sequence)
        value_bytes = self._value_bytes(value)
        self._add(place, value_bytes, origin)
        if self._write is not None:
            data = origin.encode() + _INT.pack(-1) * 2 + _sized(value_bytes) + _LONG.pack(0)
            self._write(self._log_key(place), data, NO_TIMESTAMP, ())
        return True

    def _add(self, place: tuple[int, bytes, int], value: bytes | None, origin: RecordOrigin) -> None:
        self._latest = max(self._latest, place[0])
        heappush(self._heap, place)
        self._records[place] = value, origin

    @staticmethod
    def _log_key(place: tuple[int, bytes, int]) -> bytes:
        return b"\x00" + _LONG.pack(place[0]) + place[1] + _INT.pack(place[2])

    def evict(self) -> Iterator[tuple[Any, Any, RecordOrigin]]:
        """Let go of the records that waited long enough, oldest first."""
        while self._heap and self._heap[0][0] <= self._latest - self._grace_ms:
            place = self._heap[0]
            value, origin = self._records[place]
            yield self._key_object(place[1]), self._value_object(value), origin
            heappop(self._heap)
            del self._records[place]
            if self._write is not None:
                self._write(self._log_key(place), None, NO_TIMESTAMP, ())

    def restore(self, key: bytes, value: bytes | None, timestamp: int, headers: Headers) -> None:
        place = (_LONG.unpack(key[1:9])[0], key[9:-4], _INT.unpack(key[-4:])[0])
        if value is not None:
            origin, at = RecordOrigin.decode(value, 0)
            self._add(place, read_bytes(value, at + 8)[0], origin)
        elif self._records.pop(place, None) is not None:
            self._heap = sorted(self._records)


def _sized(data: bytes | None) -> bytes:
    return _INT.pack(-1) if data is None else _INT.pack(len(data)) + data
