"""Clusters that several processes use: pytest-xdist's workers share one, and an external one is nobody's to end.

The first worker that needs a cluster starts it, under a file lock; the others find it through its data folder. It is
owned by the process that started the workers, so it ends with that one, not with the worker.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testing.cluster import Cluster
from testing.processes import HURRY_S, Processes, is_alive, read_state, signal_quietly
from testing.waiting import ClusterFailed, wait_until

_START_S = 60.0


class Attached(Processes):
    """A cluster that somebody else started; `stop` leaves it alone. Without `data_dir`, only its address is known."""

    def __init__(self, bootstrap: str, data_dir: Path | None) -> None:
        where = data_dir or Path("/nonexistent")
        log_path = where.with_name(f"{where.name}.out")
        super().__init__(
            0, port=0, data_dir=where, log_path=log_path, configs={}, options=(), owner=0, start_timeout_s=_START_S
        )
        self.bootstrap = bootstrap
        self.is_external = data_dir is None

    def start(self) -> str:
        return self.bootstrap

    def stop(self, timeout_s: float = 15.0, *, is_hurried: bool = False) -> None:
        pass

    @property
    def is_running(self) -> bool:
        return self.is_external or is_alive(self.supervisor_pid)

    @property
    def supervisor_pid(self) -> int:
        return int(self.state().get("supervisor_pid") or 0)

    def signal(self, broker_id: int, number: signal.Signals) -> int:
        if self.is_external:
            raise ClusterFailed("this cluster is external (--kafka-external): tests can't hurt its brokers")
        return super().signal(broker_id, number)

    def kill_supervisor(self) -> None:
        raise ClusterFailed("other workers use this cluster: take kafka_cluster_fresh to kill its supervisor")


def external(bootstrap: str) -> Cluster:
    """A handle on a cluster that runs elsewhere, Kafka's own for instance; `start` it to use it."""
    runner = Attached(bootstrap, None)
    cluster = Cluster(1, data_dir=runner.data_dir, runner=runner).start()
    cluster.size = len(cluster.admin.describe_cluster().brokers)
    return cluster


def shared(directory: Path, name: str, brokers: int, configs: Mapping[str, str], owner: int) -> Cluster:
    """The cluster of that name below `directory`, started if need be; closing it leaves it to the other workers."""
    data_dir = directory / name
    with open(directory / f"{name}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = read_state(data_dir)
        if not is_alive(state.get("supervisor_pid") or 0):
            begun = Cluster(
                brokers, data_dir=data_dir, configs=configs, owner=owner, outlives_caller=not owner,
                start_timeout_s=_START_S,
            )  # fmt: skip
            begun.start()
            state = begun.state()
    return Cluster(brokers, data_dir=data_dir, configs=configs, runner=Attached(state["bootstrap"], data_dir)).start()


def end_all(directory: Path) -> None:
    """Stop every cluster below `directory`, whose files nobody needs any more, and wait for that."""
    pids = []
    for file in directory.glob("*/cluster.json"):
        state: dict[str, Any] = read_state(file.parent)
        pid = state.get("supervisor_pid") or 0
        if pid and pid != os.getpid() and is_alive(pid):
            signal_quietly(pid, signal.SIGTERM)
            pids.append(pid)
    # asked a second time, a supervisor ends its brokers without order
    for patience_s, number in ((HURRY_S, signal.SIGTERM), (15.0, signal.SIGKILL)):
        try:
            wait_until(lambda: not any(map(is_alive, pids)), timeout_s=patience_s, every_s=0.005)
        except ClusterFailed:
            for pid in filter(is_alive, pids):
                signal_quietly(pid, number)
