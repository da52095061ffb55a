"""A record on its way through a topology, as processors see it."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

import msgspec

K = TypeVar("K")
V = TypeVar("V")
K2 = TypeVar("K2")
V2 = TypeVar("V2")

Headers = tuple[tuple[str, bytes | None], ...]

NO_TIMESTAMP = -1


class Record(msgspec.Struct, Generic[K, V], frozen=True, gc=False):
    """Key, value, event time in ms and headers. Immutable: the `with_` methods give changed copies."""

    key: K
    value: V
    timestamp: int
    headers: Headers = ()

    def with_key(self, key: K2) -> Record[K2, V]:
        return Record(key, self.value, self.timestamp, self.headers)

    def with_value(self, value: V2) -> Record[K, V2]:
        return Record(self.key, value, self.timestamp, self.headers)

    def with_timestamp(self, timestamp: int) -> Record[K, V]:
        return Record(self.key, self.value, timestamp, self.headers)

    def with_headers(self, headers: Headers) -> Record[K, V]:
        return Record(self.key, self.value, self.timestamp, headers)

    def with_header(self, name: str, value: bytes | None) -> Record[K, V]:
        return Record(self.key, self.value, self.timestamp, (*self.headers, (name, value)))


class FixedKeyRecord(msgspec.Struct, Generic[K, V], frozen=True, gc=False):
    """A record whose key can't be changed, so that no repartitioning is needed after `process_values`."""

    key: K
    value: V
    timestamp: int
    headers: Headers = ()

    def with_value(self, value: V2) -> FixedKeyRecord[K, V2]:
        return FixedKeyRecord(self.key, value, self.timestamp, self.headers)

    def with_timestamp(self, timestamp: int) -> FixedKeyRecord[K, V]:
        return FixedKeyRecord(self.key, self.value, timestamp, self.headers)

    def with_headers(self, headers: Headers) -> FixedKeyRecord[K, V]:
        return FixedKeyRecord(self.key, self.value, self.timestamp, headers)

    def with_header(self, name: str, value: bytes | None) -> FixedKeyRecord[K, V]:
        return FixedKeyRecord(self.key, self.value, self.timestamp, (*self.headers, (name, value)))


class RecordMetadata(NamedTuple):
    """Where the record being processed came from. In a punctuation: topic None, partition and offset -1."""

    topic: str | None
    partition: int
    offset: int


class ConsumedRecord(msgspec.Struct, frozen=True, gc=False):
    """A record as it lies in a topic, before deserialization. Handed to timestamp extractors with key and value set."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: object
    value: object
    headers: Headers = ()
