"""A key-value store on disk: an ordered map of bytes, and before it a cache of objects that is written at a commit."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from streams.records import NO_TIMESTAMP, Headers
from streams.stores.builder import StoreBuilder
from streams.stores.byte_map import ByteMap
from streams.stores.key_value import KeyValueStore
from streams.stores.store import RestoredRecord, StoreContext

K = TypeVar("K")
V = TypeVar("V")

_LONG = struct.Struct(">q")


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
