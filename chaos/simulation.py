"""One simulated life of a cluster, from one seed: boot, work, faults, healing, and the proof that all is well again.

    report = simulate(17)                 # raises nothing; report.violation says what broke, if anything did
    report = simulate(17, is_traced=True) # report.lines is the transcript, one line per event

The brokers are the real ones (`actors/broker.py` with all that it runs: machines, actors, controller, storage code),
the machine under them is virtual (`sim_seams.py`). The invariants stand in `sim_invariants.py`, the faults in
`sim_faults.py`, the clients in `sim_clients.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos.sim_clients import Consumer, Producer
from chaos.sim_cluster import Cluster
from chaos.sim_faults import Faults
from chaos.sim_invariants import Checker
from chaos.sim_seams import in_place_of_the_machine
from chaos.sim_world import Violation, World
from model.ids import TopicPartition
from protocol.cluster_admin import CreateTopics, NewTopic
from storage.log import Log

TOPIC = "t"
FAULTS_S = 12.0
RECOVERY_S = 60.0
LOOK_S = 0.25
_real_time = time.perf_counter


@dataclass(slots=True)
class Report:
    """What one seed led to."""

    seed: int
    violation: str = ""
    invariant: str = ""
    events: int = 0
    simulated_s: float = 0.0
    real_s: float = 0.0
    deaths: int = 0
    acked: int = 0
    elections: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    trouble: str = ""  # where the violation was found


class Simulation:
    """A world with a cluster, its clients, its faults and its checker. `run` once."""

    def __init__(self, seed: int, *, is_traced: bool = False) -> None:
        self.world = World(seed, is_traced=is_traced)
        chance = self.world.chance("shape")
        brokers = chance.choice((3, 3, 3, 4))
        overrides = {
            "replica.lag.time.max.ms": str(chance.choice((600, 1500, 4000))),
            "leader.imbalance.check.interval.seconds": str(chance.choice((2, 5, 300))),
            "min.insync.replicas": "2",
        }
        self.cluster = Cluster(self.world, brokers, overrides)
        self.checker = Checker(self.cluster)
        self.world.after_step = self.checker.after_step
        self.faults = Faults(self.cluster, self.checker, gap_s=chance.choice((0.15, 0.4, 0.8, 1.5)))
        count = chance.choice((1, 1, 2, 3))
        self.partitions = [TopicPartition(TOPIC, number) for number in range(count)]
        self.segment_bytes = chance.choice((2_000, 10_000, 1 << 20))
        self.flush_messages = chance.choice((1, 20, 1 << 62))
        self.producers = [
            Producer(self.cluster, self.checker, 100, self.partitions, acks=-1, is_idempotent=True, pause_s=0.06),
            Producer(self.cluster, self.checker, 101, self.partitions, acks=-1, is_idempotent=True, pause_s=0.2),
            Producer(self.cluster, self.checker, 102, self.partitions, acks=1, is_idempotent=False, pause_s=0.25),
            Producer(self.cluster, self.checker, 103, self.partitions, acks=1, is_idempotent=True, pause_s=0.3),
        ]
        self.consumers = [Consumer(self.cluster, self.checker, 110, self.partitions, pause_s=0.15)]

    def run(self) -> None:
        """Raises Violation."""
        world = self.world
        self.cluster.start()
        self._until(self._is_created, 20.0, "the topic was never created")
        for producer in self.producers:
            producer.start()
        for consumer in self.consumers:
            consumer.start()
        world.run(world.now_s + 0.5)
        self.faults.start()
        world.run(world.now_s + FAULTS_S)
        self.faults.stop()
        world.run(world.now_s + 1.0)
        for producer in self.producers:
            producer.is_stopped = True
        self._until(self._is_well, RECOVERY_S, "not well again")

    def _until(self, holds: Callable[[], str | None], within_s: float, complaint: str) -> None:
        deadline_s = self.world.now_s + within_s
        while (lacking := holds()) is not None:
            if self.world.now_s >= deadline_s:
                name = "SameLogs" if lacking.startswith("the logs") else "Liveness"
                raise Violation(name, f"{complaint} after {within_s} s: {lacking}")
            self.world.run(self.world.now_s + LOOK_S)

    def _is_created(self) -> str | None:
        """None once the topic is there; until then it is asked for."""
        cluster = self.cluster
        if TOPIC in cluster.metadata.truth.topics:
            return None
        if len(cluster.metadata.truth.live_brokers()) < len(cluster.brokers):
            return "not all brokers are registered"
        configs: dict[str, str | None] = {
            "internal.segment.bytes": str(self.segment_bytes),
            "flush.messages": str(self.flush_messages),
            "index.interval.bytes": "300",
        }
        topic = NewTopic(TOPIC, len(self.partitions), 3, {}, configs)
        process = cluster.living[0]
        process.enter(process.ask_controller, lambda number: CreateTopics(number, [topic]))
        return "the topic does not exist"

    # -- the end ---------------------------------------------------------------------------------------------------

    def _is_well(self) -> str | None:
        """What is still wrong, now that nothing is done to the cluster any more."""
        for producer in self.producers:
            if not producer.is_done:
                return f"{producer.name} still waits"
        truth = self.cluster.metadata.truth
        for name in self.partitions:
            info = truth.partition(*name)
            assert info is not None
            if info.adding_replicas or info.removing_replicas:
                return f"{info} is still on the move"
            if set(info.isr) != set(info.replicas) or info.leader < 0:
                return f"the ISR is not full: {info}"
            found = self._is_partition_well(name, info.leader, info.replicas)
            if found is not None:
                return found
        return None

    def _is_partition_well(self, name: TopicPartition, leader: int, members: tuple[int, ...]) -> str | None:
        logs: dict[int, Log] = {}
        for member in members:
            process = self.cluster.processes[member]
            replica = process.broker.replicas.hosted.get(name) if process.broker is not None else None
            if process.is_dead or replica is None:
                return f"b{member} does not host {name}"
            logs[member] = replica.log
            if member == leader:
                if replica.leader is None:
                    return f"{process.name} does not lead {name}"
                if replica.high_watermark != replica.log.log_end_offset:
                    return f"{name}: {replica.high_watermark} of {replica.log.log_end_offset} is committed"
                for consumer in self.consumers:
                    if consumer.positions[name] != replica.high_watermark:
                        return f"{consumer.name} is at {consumer.positions[name]} of {replica.high_watermark} in {name}"
        common = max(log.segments[0].base_offset for log in logs.values())
        contents = {member: _content(log, common) for member, log in logs.items()}
        if len(set(contents.values())) > 1:
            return f"the logs of {name} differ: { {member: len(content) for member, content in contents.items()} }"
        return None


def _content(log: Log, start: int) -> bytes:
    """The bytes of all batches that begin at or above `start`, as the disk has them."""
    return b"".join(
        segment.batch(header) for segment in log.segments for header in segment.headers() if header.base_offset >= start
    )


def simulate(seed: int, *, is_traced: bool = False) -> Report:
    """Run one seed to its end, or to its first violation."""
    report = Report(seed)
    began_s = _real_time()
    simulation = Simulation(seed, is_traced=is_traced)
    was_collecting = gc.isenabled()
    gc.disable()  # a life is short; what it leaves behind is collected afterwards
    try:
        with in_place_of_the_machine(simulation.cluster):
            simulation.run()
    except Violation as violation:
        report.violation, report.invariant = str(violation), violation.invariant
        cause = violation.__cause__ or violation
        report.trouble = "".join(traceback.format_exception(cause))
        simulation.world.say(f"VIOLATION {violation}")
    finally:
        for process in simulation.cluster.processes.values():
            if not process.is_dead:
                process.kill("the end")
        with contextlib.suppress(RuntimeError):
            asyncio._set_running_loop(None)
        if was_collecting:
            gc.enable()
    world = simulation.world
    report.events, report.simulated_s, report.deaths = world.events, world.now_s, simulation.cluster.deaths
    report.acked, report.faults = simulation.checker.acked, simulation.faults.counts
    report.elections = sum(len(partition.leaders) for partition in simulation.checker.partitions.values())
    report.lines = world.lines or []
    report.real_s = _real_time() - began_s
    return report
