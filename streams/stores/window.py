"""Window stores: a key's values by window start, kept for the store's retention."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from streams.errors import StateStoreError
from streams.records import NO_TIMESTAMP, Headers
from streams.stores.builder import StoreBuilder, StoreKind
from streams.stores.store import StateStore, StoreContext
from streams.stores.window_bytes import WindowBytes, WindowEntry
from streams.windowed_keys import MAX_TIME, Windowed

K = TypeVar("K")
V = TypeVar("V")

_LONG = struct.Struct(">q")
_TAIL = struct.Struct(">qi")


class WindowStore(StateStore, Generic[K, V]):
    """Values by key and window start. Those of a timestamped store are `(value, timestamp)` pairs.

    Times of ranges are inclusive. Iterators give `(window start, value)` for one key, `(Windowed, value)` for several.
    """

    def __init__(self, builder: StoreBuilder, context: StoreContext, windows: WindowBytes, is_persistent: bool) -> None:
        self.name = builder.name
        self.is_persistent = is_persistent
        self.is_timestamped = builder.supplier.kind is StoreKind.TIMESTAMPED_WINDOW
        self._forgets_timestamps = builder.supplier.forgets_timestamps
        self.window_size_ms = builder.supplier.window_size_ms
        self._retain_duplicates = builder.supplier.retain_duplicates
        self._windows = windows
        self._sequence = 0
        topic = context.changelog_topic(self.name)
        key_serde = context.key_serde(builder.key_serde, self.name)
        value_serde = context.value_serde(builder.value_serde, self.name)
        self._key_bytes = key_serde.serializer(topic)
        self._key_object = key_serde.deserializer(topic)
        self._value_bytes = value_serde.serializer(topic)
        self._value_object = value_serde.deserializer(topic)
        self._write = context.change_writer(self.name) if builder.is_logged else None

    def put(self, key: K, value: V | None, window_start: int) -> None:
        """None deletes the window, unless the store retains duplicates: it then ignores it."""
        if key is None:
            raise StateStoreError(f"store {self.name}: a key can't be None")
        key_bytes = self._key_bytes(key) or b""
        timestamp: int | None = None
        value_bytes: bytes | None = None
        if value is not None:
            pair: Any = value
            if self.is_timestamped:
                value_bytes, timestamp = self._value_bytes(pair[0]), pair[1]
            else:
                value_bytes = self._value_bytes(value)
        stored = value_bytes
        if value_bytes is not None and timestamp is not None:
            stored = _LONG.pack(NO_TIMESTAMP if self._forgets_timestamps else timestamp) + value_bytes
        self._windows.put(key_bytes, stored, window_start)
        if self._write is not None:
            if self._retain_duplicates:
                self._sequence = (self._sequence + 1) & 0x7FFFFFFF
            self._write(key_bytes + _TAIL.pack(window_start, self._sequence), value_bytes, timestamp, ())

    def restore(self, key: bytes, value: bytes | None, timestamp: int, headers: Headers) -> None:
        stored = value
        if value is not None and self.is_timestamped:
            stored = _LONG.pack(NO_TIMESTAMP if self._forgets_timestamps else timestamp) + value
        start, sequence = _TAIL.unpack(key[-12:])
        if self._retain_duplicates:
            self._sequence = max(self._sequence, sequence)
            self._windows.put(key[:-12], stored, start, sequence)
        else:
            self._windows.put(key[:-12], stored, start)

    def _decode(self, data: bytes) -> Any:
        if self.is_timestamped:
            return self._value_object(data[8:]), _LONG.unpack(data[:8])[0]
        return self._value_object(data)

    def fetch(self, key: K, window_start: int) -> V | None:
        """The value of the window that starts then."""
        data = self._windows.get(self._key_bytes(key) or b"", window_start)
        value: V | None = None if data is None else self._decode(data)
        return value

    def fetch_between(self, key: K, time_from: int, time_to: int) -> Iterator[tuple[int, V]]:
        """The windows of `key` that start in [time_from, time_to], oldest first."""
        return self._of_key(self._windows.fetch(self._key_bytes(key) or b"", time_from, time_to, False))

    def backward_fetch_between(self, key: K, time_from: int, time_to: int) -> Iterator[tuple[int, V]]:
        return self._of_key(self._windows.fetch(self._key_bytes(key) or b"", time_from, time_to, True))

    def fetch_range(
        self, key_from: K | None, key_to: K | None, time_from: int, time_to: int
    ) -> Iterator[tuple[Windowed[K], V]]:
        return self._range(key_from, key_to, time_from, time_to, False)

    def backward_fetch_range(
        self, key_from: K | None, key_to: K | None, time_from: int, time_to: int
    ) -> Iterator[tuple[Windowed[K], V]]:
        return self._range(key_from, key_to, time_from, time_to, True)

    def fetch_all(self, time_from: int, time_to: int) -> Iterator[tuple[Windowed[K], V]]:
        return self._of_keys(self._windows.fetch_all(time_from, time_to, False))

    def backward_fetch_all(self, time_from: int, time_to: int) -> Iterator[tuple[Windowed[K], V]]:
        return self._of_keys(self._windows.fetch_all(time_from, time_to, True))

    def all(self) -> Iterator[tuple[Windowed[K], V]]:
        return self._of_keys(self._windows.all(False))

    def backward_all(self) -> Iterator[tuple[Windowed[K], V]]:
        return self._of_keys(self._windows.all(True))

    def _range(
        self, key_from: K | None, key_to: K | None, time_from: int, time_to: int, reverse: bool
    ) -> Iterator[tuple[Windowed[K], V]]:
        low, high = self._key_bytes(key_from), self._key_bytes(key_to)
        if low is not None and high is not None and low > high:
            return iter(())
        return self._of_keys(self._windows.fetch_range(low, high, time_from, time_to, reverse))

    def _of_key(self, entries: Iterator[WindowEntry]) -> Iterator[tuple[int, V]]:
        for _, start, data in entries:
            yield start, self._decode(data)

    def _of_keys(self, entries: Iterator[WindowEntry]) -> Iterator[tuple[Windowed[K], V]]:
        size_ms = self.window_size_ms
        for key, start, data in entries:
            yield Windowed(self._key_object(key), start, min(start + size_ms, MAX_TIME)), self._decode(data)

    def commit(self) -> None:
        self._windows.commit()

    def close(self) -> None:
        self._windows.close()
