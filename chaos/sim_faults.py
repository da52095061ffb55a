"""What goes wrong, and when: a plan drawn from the seed, one fault about every `gap_s` seconds.

The default mix holds only what acknowledged data must survive: any number of process deaths, but a disk forgets (power
loss, flipped bits) only where another live member of the ISR still has everything, and nobody else dies until the
controller has taken the forgetful one out of the ISR.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chaos.sim_faults_admin import AdminFaults
from chaos.sim_faults_network import NetworkFaults
from chaos.sim_faults_power import PowerFaults
from chaos.sim_invariants import COORDINATORS

if TYPE_CHECKING:
    from chaos.sim_cluster import Cluster
    from chaos.sim_invariants import Checker
    from chaos.sim_process import Process
    from chaos.sim_workloads import Workload


class Faults(NetworkFaults, AdminFaults, PowerFaults):
    """Injects until `stop`. `counts` says what was done how often."""

    def __init__(self, cluster: Cluster, checker: Checker, workload: Workload, gap_s: float) -> None:
        self.cluster = cluster
        self.checker = checker
        self.workload = workload
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
        if cluster.world.seed % 25 == 0:  # rare by chance: the moment lasts a millisecond
            self._mix.append((self.crash_amid_a_proposal, 30))
        if int(cluster.overrides["broker.session.timeout.ms"]) < 9_000:
            self._mix.append((self.cut_off_for_a_session, 8))
        if workload.forgets_easily:
            self._mix.append((self.lose_power_after_a_roll, 12))
        if workload.callers:
            self._mix.append((self.stop_a_client, 6))

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
        cluster.wall_jumps_s = dict.fromkeys(cluster.brokers, 0.0)
        for process in list(cluster.processes.values()):
            process.clock.wall_ahead_s = cluster.wall_s(process.broker_id) - process.clock.time()
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

    def crash_an_actor(self) -> str | None:
        victim = self.chance.choice(self.cluster.living) if self.cluster.living else None
        if victim is None or victim.held is not None or victim.broker is None:
            return None
        addresses = sorted(victim.broker.replicas.by_address)
        if self.chance.random() < 0.4:  # a coordinator, where there are any
            paths = sorted(victim.broker.system.mail.actors)
            addresses = [path for path in paths if path.startswith(COORDINATORS)] or addresses
        if not addresses:
            return None
        hosted = victim.broker.replicas.by_address
        amid_a_proposal = [
            address
            for address in addresses
            if address in hosted
            and (leader := hosted[address].leader) is not None
            and leader.machine.proposed_isr is not None
        ]
        address = self.chance.choice(amid_a_proposal or addresses)
        victim.enter(victim.crash_an_actor, address)
        return f"{victim.name} {address}"

    def crash_amid_a_proposal(self) -> str | None:
        """The next leader that wants to change its ISR fails before it hears what became of that."""
        self.later(0.0005, self._crash_who_proposes, 4_000)
        return "the next leader that proposes an ISR"

    def _crash_who_proposes(self, tries: int) -> None:
        for process in [] if self.is_stopped else self.cluster.living:
            if process.broker is None or process.held is not None:
                continue
            for address, replica in process.broker.replicas.by_address.items():
                if replica.leader is not None and replica.leader.machine.proposed_isr is not None:
                    self.world.say(f"FAULT crash_amid_a_proposal: {process.name} {address}")
                    process.enter(process.crash_an_actor, address)
                    holder = self.cluster.metadata.holder
                    if holder is not None and holder is not process:  # and it takes its time to answer
                        link = self.cluster.network.link(holder.broker_id, process.broker_id)
                        link.delay_s = 1.5
                        self.later(1.5, self._cure, link)
                    return
        if tries and not self.is_stopped:
            self.later(0.0005, self._crash_who_proposes, tries - 1)

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

    def stop_a_client(self) -> str | None:
        """It hears nothing for a while and then goes on, perhaps as a zombie."""
        caller = self.chance.choice(self.workload.callers)
        seconds = self.chance.choice((0.3, 1.0, 2.5, 4.0))
        for part in caller.parts:
            part.stopped_until_s = self.world.now_s + seconds
        return f"{caller.name} for {seconds} s"

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
