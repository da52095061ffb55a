"""Short forms of `make kills` and of `python -m chaos.endurance`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chaos.endurance import endure
from chaos.kills import kill_leaders
from odradek import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(brokers=3, options=["--restarts-per-minute", "1000"]) as running:
        yield running


def test_leaders_die_and_nothing_acknowledged_is_lost(cluster: Cluster) -> None:
    kills = kill_leaders(cluster, 15)
    assert (kills.lost, kills.doubled, kills.failed) == (0, 0, 0), kills.line()
    assert len(kills.failovers_ms) == 15 and kills.acked > 0, kills.line()
    print(kills.line())


def test_what_crashes_runs_again_and_leaves_nothing_behind(cluster: Cluster) -> None:
    endured = endure(cluster, actors=40, processes=5, supervisors=2, say=lambda _: None)
    assert endured.troubles == []
    assert (endured.actors, endured.processes, endured.supervisors) == (40, 5, 2)
    assert endured.acked > 0, endured.line()
    print(endured.line())
