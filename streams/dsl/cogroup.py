"""Several grouped streams aggregated into one table, each with an aggregator of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from streams.dsl.base import Flow, K, V
from streams.dsl.graph import GraphNode, ProcessorStep
from streams.dsl.materialized import Materialized, StoreOptions
from streams.dsl.windowed import window_size_ms, windowed_operator
from streams.engine.operator import TableOperator
from streams.operators.aggregate import Aggregate, CogroupMerge
from streams.operators.session_aggregate import SessionAggregate
from streams.serdes import Serde
from streams.windowed_keys import SessionWindowedSerde, TimeWindowedSerde
from streams.windows import EmitStrategy, SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows

if TYPE_CHECKING:
    from streams.dsl.grouped import KGroupedStream
    from streams.dsl.table import KTable

A = TypeVar("A")
AnyWindows = TimeWindows | UnlimitedWindows | SlidingWindows | SessionWindows
Aggregator = Callable[[Any, Any, Any], Any]
_AGGREGATE = "COGROUPKSTREAM-AGGREGATE-"


class CogroupedKStream(Flow[K, V]):
    """`cogroup` adds streams; `aggregate`, after `windowed_by` or without, makes the table."""

    def __init__(self, first: KGroupedStream[K, Any], aggregator: Aggregator) -> None:
        super().__init__(first.plan, first.node, first.name, None, None, first.sources)
        self._groups: dict[KGroupedStream[K, Any], Aggregator] = {first: aggregator}
        self._windows: AnyWindows | None = None
        self._parents: dict[KGroupedStream[K, Any], GraphNode] = {}

    def cogroup(
        self, grouped: KGroupedStream[K, Any], aggregator: Callable[[Any, Any, Any], V]
    ) -> CogroupedKStream[K, V]:
        """`aggregator(key, value, aggregate)` for the values of `grouped`."""
        self._groups[grouped] = aggregator
        return self

    def windowed_by(self, windows: AnyWindows) -> CogroupedKStream[Any, V]:
        windowed: CogroupedKStream[Any, V] = CogroupedKStream.__new__(CogroupedKStream)
        windowed.__dict__.update(self.__dict__)
        windowed._windows = windows
        return windowed

    def aggregate(
        self,
        initializer: Callable[[], V],
        *,
        merger: Callable[[Any, Any, Any], V] | None = None,
        name: str | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[Any, V]:
        """One table of all streams. Sessions need `merger(key, aggregate, aggregate)`."""
        plan = self.plan
        materialized = plan.with_store_name(Materialized.of(store), _AGGREGATE)
        groups = list(self._groups)
        inherited = groups[0].key_serde if all(group.key_serde == groups[0].key_serde for group in groups) else None
        materialized = materialized.with_serdes(inherited, None)
        self._add_repartitions(materialized)
        make, key_serde, grace_ms = self._operator_maker(materialized, initializer, merger)
        operators: list[TableOperator] = []
        steps: list[GraphNode] = []
        for number, (group, aggregator) in enumerate(self._groups.items()):
            operator = make(aggregator)
            step = ProcessorStep(plan.suffixed(name, f"-cogroup-agg-{number}", _AGGREGATE), operator)
            if grace_ms is None:
                step.output_is_versioned = materialized.is_versioned
            step.grace_ms = grace_ms
            plan.add(step, self._parents[group])
            operators.append(operator)
            steps.append(step)
        return self._merged(operators, steps, name, key_serde, materialized)

    def _add_repartitions(self, materialized: Materialized) -> None:
        for group in self._groups:
            if not group.needs_repartition:
                self._parents[group] = group.node
                continue
            prefix = group.group_name or materialized.store_name
            step = self.plan.repartition_step(group.key_serde, group.value_serde, prefix)
            if group not in self._parents:
                self.plan.add(step, group.node)
                self._parents[group] = step
        first, *others = self._groups
        first.copartition_with(*others)

    def _operator_maker(
        self, materialized: Materialized, initializer: Callable[[], Any], merger: Aggregator | None
    ) -> tuple[Callable[[Aggregator], TableOperator], Serde[Any] | None, int | None]:
        windows, on_update = self._windows, EmitStrategy.on_window_update()
        if windows is None:
            store = materialized.table_store()
            return lambda aggregator: Aggregate(store, initializer, aggregator), materialized.key_serde, None
        if isinstance(windows, SessionWindows):
            if merger is None:
                raise TypeError("sessions need a merger")
            session_store = materialized.session_store(windows, on_update)
            return (
                lambda aggregator: SessionAggregate(
                    session_store, windows, initializer, aggregator, merger, on_update, None
                ),
                SessionWindowedSerde(materialized.key_serde),
                windows.grace_ms + windows.gap_ms,
            )
        window_store = materialized.window_store(windows, on_update)
        return (
            lambda aggregator: windowed_operator(window_store, windows, initializer, aggregator, on_update, None),
            TimeWindowedSerde(materialized.key_serde, window_size_ms(windows)),
            windows.grace_ms,
        )

    def _merged(
        self,
        operators: list[TableOperator],
        steps: list[GraphNode],
        name: str | None,
        key_serde: Serde[Any] | None,
        materialized: Materialized,
    ) -> KTable[Any, Any]:
        from streams.dsl.table import KTable

        merge_name = self.plan.suffixed(name, "-cogroup-merge", "COGROUPKSTREAM-MERGE-")
        merge = CogroupMerge(operators, materialized.store_name)
        node = ProcessorStep(merge_name, merge)
        self.plan.add(node, *steps)
        queryable = materialized.name if materialized.is_queryable else None
        return KTable(
            self.plan,
            node,
            merge_name,
            key_serde,
            materialized.value_serde,
            {merge_name},
            operator=merge,
            store_name=queryable,
        )
