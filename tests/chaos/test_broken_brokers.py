"""Brokers with a mistake in them: the histories of their clients show it, each by its kind of anomaly."""

from __future__ import annotations

import pytest

from chaos.broken_brokers import BROKEN, run

pytestmark = [pytest.mark.cluster, pytest.mark.long]

ATTEMPTS = 3


@pytest.mark.parametrize("name", BROKEN)
def test_the_mistake_shows(name: str) -> None:
    broken = BROKEN[name]
    for seed in range(1, ATTEMPTS + 1):  # kills don't always hit
        verdict = run(name, broken.workload, broken.kills, seed)
        if broken.shows_as & set(verdict.counts):
            return
    pytest.fail(f"{ATTEMPTS} runs, and nobody noticed: {verdict.table()}")
