"""Each workload on a cluster that nobody hurts, and on one whose leader dies: the checker has nothing to report."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.checkers import check
from chaos.history import History
from chaos.workloads import WORKLOADS, Workload
from odradek import Cluster, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

ENOUGH = 2000


def wait_for_ops(workload: Workload, count: int) -> None:
    goal = workload.stats()["ops"] + count
    wait_until(lambda: workload.stats()["ops"] >= goal, timeout_s=60, what=f"{count} more operations")


def judged(history: History, workload: Workload) -> None:
    verdict = check(history)
    assert verdict.valid, verdict.table()
    stats = workload.stats()
    assert stats["unseen"] == 0, stats
    assert verdict.stats["acked"] >= stats["acked"] > 300
    assert verdict.stats["polled"] >= stats["acked"]


@pytest.mark.long
@pytest.mark.parametrize("name", WORKLOADS)
def test_an_unhurt_cluster_has_no_anomalies(cluster: Cluster, tmp_path: Path, name: str) -> None:
    with History() as history:
        history.write(tmp_path / "history.jsonl")
        workload = WORKLOADS[name](cluster.bootstrap, history, seed=3)
        workload.start()
        try:
            wait_for_ops(workload, ENOUGH)
        finally:
            workload.stop()
    judged(history, workload)
    assert check(History.read(tmp_path / "history.jsonl")).stats["polled"] == check(history).stats["polled"]


@pytest.mark.long
@pytest.mark.parametrize("name", WORKLOADS)
def test_a_cluster_whose_leader_is_killed_twice_has_no_anomalies(name: str) -> None:
    with Cluster(brokers=3) as cluster:
        history = History()
        workload = WORKLOADS[name](cluster.bootstrap, history, seed=4)
        workload.start()
        try:
            for _ in range(2):
                wait_for_ops(workload, ENOUGH // 2)
                cluster.kill_leader(workload.topics[0], 0)
                cluster.wait_until_all_run()
            wait_for_ops(workload, ENOUGH // 2)
        finally:
            workload.stop()
        judged(history, workload)
