"""KStream: an unbounded stream of records, and the steps that look at one record at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, Unpack

from streams.dsl.base import Flow, K, V
from streams.dsl.graph import GraphNode, ProcessorStep, RepartitionStep, SinkStep
from streams.dsl.materialized import Materialized, StoreOptions
from streams.dsl.stream_joins import StreamJoins
from streams.errors import TopologyError
from streams.functions import takes_key
from streams.operators.stateless import Filter, FlatMap, FlatMapValues, Map, MapValues, PassThrough, Peek, SelectKey
from streams.operators.table import TableSource
from streams.processor import ProcessorSupplier, UserOperator
from streams.serdes import Serde
from streams.topology import Partitioner, TopicNameExtractor

K2 = TypeVar("K2")
V2 = TypeVar("V2")


class KStream(StreamJoins[K, V]):
    """Steps give new streams. Functions of one argument get the value, of two key and value.

    `needs_repartition` says that the key may have changed: the next step that goes by key first sends the stream
    through a topic of the app's own.
    """

    needs_repartition: bool

    def __init__(self, *args: Any, needs_repartition: bool) -> None:
        super().__init__(*args)
        self.needs_repartition = needs_repartition

    def _step(
        self,
        node: GraphNode,
        *,
        key_serde: Serde[Any] | None = None,
        value_serde: Serde[Any] | None = None,
        needs_repartition: bool | None = None,
    ) -> KStream[Any, Any]:
        self.plan.add(node, self.node)
        needs = self.needs_repartition if needs_repartition is None else needs_repartition
        return KStream(self.plan, node, node.name, key_serde, value_serde, self.sources, needs_repartition=needs)

    # -- one record in, any number out

    def filter(self, predicate: Callable[..., Any], *, name: str | None = None) -> KStream[K, V]:
        node = ProcessorStep(self.plan.named(name, "KSTREAM-FILTER-"), Filter(predicate))
        return self._step(node, key_serde=self.key_serde, value_serde=self.value_serde)

    def filter_not(self, predicate: Callable[..., Any], *, name: str | None = None) -> KStream[K, V]:
        node = ProcessorStep(self.plan.named(name, "KSTREAM-FILTER-"), Filter(predicate, negated=True))
        return self._step(node, key_serde=self.key_serde, value_serde=self.value_serde)

    def select_key(self, selector: Callable[..., K2], *, name: str | None = None) -> KStream[K2, V]:
        node = ProcessorStep(self.plan.named(name, "KSTREAM-KEY-SELECT-"), SelectKey(selector))
        node.is_key_changing = True
        return self._step(node, value_serde=self.value_serde, needs_repartition=True)

    def map(self, mapper: Callable[[Any, Any], tuple[K2, V2]], *, name: str | None = None) -> KStream[K2, V2]:
        """`mapper(key, value)` gives the new (key, value)."""
        node = ProcessorStep(self.plan.named(name, "KSTREAM-MAP-"), Map(mapper))
        node.is_key_changing = True
        return self._step(node, needs_repartition=True)

    def map_values(self, mapper: Callable[..., V2], *, name: str | None = None) -> KStream[K, V2]:
        node = ProcessorStep(self.plan.named(name, "KSTREAM-MAPVALUES-"), MapValues(mapper))
        node.is_value_changing = True
        return self._step(node, key_serde=self.key_serde)

    def flat_map(
        self, mapper: Callable[[Any, Any], Iterable[tuple[K2, V2]]], *, name: str | None = None
    ) -> KStream[K2, V2]:
        """`mapper(key, value)` gives any number of (key, value) pairs."""
        node = ProcessorStep(self.plan.named(name, "KSTREAM-FLATMAP-"), FlatMap(mapper))
        node.is_key_changing = True
        return self._step(node, needs_repartition=True)

    def flat_map_values(self, mapper: Callable[..., Iterable[V2]], *, name: str | None = None) -> KStream[K, V2]:
        node = ProcessorStep(self.plan.named(name, "KSTREAM-FLATMAPVALUES-"), FlatMapValues(mapper))
        node.is_value_changing = True
        return self._step(node, key_serde=self.key_serde)

    def peek(self, action: Callable[..., object], *, name: str | None = None) -> KStream[K, V]:
        """Show each record to `action` on its way."""
        node = ProcessorStep(self.plan.named(name, "KSTREAM-PEEK-"), Peek(action))
        return self._step(node, key_serde=self.key_serde, value_serde=self.value_serde)

    def for_each(self, action: Callable[..., object], *, name: str | None = None) -> None:
        """Show each record to `action`, and end the stream here."""
        self._step(ProcessorStep(self.plan.named(name, "KSTREAM-FOREACH-"), Peek(action, is_last=True)))

    def print(self, *, label: str | None = None, name: str | None = None, file: Any = None) -> None:
        """Print each record, as Kafka Streams does: `[label]: key, value`."""
        title = self.name if label is None else label

        def show(key: Any, value: Any) -> None:
            print(f"[{title}]: {key}, {value}", file=file or sys.stdout)

        self._step(ProcessorStep(self.plan.named(name, "KSTREAM-PRINTER-"), Peek(show, is_last=True)))

    # -- several streams

    def split(self, *, name: str | None = None) -> BranchedKStream[K, V]:
        """Into branches, each record into the first that takes it."""
        from streams.dsl.branch import BranchedKStream

        return BranchedKStream(self, name)

    def merge(self, other: KStream[K, V], *, name: str | None = None) -> KStream[K, V]:
        """Both streams' records as they come."""
        node = ProcessorStep(self.plan.named(name, "KSTREAM-MERGE-"), PassThrough())
        node.is_merge = True
        self.plan.add(node, self.node, other.node)
        needs = self.needs_repartition or other.needs_repartition
        key = self.key_serde if self.key_serde == other.key_serde else None
        value = self.value_serde if self.value_serde == other.value_serde else None
        sources = self.sources | other.sources
        return KStream(self.plan, node, node.name, key, value, sources, needs_repartition=needs)

    # -- topics and tables

    def to(
        self,
        topic: str | TopicNameExtractor,
        *,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
        partitioner: Partitioner | None = None,
        name: str | None = None,
    ) -> None:
        """Write to `topic`, or to the topic that `topic(key, value, metadata)` names for each record."""
        sink_name = self.plan.named(name, "KSTREAM-SINK-")
        key_serde, value_serde = self._serdes(key, value, sink_name)
        node = SinkStep(sink_name, topic, key_serde, value_serde, partitioner)
        self.plan.add(node, self.node)

    def repartition(
        self,
        *,
        name: str | None = None,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
        partitions: int | None = None,
        partitioner: Partitioner | None = None,
    ) -> KStream[K, V]:
        """Through a topic of the app's own, whether it is needed or not."""
        prefix = self.plan.new_name("KSTREAM-REPARTITION-") if name is None else name
        node = self.plan.repartition_step(
            *self._serdes(key, value, prefix),
            prefix,
            partitions=partitions,
            partitioner=partitioner,
            is_optimizable=False,
        )
        self.plan.add(node, self.node)
        return KStream(
            self.plan, node, node.name, node.key_serde, node.value_serde, {node.name}, needs_repartition=False
        )

    def to_table(self, *, name: str | None = None, **store: Unpack[StoreOptions]) -> KTable[K, V]:
        """Each record is the new row of its key."""
        from streams.dsl.table import KTable

        table_name = self.plan.named(name, "KSTREAM-TOTABLE-")
        materialized = self.plan.with_store_name(Materialized.of(store), "KSTREAM-TOTABLE-")
        materialized = materialized.with_serdes(
            *self._serdes(materialized.key_serde, materialized.value_serde, table_name)
        )
        parent, sources = self.node, self.sources
        if self.needs_repartition:
            repartition = self.plan.repartition_step(materialized.key_serde, materialized.value_serde, table_name)
            self.plan.add(repartition, parent)
            parent, sources = repartition, frozenset((repartition.name,))
        operator = TableSource(materialized.table_store(), is_materialized=materialized.is_queryable)
        node = ProcessorStep(table_name, operator)
        node.output_is_versioned = materialized.is_versioned
        self.plan.add(node, parent)
        return KTable(
            self.plan, node, node.name, materialized.key_serde, materialized.value_serde, sources, operator=operator
        )

    def _serdes(
        self, key: Serde[Any] | None, value: Serde[Any] | None, step: str
    ) -> tuple[Serde[Any] | None, Serde[Any] | None]:
        """What a step declares, else what the stream has."""
        key_serde = self.plan.chosen(key, self.key_serde, "key", step)
        return key_serde, self.plan.chosen(value, self.value_serde, "value", step)

    # -- grouping

    def group_by_key(
        self, *, name: str | None = None, key: Serde[Any] | None = None, value: Serde[Any] | None = None
    ) -> KGroupedStream[K, V]:
        """By the key as it is. `name` is that of the repartition topic, if one is needed."""
        from streams.dsl.grouped import KGroupedStream

        return KGroupedStream(
            self.plan,
            self.node,
            self.name,
            *self._serdes(key, value, "group_by_key after " + self.name),
            self.sources,
            needs_repartition=self.needs_repartition,
            group_name=name,
        )

    def group_by(
        self,
        selector: Callable[..., K2],
        *,
        name: str | None = None,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
    ) -> KGroupedStream[K2, V]:
        """By a key that `selector` chooses."""
        from streams.dsl.grouped import KGroupedStream

        node = ProcessorStep(self.plan.named(name, "KSTREAM-KEY-SELECT-"), SelectKey(selector))
        node.is_key_changing = True
        self.plan.add(node, self.node)
        return KGroupedStream(
            self.plan,
            node,
            node.name,
            key,
            self.plan.chosen(value, self.value_serde, "value", node.name),
            self.sources,
            needs_repartition=True,
            group_name=name,
        )

    # -- the Processor API

    def process(self, supplier: ProcessorSupplier, *store_names: str, name: str | None = None) -> KStream[Any, Any]:
        """Run a Processor on each record, with access to the named stores."""
        return self._process("KSTREAM-PROCESSOR-", UserOperator(supplier), store_names, name, keeps_key=False)

    def process_values(
        self, supplier: ProcessorSupplier, *store_names: str, name: str | None = None
    ) -> KStream[K, Any]:
        """Run a FixedKeyProcessor on each record: the key stays, so no repartition follows."""
        operator = UserOperator(supplier, is_fixed_key=True)
        return self._process("KSTREAM-PROCESSVALUES-", operator, store_names, name, keeps_key=True)

    def _process(
        self, prefix: str, operator: UserOperator, store_names: tuple[str, ...], name: str | None, *, keeps_key: bool
    ) -> KStream[Any, Any]:
        node = ProcessorStep(self.plan.new_name(prefix) if name is None else name, operator, store_names)
        if keeps_key:
            return self._step(node, key_serde=self.key_serde)
        return self._step(node, needs_repartition=True)

    def repartitioned_for_join(
        self, prefix: str, key_serde: Serde[Any] | None, value_serde: Serde[Any] | None
    ) -> KStream[K, V]:
        """This stream behind a repartition; joins of the same stream share one."""
        node = self.plan.repartition_step(key_serde or self.key_serde, value_serde or self.value_serde, prefix)
        known: RepartitionStep | None = getattr(self, "_repartition", None)
        if known is None or self.name != prefix:
            self._repartition = known = node
            self.plan.add(node, self.node)
        return KStream(
            self.plan, known, node.name, node.key_serde, node.value_serde, {node.name}, needs_repartition=False
        )


def check_two_arguments(function: Callable[..., Any], what: str) -> None:
    """Raises TopologyError when `function` takes a value only."""
    if not takes_key(function):
        raise TopologyError(f"{what} takes key and value")


from streams.dsl.branch import BranchedKStream  # noqa: E402
from streams.dsl.grouped import KGroupedStream  # noqa: E402
from streams.dsl.table import KTable  # noqa: E402

__all__ = ["Flow", "KStream"]
