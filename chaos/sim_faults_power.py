"""Power losses: a broker's disk forgets what was not synced, where nothing acknowledged may be lost by it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from random import Random
from typing import Any

from chaos.sim_cluster import Cluster
from chaos.sim_process import Process
from chaos.sim_world import World
from machines.metadata import PartitionInfo
from model.ids import TopicPartition


class PowerFaults(ABC):
    """As NetworkFaults; whom it may hit is decided by the whole of them."""

    cluster: Cluster
    world: World
    chance: Random
    is_stopped: bool

    @abstractmethod
    def later(self, seconds: float, deed: Any, *args: object) -> None: ...

    @property
    @abstractmethod
    def is_grieving(self) -> bool: ...

    @abstractmethod
    def _victim(self) -> Process | None: ...

    def lose_power(self) -> str | None:
        victim = self._victim()
        if victim is None:
            return None
        if self.chance.random() < 0.7:  # where it hurts: syncs are under way, or the ISR is about to take it in
            victim = self.chance.choice(self._exposed() or [victim])
        return self._lose_power(victim)

    def lose_power_after_a_roll(self) -> str | None:
        """As soon as it has begun a new segment and the one before is not synced."""
        victim = self._victim()
        if victim is None:
            return None
        self.later(0.002, self._strike, victim, 1_000)
        return f"{victim.name}, at its next roll"

    def _strike(self, victim: Process, tries: int) -> None:
        if self.is_stopped or victim.is_dead or victim.broker is None or not tries:
            return
        if not self.is_grieving and self._has_unsynced_segments(victim) and (done := self._lose_power(victim)):
            self.world.say(f"FAULT lose_power_after_a_roll: {done}")
        else:
            self.later(0.002, self._strike, victim, tries - 1)

    def _lose_power(self, victim: Process) -> str | None:
        """Unless acknowledged data must be lost by it."""
        for info in (*self.cluster.metadata.truth.all_partitions(), *self._decided()):
            others = [member for member in info.isr if member != victim.broker_id]
            is_safe = any(self._is_well(member) for member in others) and not self._may_shrink(info)
            if victim.broker_id in info.isr and not is_safe:
                return None
        for process in self.cluster.living:
            process.disk.fuse = -1
        self.cluster.lose_power(victim.broker_id)
        damage = self.cluster.platters[victim.broker_id].flip_a_bit() if self.chance.random() < 0.3 else None
        return victim.name + (f", a bit flipped at {damage}" if damage else "")

    def _decided(self) -> list[PartitionInfo]:
        """What the controller has made up its mind to, and is still writing down."""
        images = [p.broker.controller.image for p in self.cluster.living if p.broker is not None]
        return [info for image in images if image is not None for info in image.all_partitions()]

    def _may_shrink(self, info: PartitionInfo) -> bool:
        """A proposal is on its way that may take out of the ISR the very members that still have everything."""
        for process in self.cluster.living:
            assert process.broker is not None
            replica = process.broker.replicas.hosted.get(TopicPartition(info.topic, info.partition))
            if replica is not None and replica.leader is not None:
                machine = replica.leader.machine
                is_growing = machine.proposed_isr is not None and set(machine.proposed_isr) >= set(machine.isr)
                if machine.at_stake and not is_growing:
                    return True
        return False

    def _exposed(self) -> list[Process]:
        proposed: set[int] = set()
        for process in self.cluster.living:
            assert process.broker is not None
            for replica in process.broker.replicas.hosted.values():
                if replica.leader is not None and replica.leader.machine.proposed_isr is not None:
                    proposed |= set(replica.leader.machine.proposed_isr) - set(replica.leader.machine.isr)
        return [process for process in self.cluster.living if process.slowness > 1 or process.broker_id in proposed]

    @staticmethod
    def _has_unsynced_segments(process: Process) -> bool:
        """A power loss may take the end of one segment and leave the next one."""
        assert process.broker is not None
        logs = [replica.log for replica in process.broker.replicas.hosted.values()]
        return any(len(log.segments) > 1 and log.recovery_point < log.segments[-1].base_offset for log in logs)

    def _is_well(self, broker_id: int) -> bool:
        process = self.cluster.processes[broker_id]
        known = self.cluster.metadata.truth.brokers.get(broker_id)
        return not (
            known is None
            or known.is_fenced
            or known.incarnation != process.incarnation
            or process.is_dead
            or process.is_stopping
            or process.held is not None
            or broker_id in self.cluster.lost_power
            or self.cluster.network.link(broker_id, 0).is_blocked
        )
