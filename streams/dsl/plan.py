"""The plan under construction: names, steps, and how the whole becomes a topology."""

from __future__ import annotations

import re
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from streams.dsl.graph import (
    GraphNode,
    RepartitionStep,
    SourceStep,
    SuppressStep,
    TableSourceStep,
    VersionedStep,
)
from streams.dsl.join_steps import TableJoinStep
from streams.errors import TopologyError
from streams.serdes import Serde, disagree
from streams.topology import SinkNode, SourceNode, Topology

if TYPE_CHECKING:
    from streams.dsl.materialized import Materialized

_GENERATED = re.compile(r"KSTREAM.*-[0-9]{10}")


class Plan:
    """Steps below one root. Every generated name takes the next number, and so does every name a user gives."""

    def __init__(self) -> None:
        self.root = GraphNode("root")
        self.copartition_groups: list[set[str]] = []
        self.internal_topics: list[str] = []
        self.repartitions_of: dict[GraphNode, dict[RepartitionStep, None]] = {}
        self.merges: list[GraphNode] = []
        self.table_sources: list[TableSourceStep] = []
        self._disagreements: list[str] = []
        self._number = 0
        self._priority = 0
        self._versioned: list[VersionedStep | TableJoinStep] = []
        self._suppressed: list[SuppressStep] = []

    # -- names

    def new_name(self, prefix: str) -> str:
        number = self._number
        self._number += 1
        return f"{prefix}{number:010d}"

    def new_store_name(self, prefix: str) -> str:
        return self.new_name(f"{prefix}STATE-STORE-")

    def named(self, name: str | None, prefix: str) -> str:
        """The user's name, or a generated one."""
        generated = self.new_name(prefix)
        return generated if name is None else name

    def suffixed(self, name: str | None, suffix: str, prefix: str) -> str:
        """The user's name with `suffix`, or a generated one."""
        generated = self.new_name(prefix)
        return generated if name is None else f"{name}{suffix}"

    def with_store_name(self, materialized: Materialized, prefix: str) -> Materialized:
        """A name for the store if the user gave none."""
        return materialized if materialized.name is not None else materialized.named(self.new_store_name(prefix))

    # -- serdes

    def chosen(
        self, declared: Serde[Any] | None, inherited: Serde[Any] | None, which: str, step: str
    ) -> Serde[Any] | None:
        """The serde a step declares, else the one it inherits. `build()` complains when they can't both be right."""
        if disagree(declared, inherited):
            self._disagreements.append(f"{step} declares {which} serde {declared}, but gets {which}s of {inherited}")
        return declared or inherited

    def _check_serdes(self, topology: Topology) -> None:
        nodes = topology.nodes.values()
        sources = {topic: node for node in nodes if isinstance(node, SourceNode) for topic in node.topics}
        for sink in nodes:
            source = sources.get(sink.topic) if isinstance(sink, SinkNode) and isinstance(sink.topic, str) else None
            if source is None or not isinstance(sink, SinkNode):
                continue
            for which, written, read in (
                ("key", sink.key_serde, source.key_serde),
                ("value", sink.value_serde, source.value_serde),
            ):
                if disagree(written, read):
                    self._disagreements.append(
                        f"topic {sink.topic}: {sink.name} writes {which}s of {written}, {source.name} reads {read}"
                    )
        if self._disagreements:
            raise TopologyError("; ".join(self._disagreements))

    # -- steps

    def add(self, child: GraphNode, *parents: GraphNode) -> None:
        for parent in parents:
            parent.add_child(child)
            child.build_priority = self._priority
            self._priority += 1
            self._remember(child)

    def _remember(self, node: GraphNode) -> None:
        if node.is_key_changing:
            self.repartitions_of[node] = {}
        elif isinstance(node, RepartitionStep) and node.is_optimizable:
            changer = self._key_changer_above(node)
            if changer is not None:
                self.repartitions_of[changer][node] = None
        elif node.is_merge:
            if node not in self.merges:
                self.merges.append(node)
        elif isinstance(node, TableSourceStep):
            self.table_sources.append(node)
        if isinstance(node, (VersionedStep, TableJoinStep)) and node not in self._versioned:
            self._versioned.append(node)
        if isinstance(node, SuppressStep):
            self._suppressed.append(node)

    def _key_changer_above(self, node: GraphNode) -> GraphNode | None:
        """The step that changed the key, unless values have changed since: only then may repartitions be shared."""
        changer = first_above(node, lambda step: step.is_key_changing)
        nearest = first_above(node, lambda step: step.is_key_changing or step.is_value_changing)
        return changer if nearest is changer else None

    def copartition(self, sources: Iterable[str]) -> None:
        """These sources' topics must have equally many partitions."""
        self.copartition_groups.append(set(sources))

    def repartition_step(
        self,
        key_serde: Serde[Any] | None,
        value_serde: Serde[Any] | None,
        prefix: str,
        **options: Any,
    ) -> RepartitionStep:
        """A step through a topic named after `prefix`; not yet added."""
        topic = prefix if prefix.endswith("-repartition") else f"{prefix}-repartition"
        sink, null_filter, source = (self.new_name(f"KSTREAM-{kind}-") for kind in ("SINK", "FILTER", "SOURCE"))
        if not _GENERATED.fullmatch(prefix):
            sink, null_filter, source = f"{topic}-sink", f"{topic}-filter", f"{topic}-source"
        return RepartitionStep(source, sink, null_filter, topic, key_serde, value_serde, **options)

    # -- building

    def build(self, optimizations: frozenset[str]) -> Topology:
        from streams.dsl.optimizer import optimize

        self._merge_duplicate_sources()
        optimize(self, optimizations)
        self._drop_null_keys_before_repartitions()
        self._enable_versioned_semantics()
        topology = Topology()
        for name in self.internal_topics:
            topology.add_internal_topic(name)
        waiting: list[tuple[int, int, GraphNode]] = [(-1, 0, self.root)]
        turn = 0
        while waiting:
            _, _, node = heappop(waiting)
            if not node.is_written and all(parent.is_written for parent in node.parents):
                node.write(topology)
                node.is_written = True
            for child in node.children:
                turn += 1
                heappush(waiting, (child.build_priority, turn, child))
        self._check_serdes(topology)
        topology.copartition_groups = self.copartition_groups
        return topology

    def _merge_duplicate_sources(self) -> None:
        by_topic: dict[str, SourceStep] = {}
        by_pattern: dict[tuple[str, int], SourceStep] = {}
        for node in list(self.root.children):
            if type(node) is not SourceStep:
                continue
            if node.pattern is not None:
                main = by_pattern.setdefault((node.pattern.pattern, node.pattern.flags), node)
                if main is not node:
                    main.merge(node)
                    self.root.remove_child(node)
                continue
            for topic in node.topics:
                main = by_topic.setdefault(topic, node)
                if main is node:
                    continue
                if main.topics != node.topics:
                    raise TopologyError(f"streams of {main.topics} and of {node.topics} overlap but aren't equal")
                main.merge(node)
                self.root.remove_child(node)

    def _drop_null_keys_before_repartitions(self) -> None:
        """Null keys matter downstream only to left and outer joins; all other repartitions drop them."""
        visited: dict[GraphNode, bool] = {}

        def keeps_null_keys(node: GraphNode) -> bool:
            known = visited.get(node)
            if known is not None:
                return known
            keeps = False
            for child in node.children:
                if keeps_null_keys(child) or not child.ignores_null_keys:
                    keeps = True
            visited[node] = keeps
            if isinstance(node, RepartitionStep):
                node.drops_null_keys = not keeps
            return keeps

        keeps_null_keys(self.root)

    def _enable_versioned_semantics(self) -> None:
        for node in self._versioned:
            for parent in node.parents:
                if self._is_versioned(parent):
                    node.use_versioned_semantics(parent)
        for suppress in self._suppressed:
            if self._is_versioned_above(suppress):
                raise TopologyError("suppress() is only for tables that aren't versioned")

    def _is_versioned(self, node: GraphNode) -> bool:
        return self._is_versioned_above(node) if node.output_is_versioned is None else node.output_is_versioned

    def _is_versioned_above(self, node: GraphNode) -> bool:
        return node is not self.root and all(self._is_versioned(parent) for parent in node.parents)


def first_above(node: GraphNode, claim: Any) -> GraphNode | None:
    """`node` itself or the nearest step above, depth first, of which `claim` holds."""
    if claim(node):
        return node
    for parent in node.parents:
        if claim(parent):
            return parent
        found = first_above(parent, claim)
        if found is not None:
            return found
    return None
