"""The text of `Topology.describe()`, equal to Kafka Streams' down to the order of nodes.

Nodes go by how much is downstream of them, then by name. Kafka computes that size while it links nodes in the order
of a Java hash table, and keeps links in trees ordered by the sizes of that moment; so do we.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.java_order import TreeSet, copied_string_set_order, string_set_order

if TYPE_CHECKING:
    from streams.topology import Node, Topology


class DescribedNode:
    """A node with its links; `size` counts itself and, once per path, all that follows."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.name = node.name
        self.size = 1
        self.predecessors: TreeSet[DescribedNode] = TreeSet(_compare)
        self.successors: TreeSet[DescribedNode] = TreeSet(_compare)

    def grow(self, delta: int) -> None:
        self.size += delta
        for predecessor in self.predecessors:
            predecessor.grow(delta)

    def __str__(self) -> str:
        from streams.topology import ProcessorNode, SourceNode

        node = self.node
        if isinstance(node, SourceNode):
            topics = f"[{', '.join(copied_string_set_order(node.topics))}]"
            shown = topics if node.pattern is None else node.pattern.pattern
            return f"Source: {self.name} (topics: {shown})\n      --> {_names(self.successors)}"
        if isinstance(node, ProcessorNode):
            stores = ", ".join(copied_string_set_order(node.stores))
            return (
                f"Processor: {self.name} (stores: [{stores}])\n"
                f"      --> {_names(self.successors)}\n      <-- {_names(self.predecessors)}"
            )
        shown = f"topic: {node.topic}" if isinstance(node.topic, str) else f"extractor class: {node.topic}"
        return f"Sink: {self.name} ({shown})\n      <-- {_names(self.predecessors)}"


def _compare(one: DescribedNode, other: DescribedNode) -> int:
    if one is other:
        return 0
    if one.size != other.size:
        return other.size - one.size
    return -1 if one.name < other.name else 1


def _names(nodes: TreeSet[DescribedNode]) -> str:
    return ", ".join(node.name for node in nodes) or "none"


class TopologyDescription:
    """Subtopologies and global stores by id."""

    def __init__(self, topology: Topology) -> None:
        self._subtopologies: dict[int, list[DescribedNode]] = {}
        self._global: dict[int, list[DescribedNode]] = {}
        for group, names in topology.subtopologies().items():
            target = self._global if topology.is_global_group(names) else self._subtopologies
            target[group] = _link(topology, names)

    def __str__(self) -> str:
        parts = ["Topologies:\n "]
        for group in sorted({*self._subtopologies, *self._global}):
            is_global = group in self._global
            nodes = self._global[group] if is_global else self._subtopologies[group]
            note = " for global store (will not generate tasks)" if is_global else ""
            lines = "".join(f"    {node}\n" for node in nodes)
            parts.append(f"  Sub-topology: {group}{note}\n{lines}{'' if is_global else chr(10)}")
        return "".join(parts)


def _link(topology: Topology, names: list[str]) -> list[DescribedNode]:
    ordered = string_set_order(string_set_order(names))
    by_name = {name: DescribedNode(topology.nodes[name]) for name in ordered}
    for node in by_name.values():
        for parent in node.node.parents:
            predecessor = by_name[parent]
            node.predecessors.add(predecessor)
            predecessor.successors.add(node)
            predecessor.grow(node.size)
    return sorted(by_name.values(), key=lambda node: (-node.size, node.name))
