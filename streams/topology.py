"""The graph of sources, processors and sinks that a task runs. The Processor API; the DSL compiles to it too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from streams.engine.operator import Operator
from streams.errors import TopologyError
from streams.processor import ProcessorSupplier, UserOperator
from streams.records import ConsumedRecord, RecordMetadata
from streams.serdes import Serde
from streams.stores.builder import StoreBuilder

TimestampExtractor = Callable[[ConsumedRecord, int], int]
"""Takes the record and the highest timestamp its partition had so far; negative drops the record."""
TopicNameExtractor = Callable[[Any, Any, RecordMetadata], str]
Partitioner = Callable[[str, Any, Any, int], "int | Iterable[int] | None"]
"""Takes topic, key, value, number of partitions; None leaves it to the producer."""


@dataclass(slots=True)
class SourceNode:
    name: str
    topics: tuple[str, ...]
    pattern: re.Pattern[str] | None
    key_serde: Serde[Any] | None
    value_serde: Serde[Any] | None
    timestamp_extractor: TimestampExtractor | None = None
    offset_reset: str | None = None
    is_global: bool = False
    parents: tuple[str, ...] = ()


@dataclass(slots=True)
class ProcessorNode:
    name: str
    operator: Operator
    parents: tuple[str, ...]
    stores: dict[str, None] = field(default_factory=dict)


@dataclass(slots=True)
class SinkNode:
    name: str
    topic: str | TopicNameExtractor
    key_serde: Serde[Any] | None
    value_serde: Serde[Any] | None
    partitioner: Partitioner | None
    parents: tuple[str, ...]


Node = SourceNode | ProcessorNode | SinkNode


class Topology:
    """Nodes in the order they were added, stores, internal topics, and which nodes belong to one subtopology."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.stores: dict[str, StoreBuilder] = {}
        self.global_stores: dict[str, StoreBuilder] = {}
        self.internal_topics: dict[str, int | None] = {}
        self.source_topic_of_store: dict[str, str] = {}
        self.copartition_groups: list[set[str]] = []
        self._users: dict[str, str] = {}
        self._group: dict[str, str] = {}

    # -- the Processor API

    def add_source(
        self,
        name: str,
        *topics: str | re.Pattern[str],
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
        timestamp_extractor: TimestampExtractor | None = None,
        offset_reset: str | None = None,
    ) -> Topology:
        """Read `topics`, or every topic that one compiled pattern matches."""
        self._check_new(name)
        if not topics:
            raise TopologyError(f"source {name} needs a topic")
        pattern = topics[0] if isinstance(topics[0], re.Pattern) else None
        names = tuple(topic for topic in topics if isinstance(topic, str))
        for topic in names:
            self._check_unread(topic)
        if pattern is not None:
            for topic in self.source_topics():
                if pattern.fullmatch(topic):
                    raise TopologyError(f"pattern {pattern.pattern} matches {topic}, which another source reads")
        self.nodes[name] = SourceNode(name, names, pattern, key, value, timestamp_extractor, offset_reset)
        self._group[name] = name
        return self

    def add_processor(self, name: str, supplier: ProcessorSupplier, *parents: str) -> Topology:
        """Run a processor from `supplier` on what `parents` forward. Stores the supplier names are added too."""
        return self.add_operator(name, UserOperator(supplier), *parents)

    def add_sink(
        self,
        name: str,
        topic: str | TopicNameExtractor,
        *parents: str,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
        partitioner: Partitioner | None = None,
    ) -> Topology:
        """Write what `parents` forward to `topic`, or to the topic that a function names for each record."""
        self._check_new(name)
        self._check_parents(name, parents)
        self.nodes[name] = SinkNode(name, topic, key, value, partitioner, tuple(parents))
        self._join(name, parents)
        return self

    def add_state_store(self, builder: StoreBuilder, *processors: str) -> Topology:
        """Add a store and connect it to `processors`."""
        known = self.stores.get(builder.name)
        if known is not None and known is not builder:
            raise TopologyError(f"a different store has already been added with the name {builder.name}")
        if builder.name in self.global_stores:
            raise TopologyError(f"{builder.name} is the name of a global store")
        self.stores[builder.name] = builder
        if processors:
            self.connect_processor_and_state_stores_of(builder.name, processors)
        return self

    def connect_processor_and_state_stores(self, processor: str, *store_names: str) -> Topology:
        if not store_names:
            raise TopologyError(f"no store given to connect with {processor}")
        for store_name in store_names:
            self.connect_processor_and_state_stores_of(store_name, (processor,))
        return self

    def add_global_store(
        self,
        builder: StoreBuilder,
        source_name: str,
        topic: str,
        processor_name: str,
        supplier: ProcessorSupplier | Operator,
        *,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
        timestamp_extractor: TimestampExtractor | None = None,
    ) -> Topology:
        """A store that every task sees whole, kept up to date from all partitions of `topic`."""
        self._check_new(source_name)
        self._check_unread(topic)
        self._check_new(processor_name)
        if source_name == processor_name:
            raise TopologyError("source and processor of a global store need different names")
        if builder.name in self.stores or builder.name in self.global_stores:
            raise TopologyError(f"a store has already been added with the name {builder.name}")
        operator = supplier if isinstance(supplier, Operator) else UserOperator(supplier)
        self.nodes[source_name] = SourceNode(
            source_name, (topic,), None, key, value, timestamp_extractor, is_global=True
        )
        self.nodes[processor_name] = ProcessorNode(processor_name, operator, (source_name,), {builder.name: None})
        self._group[source_name] = source_name
        self._join(processor_name, (source_name,))
        self.global_stores[builder.name] = builder.with_logging_disabled()
        self.source_topic_of_store[builder.name] = topic
        return self

    def describe(self) -> TopologyDescription:
        """Its `str` is the text that Kafka Streams prints."""
        return TopologyDescription(self)

    # -- used by the DSL

    def add_operator(self, name: str, operator: Operator, *parents: str) -> Topology:
        self._check_new(name)
        self._check_parents(name, parents)
        self.nodes[name] = ProcessorNode(name, operator, tuple(parents))
        self._join(name, parents)
        for store in operator.stores:
            self.add_state_store(store, name)
        return self

    def add_internal_topic(self, name: str, partitions: int | None = None) -> None:
        """A topic that the app makes for itself; its real name gets the application id in front."""
        self.internal_topics[name] = partitions

    def connect_processor_and_state_stores_of(self, store_name: str, processors: Iterable[str]) -> None:
        if store_name in self.global_stores:
            raise TopologyError(f"global store {store_name} is open to every processor; don't connect it")
        if store_name not in self.stores:
            raise TopologyError(f"store {store_name} is not added yet")
        for name in processors:
            node = self.nodes.get(name)
            if node is None:
                raise TopologyError(f"processor {name} is not added yet")
            if not isinstance(node, ProcessorNode):
                raise TopologyError(f"store {store_name} can't be connected to {name}: it is no processor")
            self._join(name, (self._users.setdefault(store_name, name),))
            node.stores[store_name] = None

    def source_topics(self) -> list[str]:
        return [topic for node in self.nodes.values() if isinstance(node, SourceNode) for topic in node.topics]

    def subtopologies(self) -> dict[int, list[str]]:
        """Names of the nodes of each subtopology; ids follow the order in which nodes were added."""
        ids: dict[str, int] = {}
        groups: dict[int, list[str]] = {}
        for name in self.nodes:
            group = ids.setdefault(self._root(name), len(ids))
            groups.setdefault(group, []).append(name)
        return groups

    def is_global_group(self, names: Iterable[str]) -> bool:
        return any(isinstance(node := self.nodes[name], SourceNode) and node.is_global for name in names)

    # -- checks and grouping

    def _check_new(self, name: str) -> None:
        if name in self.nodes:
            raise TopologyError(f"processor {name} is already added")

    def _check_unread(self, topic: str) -> None:
        for node in self.nodes.values():
            if isinstance(node, SourceNode):
                if topic in node.topics:
                    raise TopologyError(f"topic {topic} has already been registered by another source")
                if node.pattern is not None and node.pattern.fullmatch(topic):
                    raise TopologyError(f"topic {topic} matches the pattern of source {node.name}")

    def _check_parents(self, name: str, parents: tuple[str, ...]) -> None:
        if not parents:
            raise TopologyError(f"{name} needs a parent")
        for parent in parents:
            if parent not in self.nodes:
                raise TopologyError(f"parent node {parent} of {name} is unknown")
            if isinstance(self.nodes[parent], SinkNode):
                raise TopologyError(f"sink {parent} can't be a parent")

    def _root(self, name: str) -> str:
        while self._group[name] != name:
            self._group[name] = name = self._group[self._group[name]]
        return name

    def _join(self, name: str, others: Iterable[str]) -> None:
        self._group.setdefault(name, name)
        for other in others:
            self._group[self._root(name)] = self._root(other)


from streams.describe import TopologyDescription  # noqa: E402  (it needs the node classes above)
