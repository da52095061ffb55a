"""The steps of joins in a plan: each writes two sides and the node that unites them."""

from __future__ import annotations

from collections.abc import Sequence

from streams.dsl.graph import GraphNode
from streams.engine.operator import Operator, TableOperator
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
