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

from actors.actor_system import ActorSystem
from chaos.sim_cluster import Cluster
from chaos.sim_faults import Faults
from chaos.sim_invariants import Checker
from chaos.sim_seams import in_place_of_the_machine
from chaos.sim_workloads import COORDINATOR_CONFIGS, Workload
from chaos.sim_world import Violation, VirtualLoop, World
from model.ids import TopicPartition
from protocol.cluster_admin import CreateTopics
from storage.log import Log

FAULTS_S = 12.0
RECOVERY_S = 60.0
LOOK_S = 0.25
_real_time = time.process_time  # of this process: others on the machine do not count


@dataclass(slots=True)
class Report:
    """What one seed led to."""

    seed: int
    kind: str = ""  # of its workload
    violation: str = ""
    invariant: str = ""
    events: int = 0
    simulated_s: float = 0.0
    real_s: float = 0.0
    deaths: int = 0
    acked: int = 0
    commits: int = 0  # of groups
    transactions: int = 0  # committed ones
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
            "broker.session.timeout.ms": str(self.world.chance("session").choice((9000, 9000, 1500, 500))),
            **COORDINATOR_CONFIGS,
        }
        self.cluster = Cluster(self.world, brokers, overrides)
        self.checker = Checker(self.cluster)
        self.world.after_step = self.checker.after_step
        self.workload = Workload(self.cluster, self.checker)
        gap_s = chance.choice((0.15, 0.4, 0.8, 1.5))
        self.faults = Faults(self.cluster, self.checker, self.workload, gap_s)

    def run(self) -> None:
        """Raises Violation."""
        world = self.world
        world.say(f"SEED {world.seed}: {len(self.cluster.brokers)} brokers, {self.workload.describe()}")
        self.cluster.start()
        self._until(self._is_created, 20.0, "the topic was never created")
        self.workload.start()
        world.run(world.now_s + 0.5)
        self.faults.start()
        world.run(world.now_s + FAULTS_S)
        self.faults.stop()
        world.run(world.now_s + 1.0)
        self.workload.stop_writing()
        self._until(self._is_well, RECOVERY_S, "not well again")
        world.say("WELL: all is read, every ISR is full, the logs are the same byte by byte")

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
        topics = self.workload.topics()
        if not topics:
            return None
        if len(cluster.metadata.truth.live_brokers()) < len(cluster.brokers):
            return "not all brokers are registered"
        process = cluster.living[0]
        process.enter(process.ask_controller, lambda number: CreateTopics(number, topics))
        return "not all topics exist"

    # -- the end ---------------------------------------------------------------------------------------------------

    def _is_well(self) -> str | None:
        """What is still wrong, now that nothing is done to the cluster any more."""
        lacking = self.workload.lacking()
        if lacking is not None:
            return lacking
        for info in self.cluster.metadata.truth.all_partitions():
            name = TopicPartition(info.topic, info.partition)
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
                if replica.last_stable_offset != replica.high_watermark:
                    return f"{name}: {replica.last_stable_offset} of {replica.high_watermark} is stable"
                for reader in self.workload.readers:
                    position = reader.positions.get(name, replica.high_watermark)
                    if position != replica.high_watermark:
                        return f"{reader.name} is at {position} of {replica.high_watermark} in {name}"
        common = max(log.log_start_offset for log in logs.values())
        contents = {member: _content(log, common) for member, log in logs.items()}
        if len(set(contents.values())) > 1:
            return f"the logs of {name} differ: { {member: len(content) for member, content in contents.items()} }"
        return None


def _content(log: Log, start: int) -> bytes:
    """The bytes of all batches that end above `start`, as the disk has them."""
    return b"".join(
        segment.batch(header) for segment in log.segments for header in segment.headers() if header.next_offset > start
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
        for loop in [loop for loop in ActorSystem._of_loop if isinstance(loop, VirtualLoop)]:
            del ActorSystem._of_loop[loop]  # its values know their keys: nothing would ever be freed
        if was_collecting:
            gc.enable()
    world = simulation.world
    ledger = simulation.checker.ledger
    report.commits = ledger.commits
    report.transactions = sum(each.outcome is True for each in ledger.transactions.values())
    report.kind = simulation.workload.kind
    report.events, report.simulated_s, report.deaths = world.events, world.now_s, simulation.cluster.deaths
    report.acked, report.faults = simulation.checker.acked, simulation.faults.counts
    report.elections = sum(len(partition.leaders) for partition in simulation.checker.partitions.values())
    report.lines = world.lines or []
    report.real_s = _real_time() - began_s
    return report
