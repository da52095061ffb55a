"""Session stores: a key's values by session, kept until the session's end is past retention."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Generic, TypeVar

from streams.errors import StateStoreError
from streams.records import Headers
from streams.stores.builder import StoreBuilder
from streams.stores.session_bytes import SessionBytes, SessionEntry
from streams.stores.store import StateStore, StoreContext
from streams.windowed_keys import MAX_TIME, Windowed

K = TypeVar("K")
V = TypeVar("V")

_TWO_LONGS = struct.Struct(">qq")


class SessionStore(StateStore, Generic[K, V]):
    """Values by `Windowed` key. Finds give `(Windowed, value)`, earliest end first."""

    def __init__(self, builder: StoreBuilder, context: StoreContext, sessions: SessionBytes, persistent: bool) -> None:
        self.name = builder.name
        self.is_persistent = persistent
        self._sessions = sessions
        topic = context.changelog_topic(self.name)
        key_serde = context.key_serde(builder.key_serde, self.name)
        value_serde = context.value_serde(builder.value_serde, self.name)
        self._key_bytes = key_serde.serializer(topic)
        self._key_object = key_serde.deserializer(topic)
        self._value_bytes = value_serde.serializer(topic)
        self._value_object = value_serde.deserializer(topic)
        self._write = context.change_writer(self.name) if builder.is_logged else None

    def put(self, session: Windowed[K], value: V | None) -> None:
        if session.key is None:
            raise StateStoreError(f"store {self.name}: a key can't be None")
        key_bytes, value_bytes = self._key_bytes(session.key) or b"", self._value_bytes(value)
        self._sessions.put(key_bytes, session.start, session.end, value_bytes)
        if self._write is not None:
            self._write(key_bytes + _TWO_LONGS.pack(session.end, session.start), value_bytes, None, ())

    def remove(self, session: Windowed[K]) -> None:
        key_bytes = self._key_bytes(session.key) or b""
        self._sessions.remove(key_bytes, session.start, session.end)
        if self._write is not None:
            self._write(key_bytes + _TWO_LONGS.pack(session.end, session.start), None, None, ())

    def restore(self, key: bytes, value: bytes | None, timestamp: int, headers: Headers) -> None:
        end, start = _TWO_LONGS.unpack(key[-16:])
        self._sessions.put(key[:-16], start, end, value)

    def fetch_session(self, key: K, start: int, end: int) -> V | None:
        """The value of exactly that session."""
        value: V | None = self._value_object(self._sessions.get(self._key_bytes(key) or b"", start, end))
        return value

    def find_sessions(self, key: K, earliest_end: int, latest_start: int) -> Iterator[tuple[Windowed[K], V]]:
        """Sessions of `key` that touch [earliest_end, latest_start]."""
        key_bytes = self._key_bytes(key)
        return self._objects(self._sessions.find(key_bytes, key_bytes, earliest_end, latest_start, False))

    def backward_find_sessions(self, key: K, earliest_end: int, latest_start: int) -> Iterator[tuple[Windowed[K], V]]:
        key_bytes = self._key_bytes(key)
        return self._objects(self._sessions.find(key_bytes, key_bytes, earliest_end, latest_start, True))

    def find_sessions_range(
        self, key_from: K | None, key_to: K | None, earliest_end: int, latest_start: int
    ) -> Iterator[tuple[Windowed[K], V]]:
        return self._range(key_from, key_to, earliest_end, latest_start, False)

    def backward_find_sessions_range(
        self, key_from: K | None, key_to: K | None, earliest_end: int, latest_start: int
    ) -> Iterator[tuple[Windowed[K], V]]:
        return self._range(key_from, key_to, earliest_end, latest_start, True)

    def find_ended(self, earliest_end: int, latest_end: int) -> Iterator[tuple[Windowed[K], V]]:
        """Sessions of every key that end in [earliest_end, latest_end]."""
        return self._objects(self._sessions.find_ended(earliest_end, latest_end))

    def fetch(self, key: K) -> Iterator[tuple[Windowed[K], V]]:
        return self.find_sessions(key, 0, MAX_TIME)

    def backward_fetch(self, key: K) -> Iterator[tuple[Windowed[K], V]]:
        return self.backward_find_sessions(key, 0, MAX_TIME)

    def fetch_range(self, key_from: K | None, key_to: K | None) -> Iterator[tuple[Windowed[K], V]]:
        return self._range(key_from, key_to, 0, MAX_TIME, False)

    def backward_fetch_range(self, key_from: K | None, key_to: K | None) -> Iterator[tuple[Windowed[K], V]]:
        return self._range(key_from, key_to, 0, MAX_TIME, True)

    def _range(
        self, key_from: K | None, key_to: K | None, earliest_end: int, latest_start: int, reverse: bool
    ) -> Iterator[tuple[Windowed[K], V]]:
        low, high = self._key_bytes(key_from), self._key_bytes(key_to)
        if low is not None and high is not None and low > high:
            return iter(())
        return self._objects(self._sessions.find(low, high, earliest_end, latest_start, reverse))

    def _objects(self, entries: Iterator[SessionEntry]) -> Iterator[tuple[Windowed[K], V]]:
        for key, start, end, data in entries:
            yield Windowed(self._key_object(key), start, end), self._value_object(data)

    def close(self) -> None:
        self._sessions.close()
