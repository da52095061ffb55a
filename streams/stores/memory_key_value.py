"""A key-value store that is a dict; a sorted index of its keys is made once somebody scans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from streams.stores.builder import StoreBuilder
from streams.stores.byte_map import SortedKeys
from streams.stores.key_value import KeyValueStore
from streams.stores.store import StoreContext

K = TypeVar("K")
V = TypeVar("V")


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
