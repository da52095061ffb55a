"""Windowed keys and their bytes, as Kafka Streams writes them to topics, stores and changelogs.

time window, topic      key ‖ start            (8 bytes)
time window, store      key ‖ start ‖ sequence (8 + 4)
session, both           key ‖ end ‖ start      (8 + 8)
"""

from __future__ import annotations

import struct
from typing import Any, Generic, NamedTuple, TypeVar

from streams.errors import SerdeError
from streams.serdes import Deserializer, Serde, Serializer, needed

K = TypeVar("K")

_LONG = struct.Struct(">q")
_TWO_LONGS = struct.Struct(">qq")

MAX_TIME = 2**63 - 1


class Window(NamedTuple):
    """[start, end) for time windows, [start, end] for sessions and sliding windows; ms."""

    start: int
    end: int


class Windowed(NamedTuple, Generic[K]):
    """A key within one window."""

    key: K
    start: int
    end: int

    @property
    def window(self) -> Window:
        return Window(self.start, self.end)

    def __str__(self) -> str:
        return f"[{self.key}@{self.start}/{self.end}]"


def windowed(key: K, window: Window) -> Windowed[K]:
    return Windowed(key, window.start, window.end)


class TimeWindowedSerde(Serde[Windowed[Any]]):
    """`key ‖ start`. The size is not in the bytes: reading needs `size_ms` to know where the window ends."""

    def __init__(self, inner: Serde[Any] | None, size_ms: int = MAX_TIME) -> None:
        self.inner = inner
        self.size_ms = size_ms
        self.name = f"TimeWindowed[{inner!r}]"
        self.immutable = inner is not None and inner.immutable

    def resolved(self, default_key: Serde[Any] | None, default_value: Serde[Any] | None) -> Serde[Any]:
        return self if self.inner is not None else TimeWindowedSerde(default_key, self.size_ms)

    def serializer(self, topic: str) -> Serializer:
        inner, pack = needed(self.inner, "key").serializer(topic), _LONG.pack

        def serialize(value: Any) -> bytes | None:
            return None if value is None else (inner(value[0]) or b"") + pack(value[1])

        return serialize

    def deserializer(self, topic: str) -> Deserializer:
        inner, unpack, size_ms = needed(self.inner, "key").deserializer(topic), _LONG.unpack, self.size_ms

        def deserialize(data: bytes | None) -> Any:
            if not data:
                return None
            if len(data) < 8:
                raise SerdeError(f"a windowed key has at least 8 bytes, got {len(data)} from {topic}")
            start = unpack(data[-8:])[0]
            return Windowed(inner(data[:-8]), start, min(start + size_ms, MAX_TIME))

        return deserialize

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TimeWindowedSerde) and other.inner == self.inner and other.size_ms == self.size_ms

    def __hash__(self) -> int:
        return hash((self.name, self.size_ms))


class SessionWindowedSerde(Serde[Windowed[Any]]):
    """`key ‖ end ‖ start`."""

    def __init__(self, inner: Serde[Any] | None) -> None:
        self.inner = inner
        self.name = f"SessionWindowed[{inner!r}]"
        self.immutable = inner is not None and inner.immutable

    def resolved(self, default_key: Serde[Any] | None, default_value: Serde[Any] | None) -> Serde[Any]:
        return self if self.inner is not None else SessionWindowedSerde(default_key)

    def serializer(self, topic: str) -> Serializer:
        inner, pack = needed(self.inner, "key").serializer(topic), _TWO_LONGS.pack

        def serialize(value: Any) -> bytes | None:
            return None if value is None else (inner(value[0]) or b"") + pack(value[2], value[1])

        return serialize

    def deserializer(self, topic: str) -> Deserializer:
        inner, unpack = needed(self.inner, "key").deserializer(topic), _TWO_LONGS.unpack

        def deserialize(data: bytes | None) -> Any:
            if not data:
                return None
            if len(data) < 16:
                raise SerdeError(f"a session key has at least 16 bytes, got {len(data)} from {topic}")
            end, start = unpack(data[-16:])
            return Windowed(inner(data[:-16]), start, end)

        return deserialize

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SessionWindowedSerde) and other.inner == self.inner

    def __hash__(self) -> int:
        return hash(self.name)
