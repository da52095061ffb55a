"""Every known-wrong variant is found; if not, the simulator would not notice the same mistake in our code."""

from __future__ import annotations

import pytest

from chaos.mutants.__main__ import find
from chaos.mutants.catalogue import load
from machines.leader import LeaderMachine

MUTANTS = load()


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 20


@pytest.mark.parametrize("name", MUTANTS)
def test_the_simulator_finds(name: str) -> None:
    report = find(name, hint_first=True)
    assert report is not None, f"{MUTANTS[name].lie}: nobody noticed in 500 seeds"
    assert report.invariant


def test_a_mutant_leaves_nothing_behind() -> None:
    before = dict(vars(LeaderMachine))
    find("ack-before-the-isr", 1)
    assert dict(vars(LeaderMachine)) == before
