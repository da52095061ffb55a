"""Splitting a stream: each record goes into the first branch that takes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from streams.dsl.graph import ProcessorStep
from streams.operators.stateless import Branch, PassThrough

if TYPE_CHECKING:
    from streams.dsl.stream import KStream

K = TypeVar("K")
V = TypeVar("V")

Chain = Callable[[Any], Any]


class BranchedKStream(Generic[K, V]):
    """Made by `split()`. Ends with `default_branch()` or `no_default_branch()`, which give the branches by name."""

    def __init__(self, source: KStream[K, V], name: str | None) -> None:
        self._source = source
        self._name = source.plan.named(name, "KSTREAM-BRANCH-")
        self._predicates: list[Callable[..., Any]] = []
        self._child_names: list[str] = []
        self._branches: dict[str, KStream[K, V]] = {}
        self._node = ProcessorStep(self._name, Branch(self._predicates, self._child_names))
        source.plan.add(self._node, source.node)

    def branch(
        self, predicate: Callable[..., Any], *, name: str | None = None, chain: Chain | None = None
    ) -> BranchedKStream[K, V]:
        """A branch for what `predicate` takes. What `chain(stream)` returns is found under the branch's name."""
        self._predicates.append(predicate)
        self._add(name if name is not None else str(len(self._predicates)), chain)
        return self

    def default_branch(self, *, name: str | None = None, chain: Chain | None = None) -> dict[str, KStream[K, V]]:
        """A branch for what no predicate took."""
        self._add("0" if name is None else name, chain)
        return self._branches

    def no_default_branch(self) -> dict[str, KStream[K, V]]:
        """What no predicate took is dropped."""
        return self._branches

    def _add(self, suffix: str, chain: Chain | None) -> None:
        from streams.dsl.stream import KStream

        source = self._source
        child_name = f"{self._name}{suffix}"
        self._child_names.append(child_name)
        source.plan.new_name(child_name)
        node = ProcessorStep(child_name, PassThrough())
        source.plan.add(node, self._node)
        branch: KStream[K, V] = KStream(
            source.plan,
            node,
            child_name,
            source.key_serde,
            source.value_serde,
            source.sources,
            needs_repartition=source.needs_repartition,
        )
        result = branch if chain is None else chain(branch)
        if result is not None:
            self._branches[child_name] = result
