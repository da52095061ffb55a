"""`python -m chaos.endurance`: crashes by the hundred, and what is left over when they end.

    python -m chaos.endurance                    1,000 actors, 200 processes, 100 supervisors
    python -m chaos.endurance --actors 100 --processes 0 --supervisors 0

Every crashed actor and every killed process must run again, acknowledged writes must be there, and no process, port,
file descriptor or memory may have leaked. A supervisor killed with -9 leaves no broker after ORPHANS_S. Exit code 1
otherwise.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil

from chaos.patient import ChaosFailed, Patient
from chaos.probe import Probe, lost_of
from clients.admin_types import NewTopic
from model.errors import OdradekError
from protocol.cluster_chaos import CrashActor
from testing.cluster import Cluster
from testing.processes import is_alive
from testing.waiting import ClusterFailed, wait_until

TOPIC = "endurance"
ORPHANS_S = 2.0
ACTORS_PER_S = 8.0
"""Below what supervisors take for hopeless: 10 crashes below the root in 10 s, 100 replicas in 5 s, for each broker."""
GROWTH_BYTES = 48 << 20
GROWTH_FDS = 24
_ACKS = 5
_TELL_EVERY = 50


@dataclass(slots=True)
class Footprint:
    """What a cluster's processes hold. `sockets` are files in the run directory, `ports` those that listen."""

    processes: int
    supervisor_fds: int
    supervisor_bytes: int
    broker_fds: int
    broker_bytes: int
    sockets: int
    ports: int

    @classmethod
    def of(cls, patient: Patient) -> Footprint:
        state = patient.state()
        supervisor = psutil.Process(int(state["supervisor_pid"]))
        brokers = [psutil.Process(int(row["pid"])) for row in state["brokers"]]
        sockets = [each for process in brokers for each in process.net_connections()]
        ports = {each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN}
        run_directory = Path(state["chaos_socket"]).parent
        return cls(
            processes=1 + len(supervisor.children(recursive=True)),
            supervisor_fds=supervisor.num_fds(),
            supervisor_bytes=supervisor.memory_info().rss,
            broker_fds=max(process.num_fds() for process in brokers),
            broker_bytes=max(process.memory_info().rss for process in brokers),
            sockets=len(list(run_directory.iterdir())),
            ports=len(ports),
        )

    def leaks_since(self, before: Footprint) -> list[str]:
        leaks = []
        for name in ("processes", "ports"):
            was, now = getattr(before, name), getattr(self, name)
            if now != was:
                leaks.append(f"{name}: {was} -> {now}")
        for name, allowed in (
            ("supervisor_fds", 4),
            ("broker_fds", GROWTH_FDS),
            ("sockets", 6),
            ("supervisor_bytes", GROWTH_BYTES),
            ("broker_bytes", GROWTH_BYTES),
        ):
            was, now = getattr(before, name), getattr(self, name)
            if now > was + allowed:
                leaks.append(f"{name}: {was} -> {now}")
        return leaks


@dataclass(slots=True)
class Endured:
    """`troubles` is everything that should not be."""

    actors: int = 0
    processes: int = 0
    supervisors: int = 0
    acked: int = 0
    restarts: int = 0
    slowest_restart_ms: float = 0.0
    slowest_end_ms: float = 0.0
    troubles: list[str] = field(default_factory=list)

    def line(self) -> str:
        verdict = "; ".join(self.troubles) or "nothing lost, nothing leaked"
        return (
            f"{self.actors} actors crashed ({self.restarts} restarts of those that live now), {self.processes} killed "
            f"processes (slowest back after {self.slowest_restart_ms:.0f} ms), {self.supervisors} supervisors killed "
            f"(slowest orphan gone after {self.slowest_end_ms:.0f} ms), {self.acked:,} acked writes: {verdict}"
        )


def endure(
    cluster: Cluster,
    *,
    actors: int,
    processes: int,
    supervisors: int,
    seed: int = 1,
    say: Callable[[str], None] = print,
) -> Endured:
    """`cluster` runs already, with `--restarts-per-minute` high enough, and runs at the end."""
    endured, choose = Endured(), random.Random(seed)
    cluster.admin.create_topics([NewTopic(TOPIC, 6, 3, configs={"min.insync.replicas": "2"})])
    with closing(Patient(cluster.data_dir, topics=[TOPIC], seed=seed)) as patient:
        patient.wait_until_healthy()
        with Probe(cluster.bootstrap, TOPIC, 0, every_s=0.01) as probe:
            probe.wait_for_acks(100)  # warm: what is imported late is no leak
            before = Footprint.of(patient)
            _crash_actors(patient, probe, actors, choose, endured, say)
            _kill_processes(patient, probe, processes, choose, endured, say)
            patient.wait_until_healthy()
            probe.wait_for_acks(_ACKS)
            endured.troubles += _footprint_in_time(patient, before)
        _check_probe(probe, endured)
    for number in range(1, supervisors + 1):
        _kill_supervisor(cluster, endured)
        if number % _TELL_EVERY == 0:
            say(endured.line())
    if supervisors:
        _check_probe(probe, endured, " after the supervisors' deaths")
    return endured


def _crash_actors(
    patient: Patient, probe: Probe, count: int, choose: random.Random, endured: Endured, say: Callable[[str], None]
) -> None:
    lives = {broker: patient.incarnation(broker) for broker in patient.brokers()}
    next_s = time.monotonic()
    while endured.actors < count:
        broker = choose.choice(list(lives))
        event = patient.tell("actor-crash", f"broker {broker}")
        try:
            patient.order(broker, CrashActor("/", choose.randrange(1 << 30)), event=event)
        except ChaosFailed as failure:
            endured.troubles.append(str(failure))
            return
        endured.actors += 1
        if endured.actors % _TELL_EVERY == 0:
            say(endured.line())
        next_s += 1 / ACTORS_PER_S
        time.sleep(max(0.0, next_s - time.monotonic()))
    if count:
        wait_until(lambda: not any(patient.insight(broker).down for broker in lives), what="all actors to run again")
        endured.restarts = sum(patient.insight(broker).restarts for broker in lives)
        for broker, life in lives.items():
            if patient.incarnation(broker) != life:
                endured.troubles.append(f"broker {broker} did not survive the crashes of its actors")
        probe.wait_for_acks(_ACKS)


def _kill_processes(
    patient: Patient, probe: Probe, count: int, choose: random.Random, endured: Endured, say: Callable[[str], None]
) -> None:
    for _ in range(count):
        patient.wait_until_healthy()
        broker = choose.choice(patient.brokers())
        before, began_s = patient.incarnation(broker), time.monotonic()
        patient.strike(broker, signal.SIGKILL)
        patient.wait_for_next_life(broker, before)
        endured.slowest_restart_ms = max(endured.slowest_restart_ms, (time.monotonic() - began_s) * 1000)
        endured.processes += 1
        probe.wait_for_acks(_ACKS)
        if endured.processes % _TELL_EVERY == 0:
            say(endured.line())


def _footprint_in_time(patient: Patient, before: Footprint) -> list[str]:
    """Descriptors and sockets of the dead are given back a little later."""
    leaks: list[str] = []
    for _ in range(30):
        leaks = Footprint.of(patient).leaks_since(before)
        if not leaks:
            break
        time.sleep(0.2)
    return leaks


def _check_probe(probe: Probe, endured: Endured, when: str = "") -> None:
    found = probe.read()
    endured.acked = len(probe.acked)
    lost = len(lost_of(probe.acked, found))
    doubled = sum(len(offsets) > 1 for offsets in found.values())
    if lost or doubled or probe.failed:
        endured.troubles.append(f"{lost} acked lost, {doubled} doubled, {len(probe.failed)} failed{when}")


def _kill_supervisor(cluster: Cluster, endured: Endured) -> None:
    brokers = list(cluster.pids().values())
    if len(brokers) < cluster.size:
        raise ClusterFailed(f"{len(brokers)} of {cluster.size} brokers run: not all would be orphans")
    began_s = time.monotonic()
    os.kill(cluster.supervisor_pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, brokers)), timeout_s=30.0, what="the orphans to end", every_s=0.005)
    took_s = time.monotonic() - began_s
    endured.slowest_end_ms = max(endured.slowest_end_ms, took_s * 1000)
    if took_s > ORPHANS_S:
        endured.troubles.append(f"orphans lived for {took_s:.1f} s")
    cluster.kill_supervisor()  # reaps it
    cluster.start()
    endured.supervisors += 1


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="endurance", description="Crashes by the hundred.")
    parser.add_argument("--actors", type=int, default=1000, help="actors to crash (default: 1000)")
    parser.add_argument("--processes", type=int, default=200, help="brokers to kill (default: 200)")
    parser.add_argument("--supervisors", type=int, default=100, help="supervisors to kill (default: 100)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    if min(options.actors, options.processes, options.supervisors) < 0:
        parser.error("nothing can be done less often than never")
    if not options.actors + options.processes + options.supervisors:
        parser.error("without a crash nothing is shown")
    try:
        with Cluster(brokers=3, options=["--restarts-per-minute", "10000"]) as cluster:
            endured = endure(
                cluster, actors=options.actors, processes=options.processes, supervisors=options.supervisors,
                seed=options.seed, say=partial(print, flush=True),
            )  # fmt: skip
    except (ClusterFailed, OdradekError, psutil.Error) as failure:
        print(f"endurance: {failure}", file=sys.stderr)
        return 1
    print(endured.line())
    return 1 if endured.troubles else 0


if __name__ == "__main__":
    sys.exit(main())
