"""What streams and tables of a plan have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

from streams.dsl.graph import GraphNode
from streams.dsl.plan import Plan
from streams.errors import TopologyError
from streams.serdes import Serde

K = TypeVar("K")
V = TypeVar("V")


class Flow(Generic[K, V]):
    """A place in the plan, the serdes of what flows there, and the sources it depends on."""

    def __init__(
        self,
        plan: Plan,
        node: GraphNode,
        name: str,
        key_serde: Serde[Any] | None,
        value_serde: Serde[Any] | None,
        sources: Iterable[str],
    ) -> None:
        self.plan = plan
        self.node = node
        self.name = name
        self.key_serde = key_serde
        self.value_serde = value_serde
        self.sources = frozenset(sources)

    def copartition_with(self, *others: Flow[Any, Any]) -> frozenset[str]:
        """All sources together, which must have equally many partitions and the same key serde."""
        together = self.sources.union(*(other.sources for other in others))
        for other in others:
            if other.plan is not self.plan:
                raise TopologyError(f"{self.name} and {other.name} were made by different builders")
            if None not in (self.key_serde, other.key_serde) and self.key_serde != other.key_serde:
                raise TopologyError(
                    f"{self.name} has {self.key_serde!r} keys and {other.name} {other.key_serde!r} keys: "
                    "equal keys would lie in different partitions"
                )
        self.plan.copartition(together)
        return together
