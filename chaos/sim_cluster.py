"""A simulated cluster: the processes, their disks, the supervisor that watches them, and what the plan does to them.

The supervisor decides by the real `actors.broker_watch`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from actors import broker_events as events
from actors.broker_watch import TICK_MS, BrokerWatch
from chaos.sim_disk import Platter
from chaos.sim_lease import SharedMetadata
from chaos.sim_network import Network
from chaos.sim_process import Process
from chaos.sim_world import Killed, World
from protocol.cluster_supervision import BROKER_ADDRESS, BrokerDown, ClusterView
from transport.envelope import Envelope

if TYPE_CHECKING:
    from chaos.sim_seams import VirtualLifelines

EPOCH_S = 1_700_000_000.0


class Cluster:
    """Brokers 1..N. `overrides` are their configs; `lost_power` those whose disk has forgotten what it may not have."""

    def __init__(self, world: World, brokers: int, overrides: dict[str, str]) -> None:
        self.world = world
        self.network = Network(world)
        self.metadata = SharedMetadata(world)
        self.overrides = overrides
        self.chance = world.chance("cluster")
        self.executor_chance = world.chance("executor")
        self.brokers = range(1, brokers + 1)
        self.platters = {number: Platter(world.chance(f"platter {number}")) for number in self.brokers}
        self.processes: dict[int, Process] = {}
        self.lifelines: dict[int, tuple[Process, VirtualLifelines]] = {}
        self.skews = {number: self.chance.uniform(1.0, 1000.0) for number in self.brokers}
        self.rates = {number: self.chance.uniform(0.98, 1.02) for number in self.brokers}
        self.wall_jumps_s = dict.fromkeys(self.brokers, 0.0)
        self.lost_power: set[int] = set()
        self.boot_ids = {number: f"boot-{number}-0" for number in self.brokers}
        self.deaths = 0
        self.gave_up: list[str] = []
        self.watch = BrokerWatch({number: ("127.0.0.1", 9000 + number, 0) for number in self.brokers})
        self.network.to_supervisor = self._on_mail

    def start(self) -> None:
        self._perform(self.watch.begin())
        self.world.after(TICK_MS / 1000, self._tick)

    def wall_s(self, broker_id: int) -> float:
        return EPOCH_S + self.world.now_s + self.wall_jumps_s[broker_id]

    @property
    def living(self) -> list[Process]:
        """Those that run and have booted, in order."""
        return [process for process in self.processes.values() if not process.is_dead and process.broker is not None]

    # -- the supervisor --------------------------------------------------------------------------------------------

    def _step(self, event: events.Event) -> None:
        self._perform(self.watch.step(event, int(self.world.now_s * 1000)))
        self.watch.check()

    def _tick(self) -> None:
        self._step(events.Tick())
        self.world.after(TICK_MS / 1000, self._tick)

    def _on_mail(self, envelope: Envelope) -> None:
        self._step(envelope.message)

    def _perform(self, effects: list[events.Effect]) -> None:
        for effect in effects:
            match effect:
                case events.Spawn(broker_id, incarnation, delay_ms):
                    self.world.after(delay_ms / 1000, self._spawn, broker_id, incarnation)
                case events.Kill(broker_id, reason):
                    self.processes[broker_id].kill(reason)
                case events.LookAt(broker_id):
                    process = self.processes[broker_id]
                    is_stopped = process.held is not None
                    self._step(events.Looked(broker_id, process.incarnation, is_stopped))
                case events.Announce(message):
                    self._announce(message)
                case events.GaveUp(broker_id, reason):
                    self.gave_up.append(f"broker {broker_id}: {reason}")
                case _:
                    pass

    def _spawn(self, broker_id: int, incarnation: int) -> None:
        process = Process(self, broker_id, incarnation, self.platters[broker_id])
        self.processes[broker_id] = process
        self._step(events.Spawned(broker_id, incarnation, pid=incarnation))
        self.world.after(self.chance.uniform(0.05, 0.2), process.boot, owner=process)

    def _announce(self, message: BrokerDown | ClusterView) -> None:
        for watched in self.watch.brokers.values():
            if watched.data_endpoint:
                envelope = Envelope(0, 1, watched.incarnation, BROKER_ADDRESS, -1, 0, message, [])
                self.network.send(envelope, watched.broker_id, control=True)

    # -- death -----------------------------------------------------------------------------------------------------

    def died(self, process: Process, reason: str) -> None:
        """The kernel frees its lock and ends its lifelines at once, the supervisor reaps it a little later."""
        world = self.world
        self.deaths += 1
        world.say(f"{process.name} is dead: {reason}")
        for timer, job in process.jobs:  # a thread may have been in the middle of its write
            if timer.when_s >= world.now_s and self.metadata.holder is process and self.chance.random() < 0.5:
                with contextlib.suppress(Killed):
                    job()
        process.jobs.clear()
        self.metadata.release(process)
        if self.network.processes.get(process.broker_id) is process:
            del self.network.processes[process.broker_id]
        for other, lines in self.lifelines.values():
            if not other.is_dead and self.chance.random() < 0.9:
                world.after(
                    self.chance.uniform(0.0, 0.003), lines.ended, process.broker_id, process.incarnation, owner=other
                )
        world.after(self.chance.uniform(0.0005, 0.02), self._reap, process, reason)

    def _reap(self, process: Process, reason: str) -> None:
        self._step(events.ProcessEnded(process.broker_id, process.incarnation, reason))

    def lose_power(self, broker_id: int) -> None:
        """Kill it and let its disk forget."""
        process = self.processes[broker_id]
        process.kill("power loss")
        self.platters[broker_id].lose_power()
        self.lost_power.add(broker_id)
        self.boot_ids[broker_id] = f"boot-{broker_id}-{self.deaths}"
