"""Histories of a correct log are always clean, and each kind of damage to one is always found."""

from __future__ import annotations

import random

import pytest
from history_damages import DAMAGES
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from simulated_history import simulated

from chaos.checkers import KINDS, check

SEEDS = st.integers(0, 2**32)


@given(SEEDS)
@settings(deadline=None, max_examples=150)
def test_a_history_of_a_correct_log_is_clean(seed: int) -> None:
    verdict = check(simulated(seed))
    assert verdict.valid, verdict.table()


@given(SEEDS)
@settings(deadline=None, max_examples=50)
def test_transactions_one_at_a_time_make_no_circle_at_all(seed: int) -> None:
    verdict = check(simulated(seed, interleaved=False), strict=True)
    assert verdict.valid, verdict.table()


def test_there_is_a_damage_for_every_kind() -> None:
    assert set(DAMAGES) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
@given(seed=SEEDS)
@settings(deadline=None, max_examples=25)
def test_damage_is_found(kind: str, seed: int) -> None:
    is_interleaved = kind not in ("G0", "G1c-ww")
    ops = simulated(seed, interleaved=is_interleaved)
    assume(DAMAGES[kind](ops, random.Random(seed)))
    found = check(ops, strict=not is_interleaved)
    assert found.counts.get(kind), found.table()
