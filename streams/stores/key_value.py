"""Key-value stores, plain and timestamped.

A timestamped store, the kind behind every table, holds `(value, timestamp)` pairs: event time moves with the value.
Scans go in the order of the keys' bytes. Iterators see the keys as they were when the scan began.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from streams.errors import StateStoreError
from streams.records import Headers
from streams.serdes import Serde
from streams.stores.builder import StoreBuilder, StoreKind
from streams.stores.byte_map import after_prefix
from streams.stores.store import StateStore, StoreContext

K = TypeVar("K")
V = TypeVar("V")


class KeyValueStore(StateStore, ABC, Generic[K, V]):
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

    @abstractmethod
    def get(self, key: K) -> V | None:
        """The value, or `(value, timestamp)` in a timestamped store; None when there is none."""

    @abstractmethod
    def _save(self, key: K, value: V | None) -> None:
        """Write without logging; None deletes."""

    @abstractmethod
    def _scan(self, low: bytes | None, high: bytes | None, reverse: bool) -> Iterator[tuple[K, V]]:
        """Rows whose keys' bytes lie in [low, high), None leaving an end open."""

    @abstractmethod
    def approximate_num_entries(self) -> int: ...

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
