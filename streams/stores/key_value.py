"""Key-value stores, plain and timestamped.

A timestamped store, the kind behind every table, holds `(value, timestamp)` pairs: event time moves with the value.
Scans go in the order of the keys' bytes. Iterators see the keys as they were when the scan began.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from streams.errors import StateStoreError
from streams.records import NO_TIMESTAMP, Headers
from streams.serdes import Serde
from streams.stores.builder import StoreBuilder, StoreKind
from streams.stores.byte_map import ByteMap, SortedKeys, after_prefix
from streams.stores.store import RestoredRecord, StateStore, StoreContext

K = TypeVar("K")
V = TypeVar("V")

_LONG = struct.Struct(">q")


class KeyValueStore(StateStore, Generic[K, V]):
    """`get`, `put` and scans. Keys are never None; putting None deletes."""

    def __init__(self, builder: StoreBuilder, context: StoreContext) -> None:
        self.name = builder.name
        self.is_timestamped = builder.supplier.kind is StoreKind.TIMESTAMPED_KEY_VALUE
        self._context = context
        topic = context.changelog_topic(self.name)
        key_serde = context.key_serde(builder.key_serde, self.name)
        value_serde = context.value_serde(builder.value_serde, self.name)
        self._key_bytes = key_serde.serializer(topic)
        self._key_object = key_serde.deserializer(topic)
        self._value_bytes = value_serde.serializer(topic)
        self._value_object = value_serde.deserializer(topic)
        self._keeps_keys = key_serde.immutable
        self._keeps_values = value_serde.immutable
        self._write = context.change_writer(self.name) if builder.is_logged else None
        self._write_batch = context.batch_change_writer(self.name) if builder.is_logged else None
        self._keys_bytes = key_serde.batch_serializer(topic)
        self._values_bytes = value_serde.batch_serializer(topic)

    # -- what subclasses give

    def get(self, key: K) -> V | None:
        """The value, or `(value, timestamp)` in a timestamped store; None when there is none."""
        raise NotImplementedError

    def _save(self, key: K, value: V | None) -> None:
        raise NotImplementedError

    def _scan(self, low: bytes | None, high: bytes | None, reverse: bool) -> Iterator[tuple[K, V]]:
        raise NotImplementedError

    def approximate_num_entries(self) -> int:
        raise NotImplementedError

    # -- writing

    def put(self, key: K, value: V | None) -> None:
        if key is None:
            raise StateStoreError(f"store {self.name}: a key can't be None")
        self._save(key, value)
        if self._write is not None:
            self._log(key, value)

    def put_if_absent(self, key: K, value: V | None) -> V | None:
        """Put unless there is a value, and return the value that was there."""
        previous = self.get(key)
        if previous is None:
            self.put(key, value)
        return previous

    def put_all(self, entries: Iterable[tuple[K, V | None]]) -> None:
        for key, value in entries:
            self.put(key, value)

    def delete(self, key: K) -> V | None:
        """Delete, and return what was there."""
        previous = self.get(key)
        self.put(key, None)
        return previous

    def _log(self, key: Any, value: Any) -> None:
        assert self._write is not None
        key_bytes = self._key_bytes(key) or b""
        if value is None:
            self._write(key_bytes, None, None, ())
        elif self.is_timestamped:
            self._write(key_bytes, self._value_bytes(value[0]), value[1], ())
        else:
            self._write(key_bytes, self._value_bytes(value), None, ())

    # -- many at once, for operators that update rows in a loop of their own

    def batch_rows(self, keys: Sequence[K]) -> dict[K, Any] | None:
        """A dict that holds the rows of `keys` (None or absent when there is none), to be changed in place.

        Say `wrote(keys, ...)` right after. None when this store keeps no objects: then go by `get` and `put`.
        """
        return None

    def wrote(self, keys: Sequence[K], values: Sequence[Any], timestamps: Sequence[int]) -> None:
        """These changes have been made to `batch_rows`, in this order: log them. For timestamped stores."""
        if self._write_batch is not None:
            self._write_batch(self._keys_bytes(keys), self._values_bytes(values), timestamps)

    def restore(self, key: bytes, value: bytes | None, timestamp: int, headers: Headers) -> None:
        restored: Any = None
        if value is not None:
            restored = (self._value_object(value), timestamp) if self.is_timestamped else self._value_object(value)
        self._save(self._key_object(key), restored)

    # -- scanning

    def range(self, low: K | None, high: K | None) -> Iterator[tuple[K, V]]:
        """Keys from `low` to `high`, both included; None leaves that end open."""
        return self._scan(*self._bounds(low, high), False)

    def reverse_range(self, low: K | None, high: K | None) -> Iterator[tuple[K, V]]:
        return self._scan(*self._bounds(low, high), True)

    def all(self) -> Iterator[tuple[K, V]]:
        return self._scan(None, None, False)

    def reverse_all(self) -> Iterator[tuple[K, V]]:
        return self._scan(None, None, True)

    def prefix_scan(self, prefix: Any, prefix_serde: Serde[Any]) -> Iterator[tuple[K, V]]:
        """Keys whose bytes start with the bytes of `prefix`."""
        low = prefix_serde.serializer(self.name)(prefix) or b""
        return self._scan(low, after_prefix(low), False)

    def scan_bytes(self, low: bytes | None, high: bytes | None, reverse: bool) -> Iterator[tuple[K, V]]:
        """Keys whose bytes lie in [low, high)."""
        return self._scan(low, high, reverse)

    def _bounds(self, low: K | None, high: K | None) -> tuple[bytes | None, bytes | None]:
        low_bytes, high_bytes = self._key_bytes(low), self._key_bytes(high)
        return low_bytes, None if high_bytes is None else high_bytes + b"\x00"


class MemoryKeyValueStore(KeyValueStore[K, V]):
    """A dict. Holds the objects themselves when their serdes say that they never change, their bytes otherwise."""

    def __init__(self, builder: StoreBuilder, context: StoreContext) -> None:
        super().__init__(builder, context)
        self._map: dict[Any, Any] = {}
        self._index: SortedKeys | None = None
        self._objects: dict[bytes, Any] = {}
        if self._keeps_keys and self._keeps_values:
            self.get = self._map.get  # type: ignore[method-assign, assignment]

    def get(self, key: K) -> V | None:
        value: V | None = self._read(self._map.get(key if self._keeps_keys else self._key_bytes(key)))
        return value

    def _read(self, stored: Any) -> Any:
        if stored is None or self._keeps_values:
            return stored
        return (self._value_object(stored[0]), stored[1]) if self.is_timestamped else self._value_object(stored)

    def _save(self, key: K, value: V | None) -> None:
        place: Any = key if self._keeps_keys else self._key_bytes(key)
        if value is None:
            self._map.pop(place, None)
            return
        if self._index is not None and place not in self._map:
            self._add_to_index(place)
        stored: Any = value
        if not self._keeps_values:
            pair: Any = value
            stored = (self._value_bytes(pair[0]), pair[1]) if self.is_timestamped else self._value_bytes(value)
        self._map[place] = stored

    def batch_rows(self, keys: Sequence[K]) -> dict[K, Any] | None:
        if not self._keeps_keys or not self._keeps_values:
            return None
        self._index = None  # built again by the next scan
        return self._map

    def _add_to_index(self, place: Any) -> None:
        assert self._index is not None
        key_bytes = (self._key_bytes(place) or b"") if self._keeps_keys else place
        self._index.add(key_bytes)
        if self._keeps_keys:
            self._objects[key_bytes] = place

    def _scan(self, low: bytes | None, high: bytes | None, reverse: bool) -> Iterator[tuple[K, V]]:
        if self._index is None or len(self._index) > 2 * len(self._map) + 64:
            self._index = SortedKeys()
            self._objects.clear()
            for place in self._map:
                self._add_to_index(place)
        keys = self._index.range(low, high)
        if reverse:
            keys.reverse()
        return self._iterate(keys)

    def _iterate(self, keys: list[bytes]) -> Iterator[tuple[K, V]]:
        for key_bytes in keys:
            key = self._objects.get(key_bytes) if self._keeps_keys else key_bytes
            stored = self._map.get(key)
            if stored is not None:
                found: Any = key if self._keeps_keys else self._key_object(key_bytes)
                yield found, self._read(stored)

    def approximate_num_entries(self) -> int:
        return len(self._map)

    def close(self) -> None:
        self._map.clear()


class PersistentKeyValueStore(KeyValueStore[K, V]):
    """An ordered map of bytes behind a write-back cache of objects; scans write the cache back first."""

    is_persistent = True
    max_cached = 100_000

    def __init__(self, builder: StoreBuilder, context: StoreContext, byte_map: ByteMap) -> None:
        super().__init__(builder, context)
        self._bytes = byte_map
        self._cache: dict[Any, Any] = {}
        self._dirty: dict[Any, None] = {}
        self._forgets_timestamps = self.is_timestamped and builder.supplier.forgets_timestamps

    def get(self, key: K) -> V | None:
        place: Any = key if self._keeps_keys else self._key_bytes(key)
        value: V | None
        if self._keeps_values:
            try:
                value = self._cache[place]
            except KeyError:
                value = self._cache[place] = self._decode(self._bytes.get(self._key_bytes(key) or b""))
        elif place in self._dirty:
            value = self._decode(self._cache[place])
        else:
            value = self._decode(self._bytes.get(self._key_bytes(key) or b""))
        return value

    def _save(self, key: K, value: V | None) -> None:
        place: Any = key if self._keeps_keys else self._key_bytes(key)
        if self._forgets_timestamps and value is not None:
            row: Any = value
            value = (row[0], NO_TIMESTAMP)  # type: ignore[assignment]
        self._cache[place] = value if self._keeps_values else self._encode(value)
        self._dirty[place] = None
        if len(self._dirty) > self.max_cached:
            self.commit()

    def batch_rows(self, keys: Sequence[K]) -> dict[K, Any] | None:
        if not self._keeps_keys or not self._keeps_values or self._forgets_timestamps:
            return None
        if len(self._dirty) > self.max_cached:
            self.commit()
        cache = self._cache
        missing = set(keys).difference(cache)
        for key, key_bytes in zip(missing, self._keys_bytes(list(missing)), strict=True):
            cache[key] = self._decode(self._bytes.get(key_bytes))
        return cache

    def wrote(self, keys: Sequence[K], values: Sequence[Any], timestamps: Sequence[int]) -> None:
        self._dirty.update(dict.fromkeys(keys))
        super().wrote(keys, values, timestamps)

    def restore_many(self, records: Sequence[RestoredRecord]) -> None:
        """Bytes as they are, past the cache."""
        if self._cache:
            self.commit()
            self._cache.clear()
        if self.is_timestamped:
            pack, forgets = _LONG.pack, self._forgets_timestamps
            self._bytes.put_all(
                {
                    key: None if value is None else pack(NO_TIMESTAMP if forgets else timestamp) + value
                    for key, value, timestamp, _ in records
                }
            )
        else:
            self._bytes.put_all({key: value for key, value, _, _ in records})

    def restore(self, key: bytes, value: bytes | None, timestamp: int, headers: Headers) -> None:
        self.restore_many(((key, value, timestamp, headers),))

    def _encode(self, value: Any) -> bytes | None:
        if value is None:
            return None
        if self.is_timestamped:
            return _LONG.pack(value[1]) + (self._value_bytes(value[0]) or b"")
        return self._value_bytes(value)

    def _decode(self, data: bytes | None) -> Any:
        if data is None:
            return None
        if self.is_timestamped:
            return self._value_object(data[8:]), _LONG.unpack(data[:8])[0]
        return self._value_object(data)

    def commit(self) -> None:
        for place in self._dirty:
            key_bytes = (self._key_bytes(place) or b"") if self._keeps_keys else place
            cached = self._cache[place]
            data = self._encode(cached) if self._keeps_values else cached
            if data is None:
                self._bytes.delete(key_bytes)
            else:
                self._bytes.put(key_bytes, data)
        self._dirty.clear()
        if not self._keeps_values or len(self._cache) > self.max_cached:
            self._cache.clear()

    def _scan(self, low: bytes | None, high: bytes | None, reverse: bool) -> Iterator[tuple[K, V]]:
        self.commit()
        for key, data in self._bytes.scan(low, high, reverse=reverse):
            yield self._key_object(key), self._decode(data)

    def approximate_num_entries(self) -> int:
        self.commit()
        return self._bytes.approximate_count()

    def close(self) -> None:
        self.commit()
        self._bytes.flush()
        self._bytes.close()
