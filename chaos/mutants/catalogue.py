"""Known-wrong variants of the protocol, by name: the proof that the simulator would notice.

A mutant is a small patch of the real code, switched on for as long as a simulation runs:

    with mutated("ack-before-the-isr"):
        report = simulate(seed)

The files beside this one hold the mutants, each those of one part of the system.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_FILES = ("leader", "follower", "controller", "storage", "transactions", "groups")


class Patches:
    """What a mutant replaces; undone in reverse order."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def replace(self, owner: Any, name: str, replacement: Any) -> Any:
        """The attribute as it was, for the replacement to call."""
        original = owner.__dict__[name]
        self._before.append((owner, name, original))
        setattr(owner, name, replacement)
        return original

    def undo(self) -> None:
        for owner, name, original in reversed(self._before):
            setattr(owner, name, original)
        self._before.clear()


@dataclass(frozen=True, slots=True)
class Mutant:
    """`lie` says what is wrong with it, `apply` makes it so, `hint` is a seed that has found it before."""

    name: str
    lie: str
    apply: Callable[[Patches], None]
    hint: int


MUTANTS: dict[str, Mutant] = {}


def mutant(name: str, lie: str, hint: int = 1) -> Callable[[Callable[[Patches], None]], Callable[[Patches], None]]:
    """Registers the decorated function as the patch of a mutant."""

    def register(apply: Callable[[Patches], None]) -> Callable[[Patches], None]:
        assert name not in MUTANTS, name
        MUTANTS[name] = Mutant(name, lie, apply, hint)
        return apply

    return register


def load() -> dict[str, Mutant]:
    """All mutants, by name."""
    for file in _FILES:
        importlib.import_module(f"chaos.mutants.{file}")
    return MUTANTS


@contextmanager
def mutated(name: str) -> Iterator[Mutant]:
    """In here the code is wrong in the way of this mutant."""
    chosen = load()[name]
    patches = Patches()
    try:
        chosen.apply(patches)
        yield chosen
    finally:
        patches.undo()
