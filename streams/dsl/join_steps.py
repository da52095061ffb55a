"""The steps of joins in a plan: each writes two sides and the node that unites them."""

from __future__ import annotations

from collections.abc import Sequence

from streams.dsl.graph import GraphNode, ProcessorStep
from streams.engine.operator import Operator, TableOperator
from streams.errors import TopologyError
from streams.operators.stateless import PassThrough
from streams.topology import Topology


class StreamJoinStep(GraphNode):
    """Both sides of a stream-stream join and the node that unites them, or a self join over one store."""

    def __init__(
        self,
        merge_name: str,
        this: tuple[str, Operator],
        other: tuple[str, Operator],
        self_join: Operator,
        windowed_names: tuple[str, str],
    ) -> None:
        super().__init__(merge_name)
        self._this = this
        self._other = other
        self._self_join = self_join
        self.windowed_names = windowed_names
        self.is_self_join = False

    def write(self, topology: Topology) -> None:
        if self.is_self_join:
            topology.add_operator(self.name, self._self_join, self.windowed_names[0])
            return
        topology.add_operator(*self._this, self.windowed_names[0])
        topology.add_operator(*self._other, self.windowed_names[1])
        topology.add_operator(self.name, PassThrough(), self._this[0], self._other[0])


class GraceJoinStep(ProcessorStep):
    """A stream-table join that waits for late rows: every store it reads must be versioned, with history enough."""

    def __init__(self, name: str, operator: Operator, store_names: Sequence[str], grace_ms: int) -> None:
        super().__init__(name, operator, store_names)
        self._wait_ms = grace_ms

    def write(self, topology: Topology) -> None:
        super().write(topology)
        for store_name in self.store_names:
            supplier = topology.stores[store_name].supplier
            if not supplier.is_versioned:
                raise TopologyError(f"{self.name}: a table must be versioned for a stream to wait for it")
            if supplier.retention_ms < self._wait_ms:
                kept_ms = supplier.retention_ms
                raise TopologyError(f"{self.name} waits {self._wait_ms} ms, and store {store_name} keeps {kept_ms} ms")


class TableJoinStep(GraphNode):
    """Both sides of a table-table join and the node that unites them."""

    def __init__(
        self,
        merge_name: str,
        this: tuple[str, TableOperator, GraphNode, str],
        other: tuple[str, TableOperator, GraphNode, str],
        merge: TableOperator,
        this_store_names: Sequence[str],
        other_store_names: Sequence[str],
    ) -> None:
        super().__init__(merge_name)
        self._this = this
        self._other = other
        self._merge = merge
        self._this_store_names = this_store_names
        self._other_store_names = other_store_names

    def use_versioned_semantics(self, parent: GraphNode) -> None:
        """Only the side that reads the versioned parent ignores what comes out of order."""
        for _, operator, _, joined_name in (self._this, self._other):
            if joined_name == parent.name:
                operator.uses_versioned_semantics = True  # type: ignore[attr-defined]

    def write(self, topology: Topology) -> None:
        for name, operator, _, joined_name in (self._this, self._other):
            topology.add_operator(name, operator, joined_name)
        topology.add_operator(self.name, self._merge, self._this[0], self._other[0])
        topology.connect_processor_and_state_stores(self._this[0], *self._other_store_names)
        topology.connect_processor_and_state_stores(self._other[0], *self._this_store_names)
