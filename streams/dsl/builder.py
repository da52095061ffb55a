"""StreamsBuilder: where a topology starts.

builder = StreamsBuilder()
words = builder.stream("lines", value=STRING).flat_map_values(str.split)
words.group_by(lambda word: word, key=STRING).count(store="counts").to_stream().to("counts", value=LONG)
topology = builder.build()
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Unpack

from streams.config import StreamsConfig
from streams.dsl.graph import GlobalStoreStep, SourceStep, StateStoreStep, TableSourceStep
from streams.dsl.materialized import KeepOptions, Materialized
from streams.dsl.optimizer import parse_optimizations
from streams.dsl.plan import Plan
from streams.dsl.stream import KStream
from streams.dsl.table import GlobalKTable, KTable
from streams.errors import TopologyError
from streams.operators.table import TableSource
from streams.processor import ProcessorSupplier
from streams.serdes import Serde
from streams.stores.builder import StoreBuilder
from streams.topology import TimestampExtractor, Topology


class StreamsBuilder:
    """Collects what a program says, then builds the topology once."""

    def __init__(self) -> None:
        self._plan = Plan()
        self._is_built = False

    def stream(
        self,
        topics: str | Sequence[str] | re.Pattern[str],
        *,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
        timestamp_extractor: TimestampExtractor | None = None,
        offset_reset: str | None = None,
        name: str | None = None,
    ) -> KStream[Any, Any]:
        """A topic, several, or all that match a compiled pattern."""
        pattern = topics if isinstance(topics, re.Pattern) else None
        names: Sequence[str] = (
            () if isinstance(topics, re.Pattern) else (topics,) if isinstance(topics, str) else topics
        )
        source_name = self._plan.named(name, "KSTREAM-SOURCE-")
        node = SourceStep(source_name, names, pattern, key, value, timestamp_extractor, offset_reset)
        self._plan.add(node, self._plan.root)
        return KStream(self._plan, node, source_name, key, value, {source_name}, needs_repartition=False)

    def table(
        self,
        topic: str,
        *,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
        timestamp_extractor: TimestampExtractor | None = None,
        offset_reset: str | None = None,
        name: str | None = None,
        **store: Unpack[KeepOptions],
    ) -> KTable[Any, Any]:
        """A topic as a table: each record is the new row of its key, None deletes it. `key` and `value` also serve
        the store."""
        materialized = self._table_store(topic, key, value, store)
        source, operator = self._table_source(topic, materialized, name, timestamp_extractor, offset_reset)
        node = TableSourceStep(source, operator, self._plan.named(name, "KTABLE-SOURCE-"), is_global=False)
        node.output_is_versioned = materialized.is_versioned
        self._plan.add(node, self._plan.root)
        return KTable(
            self._plan,
            node,
            node.name,
            materialized.key_serde,
            materialized.value_serde,
            {source.name},
            operator=operator,
            store_name=materialized.name if materialized.is_queryable else None,
        )

    def global_table(
        self,
        topic: str,
        *,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
        timestamp_extractor: TimestampExtractor | None = None,
        name: str | None = None,
        **store: Unpack[KeepOptions],
    ) -> GlobalKTable[Any, Any]:
        """A topic as a table that every task has in full."""
        materialized = self._table_store(topic, key, value, store)
        if materialized.is_versioned:
            raise TopologyError("global tables can't be versioned")
        source, operator = self._table_source(topic, materialized, name, timestamp_extractor, None)
        operator.is_materialized = True
        node = TableSourceStep(source, operator, self._plan.named(name, "KTABLE-SOURCE-"), is_global=True)
        self._plan.add(node, self._plan.root)
        return GlobalKTable(materialized.store_name, materialized.name if materialized.is_queryable else None)

    def _table_store(
        self, topic: str, key: Serde[Any] | None, value: Serde[Any] | None, store: KeepOptions
    ) -> Materialized:
        return self._plan.with_store_name(Materialized.of(store), f"{topic}-").with_serdes(key, value)

    def _table_source(
        self,
        topic: str,
        materialized: Materialized,
        name: str | None,
        timestamp_extractor: TimestampExtractor | None,
        offset_reset: str | None,
    ) -> tuple[SourceStep, TableSource]:
        source = SourceStep(
            self._plan.suffixed(name, "-source", "KSTREAM-SOURCE-"),
            (topic,),
            None,
            materialized.key_serde,
            materialized.value_serde,
            timestamp_extractor,
            offset_reset,
        )
        return source, TableSource(materialized.table_store(), is_materialized=materialized.is_queryable)

    def add_state_store(self, builder: StoreBuilder) -> StreamsBuilder:
        """A store for `process`: name it there to connect it."""
        self._plan.add(StateStoreStep(builder), self._plan.root)
        return self

    def add_global_store(
        self,
        builder: StoreBuilder,
        topic: str,
        supplier: ProcessorSupplier,
        *,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
        name: str | None = None,
    ) -> StreamsBuilder:
        """A store that every task has in full, kept by a processor of your own."""
        source = self._plan.suffixed(name, "-source", "KSTREAM-SOURCE-")
        processor = self._plan.named(name, "KTABLE-SOURCE-")

        def add(topology: Topology) -> None:
            topology.add_global_store(builder, source, topic, processor, supplier, key=key, value=value)

        self._plan.add(GlobalStoreStep(processor, add), self._plan.root)
        return self

    def build(self, config: StreamsConfig | None = None) -> Topology:
        """The topology. A builder builds once: what was said after that would be lost."""
        if self._is_built:
            raise TopologyError("this builder has built its topology already")
        self._is_built = True
        setting = "none" if config is None else config.topology_optimization
        return self._plan.build(parse_optimizations(setting))
