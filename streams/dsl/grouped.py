"""Grouped streams and grouped tables: what aggregations start from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, Unpack

from streams.change_serde import ChangeSerde
from streams.dsl.base import Flow, K, V
from streams.dsl.graph import GraphNode, ProcessorStep, RepartitionStep
from streams.dsl.materialized import Materialized, StoreOptions
from streams.dsl.table import KTable
from streams.dsl.windowed import SessionWindowedKStream, TimeWindowedKStream
from streams.engine.operator import TableOperator
from streams.operators.aggregate import Aggregate, Count, Reduce, count_initializer
from streams.operators.regroup import TableAggregate, TableReduce
from streams.serdes import LONG, Serde
from streams.windows import SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows

A = TypeVar("A")


class KGroupedStream(Flow[K, V]):
    """Aggregations over all time, `windowed_by` for those per window, `cogroup` for several streams into one table."""

    def __init__(self, *args: Any, needs_repartition: bool, group_name: str | None) -> None:
        super().__init__(*args)
        self.needs_repartition = needs_repartition
        self.group_name = group_name
        self._repartition: RepartitionStep | None = None

    def count(self, *, name: str | None = None, **store: Unpack[StoreOptions]) -> KTable[K, int]:
        """How many records each key had. Null keys and null values don't count."""
        options = Materialized.of(store)
        if store and options.name is None:
            self.plan.new_store_name("KSTREAM-AGGREGATE-")
        materialized = self.plan.with_store_name(options, "KSTREAM-AGGREGATE-").with_serdes(self.key_serde, LONG)
        function = self.plan.named(name, "KSTREAM-AGGREGATE-")
        return self.aggregated(function, Count(materialized.table_store()), materialized)

    def reduce(
        self, reducer: Callable[[Any, Any], V], *, name: str | None = None, **store: Unpack[StoreOptions]
    ) -> KTable[K, V]:
        """`reducer(aggregate, value)`; the first value of a key is its first aggregate."""
        materialized = self.plan.with_store_name(Materialized.of(store), "KSTREAM-REDUCE-")
        materialized = materialized.with_serdes(self.key_serde, self.value_serde)
        function = self.plan.named(name, "KSTREAM-REDUCE-")
        return self.aggregated(function, Reduce(materialized.table_store(), reducer), materialized)

    def aggregate(
        self,
        initializer: Callable[[], A],
        aggregator: Callable[[Any, Any, Any], A],
        *,
        name: str | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, A]:
        """`aggregator(key, value, aggregate)`, starting from `initializer()`."""
        materialized = self.plan.with_store_name(Materialized.of(store), "KSTREAM-AGGREGATE-")
        materialized = materialized.with_serdes(self.key_serde, None)
        function = self.plan.named(name, "KSTREAM-AGGREGATE-")
        operator = Aggregate(materialized.table_store(), initializer, aggregator)
        return self.aggregated(function, operator, materialized)

    def windowed_by(self, windows: TimeWindows | UnlimitedWindows | SlidingWindows | SessionWindows) -> Any:
        """Per window: gives a TimeWindowedKStream, or a SessionWindowedKStream for SessionWindows."""
        if isinstance(windows, SessionWindows):
            return SessionWindowedKStream(self, windows)
        return TimeWindowedKStream(self, windows)

    def cogroup(self, aggregator: Callable[[Any, Any, Any], A]) -> CogroupedKStream[K, A]:
        """The first of several grouped streams that share one aggregate."""
        from streams.dsl.cogroup import CogroupedKStream

        return CogroupedKStream(self, aggregator)

    # -- for the windowed steps

    def aggregated(
        self,
        function: str,
        operator: TableOperator,
        materialized: Materialized,
        *,
        grace_ms: int | None = None,
        key_serde: Serde[Any] | None = None,
    ) -> KTable[Any, Any]:
        """The table of an aggregation, behind a repartition if the key may have changed."""
        parent, sources = self.node, self.sources
        if self.needs_repartition:
            prefix = self.group_name or materialized.store_name
            step = self.plan.repartition_step(self.key_serde, self.value_serde, prefix)
            if self._repartition is None or self.group_name is None:
                self._repartition = step
            self.plan.add(self._repartition, parent)
            parent, sources = self._repartition, frozenset((step.name,))
        node = ProcessorStep(function, operator)
        node.output_is_versioned = materialized.is_versioned
        node.grace_ms = grace_ms
        self.plan.add(node, parent)
        return KTable(
            self.plan,
            node,
            function,
            key_serde or materialized.key_serde,
            materialized.value_serde,
            sources,
            operator=operator,
            store_name=materialized.name if materialized.is_queryable else None,
        )


class KGroupedTable(Flow[K, V]):
    """A regrouped table: aggregations add what enters a group and subtract what leaves it."""

    def __init__(self, *args: Any, group_name: str | None) -> None:
        super().__init__(*args)
        self._group_name = group_name
        self._repartition: GraphNode | None = None

    def count(self, *, name: str | None = None, **store: Unpack[StoreOptions]) -> KTable[K, int]:
        """How many rows each group has."""
        materialized = self._materialized(store, LONG)
        operator = TableAggregate(
            materialized.table_store(), count_initializer, lambda _k, _v, n: n + 1, lambda _k, _v, n: n - 1
        )
        return self._aggregated(operator, name, "KTABLE-AGGREGATE-", materialized)

    def reduce(
        self,
        adder: Callable[[Any, Any], V],
        subtractor: Callable[[Any, Any], V],
        *,
        name: str | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, V]:
        """Both take (aggregate, value)."""
        materialized = self._materialized(store, self.value_serde)
        operator = TableReduce(materialized.table_store(), adder, subtractor)
        return self._aggregated(operator, name, "KTABLE-REDUCE-", materialized)

    def aggregate(
        self,
        initializer: Callable[[], A],
        adder: Callable[[Any, Any, Any], A],
        subtractor: Callable[[Any, Any, Any], A],
        *,
        name: str | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, A]:
        """Adder and subtractor take (key, value, aggregate)."""
        materialized = self._materialized(store, None)
        operator = TableAggregate(materialized.table_store(), initializer, adder, subtractor)
        return self._aggregated(operator, name, "KTABLE-AGGREGATE-", materialized)

    def _materialized(self, store: StoreOptions, value_serde: Serde[Any] | None) -> Materialized:
        materialized = self.plan.with_store_name(Materialized.of(store), "KTABLE-AGGREGATE-")
        return materialized.with_serdes(self.key_serde, value_serde)

    def _aggregated(
        self, operator: TableOperator, name: str | None, prefix: str, materialized: Materialized
    ) -> KTable[Any, Any]:
        sink = self.plan.suffixed(name, "-sink", "KSTREAM-SINK-")
        source = self.plan.suffixed(name, "-source", "KSTREAM-SOURCE-")
        function = self.plan.named(name, prefix)
        topic = f"{self._group_name or materialized.store_name}-repartition"
        if self._repartition is None or self._group_name is None:
            change_serde = ChangeSerde(self.value_serde)
            self._repartition = RepartitionStep(
                source, sink, None, topic, self.key_serde, change_serde, is_optimizable=False
            )
        self.plan.add(self._repartition, self.node)
        node = ProcessorStep(function, operator)
        node.output_is_versioned = materialized.is_versioned
        self.plan.add(node, self._repartition)
        return KTable(
            self.plan,
            node,
            function,
            materialized.key_serde,
            materialized.value_serde,
            {source},
            operator=operator,
            store_name=materialized.name if materialized.is_queryable else None,
        )


from streams.dsl.cogroup import CogroupedKStream  # noqa: E402
