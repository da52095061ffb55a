"""How a step's result is kept: `store`, serdes, retention, logging; as keyword options of the steps that keep state."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, TypedDict, cast

from streams.errors import TopologyError
from streams.serdes import Serde
from streams.stores.builder import StoreBuilder, StoreKind, StoreSupplier
from streams.windows import Duration, EmitStrategy, SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows, to_ms


class KeepOptions(TypedDict, total=False):
    """`store` is a name, which makes the store queryable, or a supplier, which also says what kind it is.

    Without any option a store is named after its step. `logging` is whether changes go to a changelog topic, or the
    settings of that topic.
    """

    store: str | StoreSupplier
    retention: Duration
    logging: bool | dict[str, str]
    caching: bool


class StoreOptions(KeepOptions, total=False):
    """And the store's serdes, where the step doesn't inherit the right ones."""

    key: Serde[Any]
    value: Serde[Any]


@dataclass(frozen=True, slots=True)
class Materialized:
    """The options, resolved as far as the step can; `name` is set once the store has one."""

    supplier: StoreSupplier | None = None
    name: str | None = None
    key_serde: Serde[Any] | None = None
    value_serde: Serde[Any] | None = None
    retention_ms: int | None = None
    is_logged: bool = True
    log_config: dict[str, str] = field(default_factory=dict)
    is_cached: bool = True
    is_queryable: bool = False

    @classmethod
    def of(cls, options: StoreOptions | KeepOptions) -> Materialized:
        unknown = set(options) - set(StoreOptions.__annotations__)
        if unknown:
            raise TypeError(f"unknown store option {', '.join(sorted(unknown))}")
        store, logging = options.get("store"), options.get("logging", True)
        supplier = store if isinstance(store, StoreSupplier) else None
        name = store if isinstance(store, str) else None if supplier is None else supplier.name
        retention = options.get("retention")
        return cls(
            supplier,
            name,
            cast(Any, options.get("key")),
            cast(Any, options.get("value")),
            None if retention is None else to_ms(retention),
            bool(logging) or isinstance(logging, dict),
            logging if isinstance(logging, dict) else {},
            options.get("caching", True),
            name is not None,
        )

    def named(self, name: str) -> Materialized:
        return replace(self, name=name)

    def with_serdes(self, key: Serde[Any] | None, value: Serde[Any] | None) -> Materialized:
        """These serdes where the options named none."""
        return replace(self, key_serde=self.key_serde or key, value_serde=self.value_serde or value)

    @property
    def is_versioned(self) -> bool:
        return self.supplier is not None and self.supplier.is_versioned

    @property
    def store_name(self) -> str:
        if self.name is None:
            raise TopologyError("a store has no name yet")
        return self.name

    def _builder(self, supplier: StoreSupplier) -> StoreBuilder:
        return StoreBuilder(
            supplier,
            self.key_serde,
            self.value_serde,
            is_logged=self.is_logged,
            log_config=self.log_config,
            is_cached=self.is_cached,
        )

    def table_store(self) -> StoreBuilder:
        supplier = self.supplier or StoreSupplier(self.store_name, StoreKind.KEY_VALUE)
        if supplier.kind not in (StoreKind.KEY_VALUE, StoreKind.VERSIONED):
            raise TopologyError(f"store {supplier.name} can't hold a table: it is a {supplier.kind.value} store")
        if not supplier.is_versioned:
            supplier = replace(supplier, kind=StoreKind.TIMESTAMPED_KEY_VALUE)
        return self._builder(supplier)

    def window_store(
        self, windows: TimeWindows | UnlimitedWindows | SlidingWindows, emit_strategy: EmitStrategy
    ) -> StoreBuilder:
        if isinstance(windows, SlidingWindows):
            size_ms = windows.time_difference_ms
            needed_ms = 2 * size_ms + windows.grace_ms
        else:
            size_ms = windows.size_ms
            needed_ms = size_ms + windows.grace_ms
        retention_ms = needed_ms if self.retention_ms is None else self.retention_ms
        if retention_ms < needed_ms:
            raise TopologyError(f"store {self.store_name} keeps windows {retention_ms} ms; they need {needed_ms} ms")
        supplier = self.supplier or StoreSupplier(
            self.store_name,
            StoreKind.WINDOW,
            retention_ms=retention_ms,
            window_size_ms=size_ms,
            is_time_ordered=emit_strategy.is_on_window_close,
            has_key_index=isinstance(windows, SlidingWindows),
        )
        if supplier.kind is not StoreKind.WINDOW:
            raise TopologyError(f"store {supplier.name} can't hold windows: it is a {supplier.kind.value} store")
        return self._builder(replace(supplier, kind=StoreKind.TIMESTAMPED_WINDOW))

    def session_store(self, windows: SessionWindows, emit_strategy: EmitStrategy) -> StoreBuilder:
        needed_ms = windows.gap_ms + windows.grace_ms
        retention_ms = needed_ms if self.retention_ms is None else self.retention_ms
        if retention_ms < needed_ms:
            raise TopologyError(f"store {self.store_name} keeps sessions {retention_ms} ms; they need {needed_ms} ms")
        supplier = self.supplier or StoreSupplier(
            self.store_name,
            StoreKind.SESSION,
            retention_ms=retention_ms,
            is_time_ordered=emit_strategy.is_on_window_close,
        )
        if supplier.kind is not StoreKind.SESSION:
            raise TopologyError(f"store {supplier.name} can't hold sessions: it is a {supplier.kind.value} store")
        return self._builder(supplier)
