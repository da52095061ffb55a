"""Grouped streams per window: tumbling, hopping, sliding, unlimited, and sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack

from streams.dsl.materialized import Materialized, StoreOptions
from streams.errors import TopologyError
from streams.operators.aggregate import count_aggregator, count_initializer
from streams.operators.late import LateRecords
from streams.operators.session_aggregate import SessionAggregate
from streams.operators.sliding_aggregate import SlidingAggregate
from streams.operators.window_aggregate import WindowAggregate
from streams.serdes import LONG, Serde
from streams.stores.builder import StoreBuilder
from streams.windowed_keys import SessionWindowedSerde, TimeWindowedSerde, Windowed
from streams.windows import EmitStrategy, SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows

if TYPE_CHECKING:
    from streams.dsl.grouped import KGroupedStream
    from streams.dsl.table import KTable

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")

Aggregator = Callable[[Any, Any, Any], Any]


def nothing() -> None:
    """The initial aggregate of a reduce."""


def reducing(reducer: Callable[[Any, Any], Any]) -> Aggregator:
    """A reducer as an aggregator that starts from nothing."""
    return lambda _key, value, aggregate: value if aggregate is None else reducer(aggregate, value)


class WindowedStream(Generic[K, V]):
    """What time windows and sessions share: how their stores are named and serdes inherited."""

    def __init__(self, grouped: KGroupedStream[K, V]) -> None:
        self._grouped = grouped
        self._emit_strategy = EmitStrategy.on_window_update()

    def _materialized(
        self, store: StoreOptions, prefix: str, value_serde: Serde[Any] | None, *, is_count: bool = False
    ) -> Materialized:
        grouped = self._grouped
        options = Materialized.of(store)
        if is_count and store and options.name is None:
            grouped.plan.new_store_name(prefix)
        return grouped.plan.with_store_name(options, prefix).with_serdes(grouped.key_serde, value_serde)

    def _late(self, late: str | None) -> LateRecords | None:
        grouped = self._grouped
        return None if late is None else LateRecords(late, grouped.key_serde, grouped.value_serde)


class TimeWindowedKStream(WindowedStream[K, V]):
    """Aggregations per time window. `late` names a topic for the records that came after all their windows' grace."""

    def __init__(self, grouped: KGroupedStream[K, V], windows: TimeWindows | UnlimitedWindows | SlidingWindows) -> None:
        super().__init__(grouped)
        self._windows = windows

    def emit_strategy(self, emit_strategy: EmitStrategy) -> TimeWindowedKStream[K, V]:
        if emit_strategy.is_on_window_close and isinstance(self._windows, UnlimitedWindows):
            raise TopologyError("unlimited windows never close: they can't emit on close")
        self._emit_strategy = emit_strategy
        return self

    def count(
        self, *, name: str | None = None, late: str | None = None, **store: Unpack[StoreOptions]
    ) -> KTable[Windowed[K], int]:
        is_sliding = isinstance(self._windows, SlidingWindows)  # Kafka spends one number less on their names
        materialized = self._materialized(store, "KSTREAM-AGGREGATE-", LONG, is_count=not is_sliding)
        return self._build(name, "KSTREAM-AGGREGATE-", materialized, count_initializer, count_aggregator, late)

    def reduce(
        self,
        reducer: Callable[[Any, Any], V],
        *,
        name: str | None = None,
        late: str | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[Windowed[K], V]:
        """`reducer(aggregate, value)`."""
        materialized = self._materialized(store, "KSTREAM-REDUCE-", self._grouped.value_serde)
        return self._build(name, "KSTREAM-REDUCE-", materialized, nothing, reducing(reducer), late)

    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[Any, Any, Any], A],
        *,
        name: str | None = None,
        late: str | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[Windowed[K], A]:
        """`aggregator(key, value, aggregate)`."""
        materialized = self._materialized(store, "KSTREAM-AGGREGATE-", None)
        return self._build(name, "KSTREAM-AGGREGATE-", materialized, initializer, aggregator, late)

    def _build(
        self,
        name: str | None,
        prefix: str,
        materialized: Materialized,
        initializer: Callable[[], Any],
        aggregator: Aggregator,
        late: str | None,
    ) -> KTable[Any, Any]:
        grouped, windows = self._grouped, self._windows
        function = grouped.plan.named(name, prefix)
        store = materialized.window_store(windows, self._emit_strategy)
        operator = windowed_operator(store, windows, initializer, aggregator, self._emit_strategy, self._late(late))
        return grouped.aggregated(
            function,
            operator,
            materialized,
            grace_ms=windows.grace_ms,
            key_serde=TimeWindowedSerde(materialized.key_serde, window_size_ms(windows)),
        )


def window_size_ms(windows: TimeWindows | UnlimitedWindows | SlidingWindows) -> int:
    return windows.time_difference_ms if isinstance(windows, SlidingWindows) else windows.size_ms


def windowed_operator(
    store: StoreBuilder,
    windows: TimeWindows | UnlimitedWindows | SlidingWindows,
    initializer: Callable[[], Any],
    aggregator: Aggregator,
    emit_strategy: EmitStrategy,
    late: LateRecords | None,
) -> WindowAggregate | SlidingAggregate:
    """The operator that fits the windows."""
    if isinstance(windows, SlidingWindows):
        return SlidingAggregate(store, windows, initializer, aggregator, emit_strategy, late)
    return WindowAggregate(store, windows, initializer, aggregator, emit_strategy, late)


class SessionWindowedKStream(WindowedStream[K, V]):
    """Aggregations per session. `merger(key, one, other)` unites the aggregates of sessions that a record bridges."""

    def __init__(self, grouped: KGroupedStream[K, V], windows: SessionWindows) -> None:
        super().__init__(grouped)
        self._windows = windows

    def emit_strategy(self, emit_strategy: EmitStrategy) -> SessionWindowedKStream[K, V]:
        self._emit_strategy = emit_strategy
        return self

    def count(
        self, *, name: str | None = None, late: str | None = None, **store: Unpack[StoreOptions]
    ) -> KTable[Windowed[K], int]:
        materialized = self._materialized(store, "KSTREAM-AGGREGATE-", LONG, is_count=True)
        functions = count_initializer, count_aggregator, lambda _key, one, other: one + other
        return self._build(name, "KSTREAM-AGGREGATE-", materialized, functions, late)

    def reduce(
        self,
        reducer: Callable[[Any, Any], V],
        *,
        name: str | None = None,
        late: str | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[Windowed[K], V]:
        """`reducer(aggregate, value)`, which also merges sessions."""
        materialized = self._materialized(store, "KSTREAM-REDUCE-", self._grouped.value_serde)
        aggregator = reducing(reducer)
        functions = nothing, aggregator, lambda key, one, other: aggregator(key, other, one)
        return self._build(name, "KSTREAM-REDUCE-", materialized, functions, late)

    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[Any, Any, Any], A],
        merger: Callable[[Any, Any, Any], A],
        *,
        name: str | None = None,
        late: str | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[Windowed[K], A]:
        """`aggregator(key, value, aggregate)` and `merger(key, aggregate, aggregate)`."""
        materialized = self._materialized(store, "KSTREAM-AGGREGATE-", None)
        return self._build(name, "KSTREAM-AGGREGATE-", materialized, (initializer, aggregator, merger), late)

    def _build(
        self,
        name: str | None,
        prefix: str,
        materialized: Materialized,
        functions: tuple[Callable[[], Any], Aggregator, Aggregator],
        late: str | None,
    ) -> KTable[Any, Any]:
        grouped, windows = self._grouped, self._windows
        function = grouped.plan.named(name, prefix)
        store = materialized.session_store(windows, self._emit_strategy)
        operator = SessionAggregate(store, windows, *functions, self._emit_strategy, self._late(late))
        return grouped.aggregated(
            function,
            operator,
            materialized,
            grace_ms=windows.grace_ms + windows.gap_ms,
            key_serde=SessionWindowedSerde(materialized.key_serde),
        )
