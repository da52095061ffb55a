"""The buffer behind `suppress`: the latest change of each key, let go in order of time.

What changed is logged when the task commits, one record a key, in Kafka's bytes:
`origin ‖ prior value ‖ old value ‖ new value ‖ buffer time`, with the header `v` = 3.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any, NamedTuple

from streams.java_order import HashSetOrder, bytes_hash
from streams.records import NO_TIMESTAMP, Headers
from streams.stores.builder import StoreBuilder
from streams.stores.store import StateStore, StoreContext
from streams.windowed_keys import MAX_TIME

_LONG = struct.Struct(">q")
_INT = struct.Struct(">i")
_VERSION: Headers = (("v", b"\x03"),)
_SAME_AS_PRIOR = -2


def read_bytes(data: bytes, at: int) -> tuple[bytes | None, int]:
    """A length-prefixed field and where the next one starts."""
    size = _INT.unpack(data[at : at + 4])[0]
    return (None, at + 4) if size < 0 else (data[at + 4 : at + 4 + size], at + 4 + size)


class RecordOrigin(NamedTuple):
    """Where a buffered record came from; downstream sees it again when the record is let go."""

    timestamp: int
    offset: int
    partition: int
    topic: str | None
    headers: Headers

    def encode(self) -> bytes:
        topic = (self.topic or "").encode()
        parts = [_LONG.pack(self.timestamp), _LONG.pack(self.offset), _INT.pack(len(topic)), topic]
        parts += [_INT.pack(self.partition), _INT.pack(len(self.headers))]
        for name, value in self.headers:
            name_bytes = name.encode()
            parts += [_INT.pack(len(name_bytes)), name_bytes]
            parts.append(_INT.pack(-1) if value is None else _INT.pack(len(value)) + value)
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes, at: int) -> tuple[RecordOrigin, int]:
        timestamp, offset = struct.unpack_from(">qq", data, at)
        topic, at = read_bytes(data, at + 16)
        partition, count = struct.unpack_from(">ii", data, at)
        at += 8
        headers: list[tuple[str, bytes | None]] = []
        for _ in range(count):
            name, at = read_bytes(data, at)
            value, at = read_bytes(data, at)
            headers.append(((name or b"").decode(), value))
        return cls(timestamp, offset, partition, (topic or b"").decode(), tuple(headers)), at

    @property
    def size(self) -> int:
        """Kafka's estimate of the memory it takes, which bounds by bytes go by."""
        return 20 + len(self.topic or "") + sum(len(name) + len(value or b"") for name, value in self.headers)


class _Buffered(NamedTuple):
    prior: bytes | None
    old: bytes | None
    new: bytes | None
    origin: RecordOrigin

    @property
    def size(self) -> int:
        old = 0 if self.old is None or self.old == self.prior else len(self.old)
        return len(self.prior or b"") + old + len(self.new or b"") + self.origin.size


class Evicted(NamedTuple):
    """A change that is let go."""

    key: Any
    new: Any
    old: Any
    origin: RecordOrigin


class ChangeBuffer(StateStore):
    """Changes by key, in order of (buffer time, key bytes). A key keeps the place it first got."""

    logs_on_commit = True

    def __init__(self, builder: StoreBuilder, context: StoreContext) -> None:
        self.name = builder.name
        topic = context.changelog_topic(self.name)
        key_serde = context.key_serde(builder.key_serde, self.name)
        value_serde = context.value_serde(builder.value_serde, self.name)
        self._key_bytes, self._key_object = key_serde.serializer(topic), key_serde.deserializer(topic)
        self._value_bytes, self._value_object = value_serde.serializer(topic), value_serde.deserializer(topic)
        self._write = context.change_writer(self.name) if builder.is_logged else None
        self._heap: list[tuple[int, bytes]] = []
        self._times: dict[bytes, int] = {}
        self._changes: dict[bytes, _Buffered] = {}
        self._dirty: HashSetOrder[bytes] = HashSetOrder(bytes_hash)
        self.size_bytes = 0

    @property
    def count(self) -> int:
        return len(self._changes)

    @property
    def min_time(self) -> int:
        """The buffer time of the first to go; the end of time when empty."""
        return self._heap[0][0] if self._heap else MAX_TIME

    def put(self, time: int, key: Any, new: Any, old: Any, origin: RecordOrigin) -> None:
        key_bytes = self._key_bytes(key) or b""
        old_bytes = self._value_bytes(old)
        known = self._changes.get(key_bytes)
        prior = old_bytes if known is None else known.prior
        self._put(time, key_bytes, _Buffered(prior, old_bytes, self._value_bytes(new), origin))
        if self._write is not None:
            self._dirty.add(key_bytes)

    def _put(self, time: int, key: bytes, change: _Buffered) -> None:
        known = self._changes.get(key)
        if known is None:
            heappush(self._heap, (time, key))
            self._times[key] = time
            self.size_bytes += 8 + len(key) + change.size
        else:
            self.size_bytes += change.size - known.size
        self._changes[key] = change

    def evict_while(self, claim: Callable[[], bool]) -> Iterator[Evicted]:
        """Let go of changes, first ones first, for as long as `claim` holds."""
        while self._heap and claim():
            key = self._heap[0][1]
            change = self._changes[key]
            new, old = self._value_object(change.new), self._value_object(change.old)
            yield Evicted(self._key_object(key), new, old, change.origin)
            heappop(self._heap)
            self._forget(key)
            if self._write is not None:
                self._dirty.add(key)

    def _forget(self, key: bytes) -> None:
        self.size_bytes -= 8 + len(key) + self._changes.pop(key).size
        del self._times[key]

    def prior_value(self, key: Any) -> tuple[bool, Any]:
        """Whether `key` is buffered, and the value that downstream still believes in."""
        change = self._changes.get(self._key_bytes(key) or b"")
        return (False, None) if change is None else (True, self._value_object(change.prior))

    def commit(self) -> None:
        if self._write is None:
            return
        for key in self._dirty.drain():
            change = self._changes.get(key)
            if change is None:
                self._write(key, None, NO_TIMESTAMP, ())
            else:
                self._write(key, self._encode(change) + _LONG.pack(self._times[key]), NO_TIMESTAMP, _VERSION)

    @staticmethod
    def _encode(change: _Buffered) -> bytes:
        parts = [change.origin.encode()]
        for data in (change.prior, change.old, change.new):
            if data is None:
                parts.append(_INT.pack(-1))
            elif data is change.old and change.old == change.prior and len(parts) == 2:
                parts.append(_INT.pack(_SAME_AS_PRIOR))
            else:
                parts.append(_INT.pack(len(data)) + data)
        return b"".join(parts)

    def restore(self, key: bytes, value: bytes | None, timestamp: int, headers: Headers) -> None:
        if value is None:
            if key in self._changes:
                self._heap.remove((self._times[key], key))
                self._heap.sort()
                self._forget(key)
            return
        origin, at = RecordOrigin.decode(value, 0)
        prior, at = read_bytes(value, at)
        is_same = _INT.unpack(value[at : at + 4])[0] == _SAME_AS_PRIOR
        old, at = (prior, at + 4) if is_same else read_bytes(value, at)
        new, at = read_bytes(value, at)
        self._put(_LONG.unpack(value[at : at + 8])[0], key, _Buffered(prior, old, new, origin))
