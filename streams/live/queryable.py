"""State stores as `Streams.store` gives them: read only, of the whole app, whoever keeps which part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from streams.config import StreamsConfig
from streams.errors import StateStoreError
from streams.live.questions import Row, StoreCodec, builder_of
from streams.live.routing import Router
from streams.serdes import Serde
from streams.stores.builder import StoreKind
from streams.stores.byte_map import after_prefix
from streams.stores.versioned import VersionedRecord
from streams.topology import Topology
from streams.windowed_keys import MAX_TIME, Windowed

K = TypeVar("K")
V = TypeVar("V")


class QueryableStore(Generic[K, V]):
    """What all of them share. Values come without their timestamps; rows of several partitions in no common order."""

    def __init__(self, name: str, codec: StoreCodec, router: Router) -> None:
        self.name = name
        self._codec = codec
        self._router = router

    def _key(self, key: Any) -> bytes:
        data = self._codec.key_bytes(key)
        if data is None:
            raise StateStoreError(f"store {self.name}: a key can't be None")
        return data

    def _ask_owner(self, key: Any, what: str, *arguments: Any) -> list[Row]:
        data = self._key(key)
        is_global = self.name in self._router.topology.global_stores
        partition = 0 if is_global else self._router.partition_of(self.name, data)
        return self._router.ask(self.name, partition, what, data, *arguments)

    def _ask_all(self, what: str, *arguments: Any) -> Iterator[Row]:
        for partition in self._router.partitions(self.name):
            yield from self._router.ask(self.name, partition, what, *arguments)

    def _value(self, row: Row) -> Any:
        return self._codec.value_object(row[3])

    def _windowed(self, row: Row) -> tuple[Windowed[Any], Any]:
        return Windowed(self._codec.key_object(row[0]), row[1], row[2]), self._value(row)


class QueryableKeyValueStore(QueryableStore[K, V]):
    """`get`, ranges, prefixes. Within a partition rows go by the bytes of their keys."""

    def get(self, key: K) -> V | None:
        rows = self._ask_owner(key, "get")
        value: V | None = self._value(rows[0]) if rows else None
        return value

    def get_with_timestamp(self, key: K) -> tuple[V, int] | None:
        """And the event time at which it became so; -1 in a store without timestamps."""
        rows = self._ask_owner(key, "get")
        return (self._value(rows[0]), rows[0][4]) if rows else None

    def range(self, low: K | None, high: K | None, *, reverse: bool = False) -> Iterator[tuple[K, V]]:
        """Both ends included; None leaves an end open."""
        bottom, top = self._codec.key_bytes(low), self._codec.key_bytes(high)
        return self._scan(bottom, None if top is None else top + b"\x00", reverse)

    def all(self, *, reverse: bool = False) -> Iterator[tuple[K, V]]:
        return self._scan(None, None, reverse)

    def prefix_scan(self, prefix: Any, prefix_serde: Serde[Any]) -> Iterator[tuple[K, V]]:
        low = prefix_serde.serializer(self.name)(prefix) or b""
        return self._scan(low, after_prefix(low), False)

    def approximate_num_entries(self) -> int:
        return sum(row[1] for row in self._ask_all("count"))

    def _scan(self, low: bytes | None, high: bytes | None, reverse: bool) -> Iterator[tuple[K, V]]:
        for row in self._router.scan(self.name, low, high, reverse):
            yield self._codec.key_object(row[0]), self._value(row)


class QueryableWindowStore(QueryableStore[K, V]):
    """Values by key and window start; times are inclusive."""

    def fetch(self, key: K, window_start: int) -> V | None:
        rows = self._ask_owner(key, "fetch", window_start)
        value: V | None = self._value(rows[0]) if rows else None
        return value

    def fetch_between(
        self, key: K, time_from: int = 0, time_to: int = MAX_TIME, *, reverse: bool = False
    ) -> Iterator[tuple[int, V]]:
        """(start, value) of the key's windows that start then, oldest first; at most some thousand."""
        for row in self._ask_owner(key, "fetch_between", time_from, time_to, reverse):
            yield row[1], self._value(row)

    def fetch_range(
        self, low: K | None, high: K | None, time_from: int = 0, time_to: int = MAX_TIME
    ) -> Iterator[tuple[Windowed[K], V]]:
        """At most some thousand of each partition."""
        ends = self._codec.key_bytes(low), self._codec.key_bytes(high)
        return map(self._windowed, self._ask_all("fetch_range", *ends, time_from, time_to, False))

    def all(self) -> Iterator[tuple[Windowed[K], V]]:
        return self.fetch_range(None, None)


class QueryableSessionStore(QueryableStore[K, V]):
    """Values by key and session."""

    def fetch(self, key: K) -> Iterator[tuple[Windowed[K], V]]:
        return map(self._windowed, self._ask_owner(key, "fetch"))

    def fetch_session(self, key: K, start: int, end: int) -> V | None:
        rows = self._ask_owner(key, "fetch_session", start, end)
        value: V | None = self._value(rows[0]) if rows else None
        return value

    def find_sessions(self, key: K, earliest_end: int, latest_start: int) -> Iterator[tuple[Windowed[K], V]]:
        return map(self._windowed, self._ask_owner(key, "find_sessions", earliest_end, latest_start))

    def fetch_range(self, low: K | None, high: K | None) -> Iterator[tuple[Windowed[K], V]]:
        ends = self._codec.key_bytes(low), self._codec.key_bytes(high)
        return map(self._windowed, self._ask_all("fetch_range", *ends))


class QueryableVersionedStore(QueryableStore[K, V]):
    """The latest version of a key, or the one of a time."""

    def get(self, key: K) -> VersionedRecord[V] | None:
        return self._version(self._ask_owner(key, "get"))

    def get_as_of(self, key: K, timestamp: int) -> VersionedRecord[V] | None:
        return self._version(self._ask_owner(key, "get_as_of", timestamp))

    def _version(self, rows: list[Row]) -> VersionedRecord[V] | None:
        return VersionedRecord(self._value(rows[0]), rows[0][1], rows[0][2] or None) if rows else None


_CLASSES: dict[StoreKind, type[QueryableStore[Any, Any]]] = {
    StoreKind.KEY_VALUE: QueryableKeyValueStore,
    StoreKind.TIMESTAMPED_KEY_VALUE: QueryableKeyValueStore,
    StoreKind.WINDOW: QueryableWindowStore,
    StoreKind.TIMESTAMPED_WINDOW: QueryableWindowStore,
    StoreKind.SESSION: QueryableSessionStore,
    StoreKind.VERSIONED: QueryableVersionedStore,
}


def queryable_store(name: str, topology: Topology, config: StreamsConfig, router: Router) -> Any:
    """Raises StateStoreError for kinds that only joins and suppression use."""
    builder = builder_of(topology, name)
    if builder.supplier.kind not in _CLASSES:
        raise StateStoreError(f"{name} is a {builder.supplier.kind.value} store, which can't be asked")
    return _CLASSES[builder.supplier.kind](name, StoreCodec(builder, config), router)
