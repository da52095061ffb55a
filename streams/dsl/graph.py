"""The logical plan: what the DSL was told, before it becomes a topology.

A plan node knows its parents and children and how to write itself. Nodes are written in order of their build priority
once all their parents are, which is Kafka Streams' order: names, subtopologies and describe() depend on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from streams.engine.operator import Operator
from streams.errors import TopologyError
from streams.operators.stateless import DropNullKeys, PassThrough
from streams.operators.table import TableSource
from streams.serdes import Serde
from streams.stores.builder import StoreBuilder
from streams.topology import Partitioner, TimestampExtractor, TopicNameExtractor, Topology


class GraphNode:
    """One step. `output_is_versioned` is None where versions pass through unchanged."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.children: dict[GraphNode, None] = {}
        self.parents: dict[GraphNode, None] = {}
        self.build_priority = 0
        self.is_key_changing = False
        self.is_value_changing = False
        self.is_merge = False
        self.is_written = False
        self.ignores_null_keys = True
        self.output_is_versioned: bool | None = None
        self.grace_ms: int | None = None

    def add_child(self, child: GraphNode) -> None:
        self.children[child] = None
        child.parents[self] = None

    def remove_child(self, child: GraphNode) -> None:
        self.children.pop(child, None)
        child.parents.pop(self, None)

    def clear_children(self) -> None:
        for child in list(self.children):
            self.remove_child(child)

    @property
    def parent_names(self) -> list[str]:
        return [parent.name for parent in self.parents]

    def write(self, topology: Topology) -> None:
        """Add what this step runs to the topology."""


class SourceStep(GraphNode):
    """Topics, or a pattern of topics."""

    def __init__(
        self,
        name: str,
        topics: Sequence[str],
        pattern: re.Pattern[str] | None,
        key_serde: Serde[Any] | None,
        value_serde: Serde[Any] | None,
        timestamp_extractor: TimestampExtractor | None,
        offset_reset: str | None,
    ) -> None:
        super().__init__(name)
        self.topics = tuple(topics)
        self.pattern = pattern
        self.key_serde = key_serde
        self.value_serde = value_serde
        self.timestamp_extractor = timestamp_extractor
        self.offset_reset = offset_reset

    def merge(self, other: SourceStep) -> None:
        """Two streams of the same topics read them once."""
        if self.offset_reset != other.offset_reset:
            raise TopologyError(f"topics {self.topics} can't have different offset reset policies")
        for child in list(other.children):
            other.remove_child(child)
            self.add_child(child)

    def write(self, topology: Topology) -> None:
        topology.add_source(
            self.name,
            *((self.pattern,) if self.pattern is not None else self.topics),
            key=self.key_serde,
            value=self.value_serde,
            timestamp_extractor=self.timestamp_extractor,
            offset_reset=self.offset_reset,
        )


class TableSourceStep(SourceStep):
    """A topic read as a table; a global one goes to every task whole."""

    def __init__(self, source: SourceStep, operator: TableSource, processor_name: str, *, is_global: bool) -> None:
        super().__init__(
            processor_name,
            source.topics,
            None,
            source.key_serde,
            source.value_serde,
            source.timestamp_extractor,
            source.offset_reset,
        )
        self.source_name = source.name
        self.operator = operator
        self.is_global = is_global
        self.reuses_source_topic = False

    def write(self, topology: Topology) -> None:
        if self.is_global:
            self.operator.is_materialized = True
            topology.add_global_store(
                self.operator.store,
                self.source_name,
                self.topics[0],
                self.name,
                self.operator,
                key=self.key_serde,
                value=self.value_serde,
                timestamp_extractor=self.timestamp_extractor,
            )
            return
        topology.add_source(
            self.source_name,
            *self.topics,
            key=self.key_serde,
            value=self.value_serde,
            timestamp_extractor=self.timestamp_extractor,
            offset_reset=self.offset_reset,
        )
        if self.reuses_source_topic and self.operator.is_materialized:
            self.operator.store = self.operator.store.with_logging_disabled()
            topology.source_topic_of_store[self.operator.store.name] = self.topics[0]
        topology.add_operator(self.name, self.operator, self.source_name)


class ProcessorStep(GraphNode):
    """One operator; `store_names` are looked up when it is written, as tables may get stores until then."""

    def __init__(
        self, name: str, operator: Operator, store_names: Sequence[str] | Callable[[], Sequence[str]] = ()
    ) -> None:
        super().__init__(name)
        self.operator = operator
        self._store_names = store_names

    def write(self, topology: Topology) -> None:
        topology.add_operator(self.name, self.operator, *self.parent_names)
        if self.store_names:
            topology.connect_processor_and_state_stores(self.name, *self.store_names)

    @property
    def store_names(self) -> Sequence[str]:
        return self._store_names() if callable(self._store_names) else self._store_names


class VersionedStep(ProcessorStep):
    """An operator that treats changes of versioned tables differently from those of plain ones."""

    def use_versioned_semantics(self, parent: GraphNode) -> None:
        self.operator.uses_versioned_semantics = True  # type: ignore[attr-defined]


class SuppressStep(ProcessorStep):
    """Not for versioned tables."""


class SinkStep(GraphNode):
    """A topic to write to."""

    def __init__(
        self,
        name: str,
        topic: str | TopicNameExtractor,
        key_serde: Serde[Any] | None,
        value_serde: Serde[Any] | None,
        partitioner: Partitioner | None,
    ) -> None:
        super().__init__(name)
        self._topic = topic
        self._key_serde = key_serde
        self._value_serde = value_serde
        self._partitioner = partitioner

    def write(self, topology: Topology) -> None:
        topology.add_sink(
            self.name,
            self._topic,
            *self.parent_names,
            key=self._key_serde,
            value=self._value_serde,
            partitioner=self._partitioner,
        )


class RepartitionStep(GraphNode):
    """Through a topic of the app's own, so that records meet those with the same key. Named after its source."""

    def __init__(
        self,
        source_name: str,
        sink_name: str,
        filter_name: str | None,
        topic: str,
        key_serde: Serde[Any] | None,
        value_serde: Serde[Any] | None,
        *,
        partitioner: Partitioner | None = None,
        partitions: int | None = None,
        is_optimizable: bool = True,
    ) -> None:
        super().__init__(source_name)
        self.sink_name = sink_name
        self.filter_name = filter_name
        self.topic = topic
        self.key_serde = key_serde
        self.value_serde = value_serde
        self.is_optimizable = is_optimizable
        self.drops_null_keys = False
        self._partitioner = partitioner
        self._partitions = partitions

    def write(self, topology: Topology) -> None:
        topology.add_internal_topic(self.topic, self._partitions)
        parents = self.parent_names
        if self.filter_name is not None:
            operator = DropNullKeys() if self.drops_null_keys else PassThrough()
            topology.add_operator(self.filter_name, operator, *parents)
            parents = [self.filter_name]
        key, value = self.key_serde, self.value_serde
        topology.add_sink(self.sink_name, self.topic, *parents, key=key, value=value, partitioner=self._partitioner)
        topology.add_source(self.name, self.topic, key=key, value=value)


class StateStoreStep(GraphNode):
    """A store that was added by hand."""

    def __init__(self, builder: StoreBuilder) -> None:
        super().__init__(builder.name)
        self._builder = builder

    def write(self, topology: Topology) -> None:
        topology.add_state_store(self._builder)


class GlobalStoreStep(GraphNode):
    """A global store that was added by hand."""

    def __init__(self, name: str, add: Callable[[Topology], object]) -> None:
        super().__init__(name)
        self._add = add

    def write(self, topology: Topology) -> None:
        self._add(topology)
