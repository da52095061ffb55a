"""How a store is described before a task builds it: suppliers (which kind, where) and builders (plus serdes)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

from streams.errors import TopologyError
from streams.serdes import Serde
from streams.windows import Duration, to_ms


class StoreKind(Enum):
    """Decides the class of the store and the bytes of its changelog."""

    KEY_VALUE = "key-value"
    TIMESTAMPED_KEY_VALUE = "timestamped key-value"
    VERSIONED = "versioned"
    WINDOW = "window"
    TIMESTAMPED_WINDOW = "timestamped window"
    SESSION = "session"
    OUTER_JOIN = "outer join"
    SUPPRESS = "suppress"
    STREAM_BUFFER = "stream buffer"


@dataclass(frozen=True, slots=True)
class StoreSupplier:
    """Name, kind and retention of a store; a builder adds serdes. `is_persistent` None takes the app's default."""

    name: str
    kind: StoreKind
    is_persistent: bool | None = None
    retention_ms: int = 0
    window_size_ms: int = 0
    retain_duplicates: bool = False
    segment_interval_ms: int | None = None
    is_time_ordered: bool = False
    has_key_index: bool = False
    forgets_timestamps: bool = False
    """Whether a table in this store finds NO_TIMESTAMP with each row it reads back."""

    @property
    def is_versioned(self) -> bool:
        return self.kind is StoreKind.VERSIONED


@dataclass(frozen=True, slots=True)
class StoreBuilder:
    """All that a task needs to build the store. Serdes that are None take the app's default."""

    supplier: StoreSupplier
    key_serde: Serde[Any] | None = None
    value_serde: Serde[Any] | None = None
    is_logged: bool = True
    log_config: dict[str, str] = field(default_factory=dict)
    is_cached: bool = True
    other_value_serde: Serde[Any] | None = None
    grace_ms: int = 0
    serde_topic: str | None = None

    @property
    def name(self) -> str:
        return self.supplier.name

    def with_logging_disabled(self) -> StoreBuilder:
        return replace(self, is_logged=False)

    def with_logging_enabled(self, config: dict[str, str]) -> StoreBuilder:
        return replace(self, is_logged=True, log_config=config)

    def with_caching_disabled(self) -> StoreBuilder:
        return replace(self, is_cached=False)

    def with_caching_enabled(self) -> StoreBuilder:
        return replace(self, is_cached=True)


def _named(name: str) -> str:
    if not name:
        raise TopologyError("a store needs a name")
    return name


def _retention(retention: Duration, window_size: Duration) -> tuple[int, int]:
    retention_ms, window_size_ms = to_ms(retention), to_ms(window_size)
    if retention_ms < 0 or window_size_ms < 0:
        raise TopologyError("retention and window size can't be negative")
    if window_size_ms > retention_ms:
        raise TopologyError(f"a store of windows of {window_size_ms} ms can't forget them after {retention_ms} ms")
    return retention_ms, window_size_ms


class Stores:
    """Kafka Streams' factory, with its names in snake case."""

    @staticmethod
    def persistent_key_value_store(name: str) -> StoreSupplier:
        """For stores of your own. A table kept in it loses its rows' timestamps, as in Kafka: give it the next one."""
        return StoreSupplier(_named(name), StoreKind.KEY_VALUE, True, forgets_timestamps=True)

    @staticmethod
    def persistent_timestamped_key_value_store(name: str) -> StoreSupplier:
        return StoreSupplier(_named(name), StoreKind.KEY_VALUE, True)

    @staticmethod
    def in_memory_key_value_store(name: str) -> StoreSupplier:
        return StoreSupplier(_named(name), StoreKind.KEY_VALUE, False)

    @staticmethod
    def persistent_versioned_key_value_store(
        name: str, history_retention: Duration, segment_interval: Duration | None = None
    ) -> StoreSupplier:
        """Keeps every version of a key for `history_retention`, and takes late ones that long."""
        history_ms = to_ms(history_retention)
        if history_ms < 0:
            raise TopologyError("history retention can't be negative")
        interval_ms = None if segment_interval is None else to_ms(segment_interval)
        return StoreSupplier(_named(name), StoreKind.VERSIONED, True, history_ms, segment_interval_ms=interval_ms)

    @staticmethod
    def persistent_window_store(
        name: str, retention: Duration, window_size: Duration, retain_duplicates: bool = False
    ) -> StoreSupplier:
        """For stores of your own. A windowed table kept in it loses its rows' timestamps: give it the next one."""
        timestamped = Stores.persistent_timestamped_window_store(name, retention, window_size, retain_duplicates)
        return replace(timestamped, forgets_timestamps=True)

    @staticmethod
    def persistent_timestamped_window_store(
        name: str, retention: Duration, window_size: Duration, retain_duplicates: bool = False
    ) -> StoreSupplier:
        retention_ms, size_ms = _retention(retention, window_size)
        return StoreSupplier(_named(name), StoreKind.WINDOW, True, retention_ms, size_ms, retain_duplicates)

    @staticmethod
    def in_memory_window_store(
        name: str, retention: Duration, window_size: Duration, retain_duplicates: bool = False
    ) -> StoreSupplier:
        retention_ms, size_ms = _retention(retention, window_size)
        return StoreSupplier(_named(name), StoreKind.WINDOW, False, retention_ms, size_ms, retain_duplicates)

    @staticmethod
    def persistent_session_store(name: str, retention: Duration) -> StoreSupplier:
        return StoreSupplier(_named(name), StoreKind.SESSION, True, to_ms(retention))

    @staticmethod
    def in_memory_session_store(name: str, retention: Duration) -> StoreSupplier:
        return StoreSupplier(_named(name), StoreKind.SESSION, False, to_ms(retention))

    @staticmethod
    def _builder(
        supplier: StoreSupplier, expected: StoreKind, kind: StoreKind, key: Serde[Any] | None, value: Serde[Any] | None
    ) -> StoreBuilder:
        if supplier.kind is not expected:
            raise TopologyError(f"store {supplier.name} is a {supplier.kind.value} store, not a {expected.value} store")
        return StoreBuilder(replace(supplier, kind=kind), key, value, is_cached=False)

    @classmethod
    def key_value_store_builder(
        cls, supplier: StoreSupplier, key: Serde[Any] | None = None, value: Serde[Any] | None = None
    ) -> StoreBuilder:
        return cls._builder(supplier, StoreKind.KEY_VALUE, StoreKind.KEY_VALUE, key, value)

    @classmethod
    def timestamped_key_value_store_builder(
        cls, supplier: StoreSupplier, key: Serde[Any] | None = None, value: Serde[Any] | None = None
    ) -> StoreBuilder:
        return cls._builder(supplier, StoreKind.KEY_VALUE, StoreKind.TIMESTAMPED_KEY_VALUE, key, value)

    @classmethod
    def versioned_key_value_store_builder(
        cls, supplier: StoreSupplier, key: Serde[Any] | None = None, value: Serde[Any] | None = None
    ) -> StoreBuilder:
        return cls._builder(supplier, StoreKind.VERSIONED, StoreKind.VERSIONED, key, value)

    @classmethod
    def window_store_builder(
        cls, supplier: StoreSupplier, key: Serde[Any] | None = None, value: Serde[Any] | None = None
    ) -> StoreBuilder:
        return cls._builder(supplier, StoreKind.WINDOW, StoreKind.WINDOW, key, value)

    @classmethod
    def timestamped_window_store_builder(
        cls, supplier: StoreSupplier, key: Serde[Any] | None = None, value: Serde[Any] | None = None
    ) -> StoreBuilder:
        return cls._builder(supplier, StoreKind.WINDOW, StoreKind.TIMESTAMPED_WINDOW, key, value)

    @classmethod
    def session_store_builder(
        cls, supplier: StoreSupplier, key: Serde[Any] | None = None, value: Serde[Any] | None = None
    ) -> StoreBuilder:
        return cls._builder(supplier, StoreKind.SESSION, StoreKind.SESSION, key, value)
