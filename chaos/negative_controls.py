"""`python -m chaos.negative_controls`: settings that lose data, and the checker sees that they do.

Each is run beside its safe twin, which goes through the same kills. A checker that could not fail would prove nothing.

    leader dies ahead    its followers are held (SIGSTOP) while it writes on, then it is killed and they go on
    both die             the only follower is killed, the leader writes on alone and is killed before that one is back
    power cut            the same, and what the leader had written alone is gone from its disk too, as without fsync
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException

from chaos.checkers import Verdict, check
from chaos.history import History
from chaos.workloads.queue import QueueWorkload
from chaos.workloads.workload import WorkloadFailed
from chaos.wrong_broker import wrong
from model.errors import OdradekError
from testing.cluster import Cluster
from testing.processes import is_alive, signal_quietly
from testing.waiting import ClusterFailed, wait_until

ROUNDS = 3
ATTEMPTS = 3
RATE = 1500
RECORD_BYTES = 20_000  # more than a held follower's sockets take in
_ALONE_S = 0.4
_WRITES_S = 0.25
_HELD_S = 0.6
_BROKERS = 3


class OnePartition(QueueWorkload):
    """`ledger` tells the schedules what is acknowledged while they work."""

    partitions = 1


@dataclass(frozen=True)
class Control:
    """One row: what is set, what is done to it, and whether that may lose what was acknowledged."""

    name: str
    schedule: Callable[[Cluster, OnePartition], None]
    is_safe: bool
    replication: int = 3
    least_isr: int = 2
    producer: dict[str, Any] = field(default_factory=dict)
    topic: dict[str, str] = field(default_factory=dict)
    mutant: str = ""


@dataclass(frozen=True)
class Outcome:
    control: Control
    verdict: Verdict
    seed: int

    @property
    def lost(self) -> int:
        """Acknowledged, and not to be found by a reader of the whole log."""
        return self.verdict.counts.get("unseen", 0)

    @property
    def is_as_expected(self) -> bool:
        return self.verdict.valid if self.control.is_safe else self.lost > 0

    def __str__(self) -> str:
        control = self.control
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.verdict.counts.items()) or "none"
        expected = "no loss" if control.is_safe else "loss"
        judgement = "as expected" if self.is_as_expected else "NOT AS EXPECTED"
        return (
            f"{control.name:36} {_title(control):18} {expected:8} {self.verdict.stats['acked']:>7,} "
            f"{self.lost:>6,}  {judgement:15} {kinds}"
        )


def leader_dies_ahead(cluster: Cluster, workload: OnePartition) -> None:
    topic = workload.topics[0]
    cluster.wait_isr(topic, 0, workload.replication)
    row = cluster.partition(topic, 0)
    followers = [broker for broker in row.isr if broker != row.leader]
    held = [cluster.signal(broker, signal.SIGSTOP) for broker in followers]
    try:
        time.sleep(_ALONE_S)  # shorter than a frozen broker is given
        cluster.kill(row.leader)
    finally:
        for pid in held:
            if is_alive(pid):
                os.kill(pid, signal.SIGCONT)


def both_die(cluster: Cluster, workload: OnePartition) -> None:
    leader, _ = _alone(cluster, workload)
    died = cluster.kill(leader)
    # the other one gets a start: who comes back first must not depend on how busy this machine is
    again = wait_until(lambda: _other_pid(cluster, leader, died), timeout_s=30, what="its restart", every_s=0.002)
    signal_quietly(again, signal.SIGSTOP)
    time.sleep(_HELD_S)
    signal_quietly(again, signal.SIGCONT)


def _other_pid(cluster: Cluster, broker: int, died: int) -> int:
    pid = cluster.pids().get(broker, died)
    return 0 if pid == died else pid


def power_cut(cluster: Cluster, workload: OnePartition) -> None:
    leader, durable = _alone(cluster, workload)
    pid = cluster.kill(leader)
    wait_until(lambda: not is_alive(pid), timeout_s=5, what=f"broker {leader} to end", every_s=0.0005)
    log, size = durable
    os.truncate(log, min(size, log.stat().st_size))


def _alone(cluster: Cluster, workload: OnePartition) -> tuple[int, tuple[Path, int]]:
    """Kill the follower, let the leader write on alone; the leader, its newest log file and the length before."""
    topic = workload.topics[0]
    isr = cluster.wait_isr(topic, 0, 2)
    leader = cluster.leader(topic)
    follower = next(broker for broker in isr if broker != leader)
    cluster.kill(follower)
    cluster.wait_isr(topic, 0, {leader}, timeout_s=10)
    log = max(cluster.data_dir.glob(f"**/*{leader}/**/{topic}-0/*.log"))
    durable = log.stat().st_size
    acked, deadline = len(workload.ledger.ack_times_ns), time.monotonic() + _WRITES_S
    while len(workload.ledger.ack_times_ns) < acked + 20 and time.monotonic() < deadline:
        time.sleep(0.002)
    return leader, (log, durable)


def _title(control: Control) -> str:
    return control.schedule.__name__.replace("_", " ")


_FAST = {"enable_idempotence": False}
CONTROLS: dict[str, Control] = {
    control.name: control
    for control in (
        Control("acks=all", leader_dies_ahead, True),
        Control("acks=1", leader_dies_ahead, False, producer={"acks": "1", **_FAST}),
        Control("acks=0", leader_dies_ahead, False, producer={"acks": "0", **_FAST}),
        Control("broker acks before the ISR", leader_dies_ahead, False, mutant="ack-before-the-isr"),
        Control("clean election", both_die, True, replication=2, least_isr=1),
        Control("unclean election", both_die, False, replication=2, least_isr=1,
                topic={"unclean.leader.election.enable": "true"}),
        Control("broker elects uncleanly", both_die, False, replication=2, least_isr=1, mutant="unclean-election"),
        Control("min.insync.replicas=2", power_cut, True, replication=2),
        Control("min.insync.replicas=1, two kills", power_cut, False, replication=2, least_isr=1),
    )
}  # fmt: skip


def run(control: Control, seed: int = 1, rounds: int = ROUNDS, history_path: Path | None = None) -> Outcome:
    """A cluster of its own, `rounds` times the schedule, then the verdict on what clients saw."""
    options = wrong(control.mutant) if control.mutant else []
    with Cluster(brokers=_BROKERS, options=options) as cluster, History() as history:
        if history_path is not None:
            history.write(history_path)
        workload = OnePartition(cluster.bootstrap, history, seed=seed, rate=RATE)
        workload.replication = control.replication
        workload.record_bytes = RECORD_BYTES
        workload.producer_configs = dict(control.producer)
        workload.topic_configs = {"min.insync.replicas": str(control.least_isr), **control.topic}
        workload.start()
        try:
            for _ in range(rounds):
                _await_acks(workload)
                control.schedule(cluster, workload)
                cluster.wait_until_all_run(60)
            _await_acks(workload)
        finally:
            workload.stop(drain_s=20 if control.is_safe else 4)
    return Outcome(control, check(history), seed)


def run_until_told(control: Control, rounds: int = ROUNDS) -> Outcome:
    """Kills don't always hit: a wrong setting has `ATTEMPTS` runs to show it. A safe one has none to spare."""
    outcome = run(control, 1, rounds)
    while not control.is_safe and not outcome.is_as_expected and outcome.seed < ATTEMPTS:
        outcome = run(control, outcome.seed + 1, rounds)
    return outcome


def _await_acks(workload: OnePartition, count: int = 100) -> None:
    goal = len(workload.ledger.ack_times_ns) + count
    wait_until(lambda: len(workload.ledger.ack_times_ns) >= goal, timeout_s=60, what=f"{count} acknowledged writes")


def main(arguments: list[str] | None = None) -> int:
    """0 when every wrong setting lost something and no safe one did."""
    parser = argparse.ArgumentParser(prog="negative_controls", description="Settings that lose data must be seen to.")
    parser.add_argument("names", nargs="*", help=f"these only, of: {', '.join(CONTROLS)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"kills for each (default {ROUNDS})")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in CONTROLS]:
        parser.error(f"there is no {unknown[0]}: there are {', '.join(CONTROLS)}")
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: without a kill nothing is shown")
    print(f"{'setting':36} {'what is done':18} {'expected':8} {'acked':>7} {'lost':>6}  {'':15} anomalies")
    wrong_ones = 0
    for name in options.names or CONTROLS:
        try:
            outcome = run_until_told(CONTROLS[name], options.rounds)
        except (ClusterFailed, WorkloadFailed, OdradekError, KafkaException) as failure:
            print(f"{name:36} {failure}")
            wrong_ones += 1
            continue
        print(outcome, flush=True)
        wrong_ones += not outcome.is_as_expected
    return 1 if wrong_ones else 0


if __name__ == "__main__":
    sys.exit(main())
