"""What goes wrong, and when: a plan drawn from the seed, one fault about every `gap_s` seconds.

The default mix holds only what acknowledged data must survive: any number of process deaths, but a disk forgets (power
loss, flipped bits) only where another live member of the ISR still has everything, and nobody else dies until the
controller has taken the forgetful one out of the ISR.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING

from actors.api import k21_delete_records
from chaos.sim_faults_network import NetworkFaults
from protocol.cluster_admin import PREFERRED, AlterReassignments, ElectLeaders, Reassignment
from protocol.k21_delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic

if TYPE_CHECKING:
    from chaos.sim_cluster import Cluster
    from chaos.sim_invariants import Checker
    from chaos.sim_process import Process


class Faults(NetworkFaults):
    """Injects until `stop`. `counts` says what was done how often."""

    def __init__(self, cluster: Cluster, checker: Checker, gap_s: float) -> None:
        self.cluster = cluster
        self.checker = checker
        self.world = cluster.world
        self.chance = cluster.world.chance("faults")
        self.gap_s = gap_s
        self.counts: dict[str, int] = {}
        self.is_stopped = False
        self._mix: list[tuple[Callable[[], str | None], int]] = [
            (self.kill, 6),
            (self.kill_amid_a_write, 6),
            (self.kill_several, 3),
            (self.lose_power, 4),
            (self.stop_in_order, 2),
            (self.pause, 5),
            (self.cut_off, 5),
            (self.cut_one_way, 4),
            (self.cut_from_clients, 1),
            (self.make_a_ring, 1),
            (self.sicken, 6),
            (self.slow_down, 5),
            (self.replay, 6),
            (self.starve, 2),
            (self.crash_an_actor, 4),
            (self.slow_the_disk, 3),
            (self.lose_the_lease, 2),
            (self.elect_preferred, 4),
            (self.reassign, 2),
            (self.delete_records, 2),
            (self.drift, 2),
            (self.jump, 1),
        ]

    def start(self) -> None:
        self.world.after(self.chance.expovariate(1 / self.gap_s), self._next)

    def _next(self) -> None:
        if self.is_stopped:
            return
        self.world.after(self.chance.expovariate(1 / self.gap_s), self._next)
        fault = self.chance.choices([row[0] for row in self._mix], [row[1] for row in self._mix])[0]
        done = fault()
        if done is not None:
            name = fault.__name__
            self.counts[name] = self.counts.get(name, 0) + 1
            self.world.say(f"FAULT {name}: {done}")

    def stop(self) -> None:
        """Heal everything: what does not recover by itself from here on is a bug."""
        self.is_stopped = True
        cluster = self.cluster
        cluster.network.heal()
        cluster.metadata.failing_puts = 0
        for process in list(cluster.processes.values()):
            process.disk.fuse = -1
            process.slowness = 1.0
            if process.held is not None:
                process.resume()
        self.world.say("FAULTS END")

    # -- who may die -----------------------------------------------------------------------------------------------

    @property
    def is_grieving(self) -> bool:
        """A disk has forgotten, and its broker still is in some ISR: the others must live."""
        lost = self.cluster.lost_power
        return bool(lost) and any(
            member in lost for info in self.cluster.metadata.truth.all_partitions() for member in info.isr
        )

    def _victim(self) -> Process | None:
        living = self.cluster.living
        return self.chance.choice(living) if living and not self.is_grieving else None

    # -- death -----------------------------------------------------------------------------------------------------

    def kill(self) -> str | None:
        victim = self._victim()
        if victim is None:
            return None
        victim.kill("SIGKILL")
        return victim.name

    def kill_several(self) -> str | None:
        if self.is_grieving:
            return None
        living = self.cluster.living
        victims = self.chance.sample(living, self.chance.randint(min(2, len(living)), len(living)))
        for victim in victims:
            self.later(self.chance.choice((0.0, 0.002, 0.05)), self._kill_if_allowed, victim)
        return " ".join(victim.name for victim in victims)

    def _kill_if_allowed(self, victim: Process) -> None:
        if not self.is_grieving:
            victim.kill("SIGKILL, one of several")

    def kill_amid_a_write(self) -> str | None:
        victim = self._victim()
        if victim is None:
            return None
        victim.disk.fuse = self.chance.randint(1, 12)
        return f"{victim.name} in {victim.disk.fuse} changes to its disk"

    def stop_in_order(self) -> str | None:
        victim = self._victim()
        if victim is None or victim.is_stopping or victim.held is not None:
            return None
        victim.stop_in_order()
        return victim.name

    def lose_power(self) -> str | None:
        victim = self._victim()
        if victim is None:
            return None
        if self.chance.random() < 0.7:  # where it hurts: syncs are under way, or the ISR is about to take it in
            victim = self.chance.choice(self._exposed() or [victim])
        for info in self.cluster.metadata.truth.all_partitions():
            others = [member for member in info.isr if member != victim.broker_id]
            if victim.broker_id in info.isr and not any(self._is_well(member) for member in others):
                return None
        for process in self.cluster.living:
            process.disk.fuse = -1
        self.cluster.lose_power(victim.broker_id)
        damage = self.cluster.platters[victim.broker_id].flip_a_bit() if self.chance.random() < 0.3 else None
        return victim.name + (f", a bit flipped at {damage}" if damage else "")

    def _exposed(self) -> list[Process]:
        proposed: set[int] = set()
        for process in self.cluster.living:
            assert process.broker is not None
            for replica in process.broker.replicas.hosted.values():
                if replica.leader is not None and replica.leader.machine.proposed_isr is not None:
                    proposed |= set(replica.leader.machine.proposed_isr) - set(replica.leader.machine.isr)
        return [process for process in self.cluster.living if process.slowness > 1 or process.broker_id in proposed]

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

    def crash_an_actor(self) -> str | None:
        victim = self.chance.choice(self.cluster.living) if self.cluster.living else None
        if victim is None or victim.held is not None or victim.broker is None:
            return None
        addresses = sorted(victim.broker.replicas.by_address)
        if not addresses:
            return None
        hosted = victim.broker.replicas.by_address
        amid_a_proposal = [
            address
            for address in addresses
            if (leader := hosted[address].leader) is not None and leader.machine.proposed_isr is not None
        ]
        address = self.chance.choice(amid_a_proposal or addresses)
        victim.enter(victim.crash_an_actor, address)
        return f"{victim.name} {address}"

    def slow_the_disk(self) -> str | None:
        """Every sync takes up to a second; the controller's broker is slowed more often than the others."""
        holder = self.cluster.metadata.holder
        living = self.cluster.living
        if not living:
            return None
        victim = holder if holder is not None and self.chance.random() < 0.5 else self.chance.choice(living)
        seconds = self.seconds()
        victim.slowness = self.chance.choice((20.0, 120.0))
        self.later(seconds, self._hurry, victim)
        return f"{victim.name} by {victim.slowness} for {seconds} s"

    def _hurry(self, victim: Process) -> None:
        victim.slowness = 1.0

    # -- time ------------------------------------------------------------------------------------------------------

    def pause(self) -> str | None:
        victim = self._victim()
        if victim is None or victim.held is not None:
            return None
        seconds = self.chance.choice((0.05, 0.3, 0.7, 1.5))
        victim.pause()
        self.later(seconds, victim.resume)
        return f"{victim.name} for {seconds} s"

    def drift(self) -> str | None:
        broker_id = self.chance.choice(self.cluster.brokers)
        rate = self.cluster.rates[broker_id] = self.chance.uniform(0.8, 1.25)
        self.cluster.processes[broker_id].clock.drift(rate)
        return f"the clock of b{broker_id} runs at {rate:.3f}"

    def jump(self) -> str | None:
        broker_id = self.chance.choice(self.cluster.brokers)
        seconds = self.chance.choice((-900.0, -5.0, 5.0, 600.0))
        clock = self.cluster.processes[broker_id].clock
        clock.wall_ahead_s += seconds - self.cluster.wall_jumps_s[broker_id]
        self.cluster.wall_jumps_s[broker_id] = seconds
        return f"the wall clock of b{broker_id} to {seconds} s off"

    # -- the controller --------------------------------------------------------------------------------------------

    def lose_the_lease(self) -> str | None:
        self.cluster.metadata.failing_puts = 1
        return "at the next write of metadata"

    def elect_preferred(self) -> str | None:
        return self._ask(lambda number: ElectLeaders(number, PREFERRED, None), "of all partitions")

    def reassign(self) -> str | None:
        truth = self.cluster.metadata.truth
        partitions = list(truth.all_partitions())
        registered = sorted(truth.brokers)
        if not partitions:
            return None
        info = self.chance.choice(partitions)
        if len(registered) < len(info.replicas):
            return None
        target = tuple(self.chance.sample(registered, min(3, len(registered))))
        asked = [Reassignment(info.topic, info.partition, target)]
        return self._ask(lambda number: AlterReassignments(number, asked), f"{info.topic}-{info.partition} to {target}")

    def delete_records(self) -> str | None:
        """What the DeleteRecords handler does, up to any committed offset."""
        leading = [
            (process, replica)
            for process in self.cluster.living
            if process.broker is not None and process.held is None
            for replica in process.broker.replicas.hosted.values()
            if replica.leader is not None
        ]
        if not leading:
            return None
        process, replica = self.chance.choice(leading)
        start = replica.log.log_start_offset
        offset = self.chance.randint(start, max(start, replica.high_watermark))
        known = self.checker.partition(replica.partition)
        known.deleted_to = max(known.deleted_to, offset)
        wanted = DeleteRecordsPartition(partition_index=replica.partition.partition, offset=offset)
        topic = DeleteRecordsTopic(name=replica.partition.topic, partitions=[wanted])
        context = SimpleNamespace(broker=process.broker)
        process.enter(k21_delete_records.handle, context, DeleteRecordsRequest(topics=[topic]))
        return f"{replica.partition} below {offset}"

    def _ask(self, make: Callable[[int], object], what: str) -> str | None:
        living = [process for process in self.cluster.living if process.held is None]
        if not living:
            return None
        process = self.chance.choice(living)
        process.enter(process.ask_controller, make)
        return f"{what}, asked by {process.name}"
