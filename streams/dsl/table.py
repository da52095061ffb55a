"""KTable: the latest row of each key, and how it changes. GlobalKTable: a table that every task sees whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Unpack

from streams.dsl.base import Flow, K, V
from streams.dsl.graph import GraphNode, ProcessorStep, SuppressStep, VersionedStep
from streams.dsl.join_steps import TableJoinStep
from streams.dsl.materialized import Materialized, StoreOptions
from streams.dsl.suppressed import Suppressed
from streams.engine.operator import TableOperator
from streams.errors import TopologyError
from streams.functions import positional_count, reversed_table_joiner
from streams.operators.regroup import Regroup
from streams.operators.stateless import ToStream
from streams.operators.suppress import Suppress
from streams.operators.table import TableFilter, TableMapValues
from streams.operators.table_join import Side, TableJoinMerge, TableJoinSide
from streams.serdes import Serde
from streams.stores.builder import StoreBuilder, StoreKind, StoreSupplier

if TYPE_CHECKING:
    from streams.dsl.grouped import KGroupedTable
    from streams.dsl.stream import KStream

K2 = TypeVar("K2")
V2 = TypeVar("V2")


class KTable(Flow[K, V]):
    """Steps give new tables. Rows that a filter refuses, and rows deleted by None, become tombstones downstream."""

    def __init__(self, *args: Any, operator: TableOperator, store_name: str | None = None) -> None:
        super().__init__(*args)
        self.operator = operator
        self.queryable_store_name = store_name

    def _derived(
        self, node: ProcessorStep, operator: TableOperator, options: Materialized | None, value_serde: Serde[Any] | None
    ) -> KTable[Any, Any]:
        key_serde = self.key_serde
        if options is not None:
            node.output_is_versioned = options.is_versioned
            key_serde, value_serde = options.key_serde, options.value_serde
        self.plan.add(node, self.node)
        name = None if options is None or not options.is_queryable else options.name
        return KTable(
            self.plan, node, node.name, key_serde, value_serde, self.sources, operator=operator, store_name=name
        )

    def _options(self, store: StoreOptions, prefix: str, value_serde: Serde[Any] | None) -> Materialized | None:
        """None without options. Options that don't name the store keep nothing, but take a number, as in Kafka."""
        if not store:
            return None
        options = Materialized.of(store)
        if options.name is None:
            self.plan.new_store_name(prefix)
        return options.with_serdes(self.key_serde, value_serde)

    def filter(
        self, predicate: Callable[..., Any], *, name: str | None = None, **store: Unpack[StoreOptions]
    ) -> KTable[K, V]:
        """Rows that pass. A row that passed and doesn't any more is deleted."""
        return self._filter(predicate, name, store, negated=False)

    def filter_not(
        self, predicate: Callable[..., Any], *, name: str | None = None, **store: Unpack[StoreOptions]
    ) -> KTable[K, V]:
        return self._filter(predicate, name, store, negated=True)

    def _filter(
        self, predicate: Callable[..., Any], name: str | None, store: StoreOptions, *, negated: bool
    ) -> KTable[K, V]:
        options = self._options(store, "KTABLE-FILTER-", self.value_serde)
        builder = options.table_store() if options is not None and options.is_queryable else None
        node_name = self.plan.named(name, "KTABLE-FILTER-")
        operator = TableFilter(self.operator, builder, predicate, negated=negated)
        return self._derived(VersionedStep(node_name, operator), operator, options, self.value_serde)

    def map_values(
        self, mapper: Callable[..., V2], *, name: str | None = None, **store: Unpack[StoreOptions]
    ) -> KTable[K, V2]:
        """New values for rows. `mapper` takes the value, or key and value; it never sees tombstones."""
        options = self._options(store, "KTABLE-MAPVALUES-", None)
        builder = options.table_store() if options is not None and options.is_queryable else None
        node_name = self.plan.named(name, "KTABLE-MAPVALUES-")
        operator = TableMapValues(self.operator, builder, mapper)
        return self._derived(ProcessorStep(node_name, operator), operator, options, None)

    def to_stream(self, selector: Callable[..., Any] | None = None, *, name: str | None = None) -> KStream[Any, V]:
        """The changes as a stream, deletions as None values; `selector` chooses new keys."""
        from streams.dsl.stream import KStream

        node = ProcessorStep(self.plan.named(name, "KTABLE-TOSTREAM-"), ToStream())
        self.plan.add(node, self.node)
        stream: KStream[Any, V] = KStream(
            self.plan, node, node.name, self.key_serde, self.value_serde, self.sources, needs_repartition=False
        )
        return stream if selector is None else stream.select_key(selector)

    def suppress(self, suppressed: Suppressed) -> KTable[K, V]:
        """Hold changes back: until the window closes, or for a while."""
        if self.node.output_is_versioned:
            raise TopologyError("suppress() is only for tables that aren't versioned")
        generated = self.plan.new_name("KTABLE-SUPPRESS-") if suppressed.name is None else suppressed.name
        wait_ms = window_grace_ms(self.node) if suppressed.wait_ms is None else suppressed.wait_ms
        if suppressed.name is None:
            store_name = self.plan.new_store_name("KTABLE-SUPPRESS-")
        else:
            store_name = f"{suppressed.name}-store"
        store = StoreBuilder(
            StoreSupplier(store_name, StoreKind.SUPPRESS, False),
            self.key_serde,
            self.value_serde,
            is_logged=suppressed.bounds.is_logged,
        )
        operator = Suppress(self.operator, store, suppressed, wait_ms)
        node = SuppressStep(generated, operator)
        node.output_is_versioned = False
        self.plan.add(node, self.node)
        return KTable(self.plan, node, generated, self.key_serde, self.value_serde, {self.name}, operator=operator)

    def group_by(
        self,
        selector: Callable[[Any, Any], tuple[K2, V2]],
        *,
        name: str | None = None,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
    ) -> KGroupedTable[K2, V2]:
        """`selector(key, value)` gives each row's group and what it contributes."""
        from streams.dsl.grouped import KGroupedTable

        node_name = self.plan.named(name, "KTABLE-SELECT-")
        operator = Regroup(self.operator, selector)
        node = VersionedStep(node_name, operator)
        self.plan.add(node, self.node)
        self.operator.enable_sending_old_values(True)
        return KGroupedTable(self.plan, node, node_name, key, value, self.sources, group_name=name)

    # -- joins

    def join(
        self,
        other: KTable[Any, Any],
        joiner: Callable[[Any, Any], V2],
        *,
        foreign_key: Callable[..., Any] | None = None,
        name: str | None = None,
        partitioner: Any = None,
        other_partitioner: Any = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, V2]:
        """Inner join by key, or by the key that `foreign_key(value)` or `foreign_key(key, value)` gives."""
        return self._join(other, joiner, foreign_key, name, (partitioner, other_partitioner), store, False, False)

    def left_join(
        self,
        other: KTable[Any, Any],
        joiner: Callable[[Any, Any], V2],
        *,
        foreign_key: Callable[..., Any] | None = None,
        name: str | None = None,
        partitioner: Any = None,
        other_partitioner: Any = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, V2]:
        """As `join`, with None for rows of this table that have no partner."""
        return self._join(other, joiner, foreign_key, name, (partitioner, other_partitioner), store, True, False)

    def outer_join(
        self,
        other: KTable[K, Any],
        joiner: Callable[[Any, Any], V2],
        *,
        name: str | None = None,
        **store: Unpack[StoreOptions],
    ) -> KTable[K, V2]:
        """As `join`, with None for rows of either table that have no partner."""
        return self._join(other, joiner, None, name, (None, None), store, True, True)

    def _join(
        self,
        other: KTable[Any, Any],
        joiner: Callable[[Any, Any], Any],
        foreign_key: Callable[..., Any] | None,
        name: str | None,
        partitioners: tuple[Any, Any],
        store: StoreOptions,
        left_outer: bool,
        right_outer: bool,
    ) -> KTable[Any, Any]:
        if positional_count(joiner, 2) != 2:
            raise TopologyError("joiners of tables take (left, right)")
        if foreign_key is not None:
            from streams.dsl.foreign_key import join_on_foreign_key

            return join_on_foreign_key(self, other, joiner, foreign_key, name, partitioners, store, left_outer)
        return self._join_by_key(other, joiner, name, store, left_outer, right_outer)

    def _join_by_key(
        self,
        other: KTable[Any, Any],
        joiner: Callable[[Any, Any], Any],
        name: str | None,
        store: StoreOptions,
        left_outer: bool,
        right_outer: bool,
    ) -> KTable[Any, Any]:
        plan, options = self.plan, None
        if store:
            options = plan.with_store_name(Materialized.of(store), "KTABLE-MERGE-").with_serdes(self.key_serde, None)
        merge_name = plan.named(name, "KTABLE-MERGE-")
        sources = self.copartition_with(other)
        if left_outer:
            self.operator.enable_sending_old_values(True)
        if right_outer:
            other.operator.enable_sending_old_values(True)
        sides = (Side.INNER, Side.INNER)
        if left_outer:
            sides = (Side.OUTER, Side.OUTER) if right_outer else (Side.LEFT, Side.RIGHT)
        this_side = TableJoinSide(self.operator, other.operator, joiner, sides[0])
        other_side = TableJoinSide(other.operator, self.operator, reversed_table_joiner(joiner), sides[1])
        this_name = plan.suffixed(name, "-join-this", "KTABLE-JOINTHIS-")
        other_name = plan.suffixed(name, "-join-other", "KTABLE-JOINOTHER-")
        merge = TableJoinMerge(this_side, other_side, None if options is None else options.table_store())
        node = TableJoinStep(
            merge_name,
            (this_name, this_side, self.node, self.name),
            (other_name, other_side, other.node, other.name),
            merge,
            self.operator.view_store_names,
            other.operator.view_store_names,
        )
        node.output_is_versioned = options is not None and options.is_versioned
        plan.add(node, self.node)
        plan.add(node, other.node)
        key_serde = self.key_serde if options is None else options.key_serde
        value_serde = None if options is None else options.value_serde
        store_name = None if options is None else options.name
        return KTable(plan, node, merge_name, key_serde, value_serde, sources, operator=merge, store_name=store_name)


class GlobalKTable(Generic[K, V]):
    """A table that every task has in full, for streams to be joined with by any key."""

    def __init__(self, store_name: str, queryable_store_name: str | None) -> None:
        self.store_name = store_name
        self.queryable_store_name = queryable_store_name


def window_grace_ms(node: GraphNode, chain: str = "") -> int:
    """The grace of the windowed aggregation above: how long to wait for a final result."""
    if node.grace_ms is not None:
        return node.grace_ms
    chain = f"{node.name}->{chain}" if chain else node.name
    if not node.parents:
        raise TopologyError(f"window close time is only defined for windowed computations. Got [{chain}].")
    return max(window_grace_ms(parent, chain) for parent in node.parents)
