"""What goes wrong in the network: partitions of every kind, loss, repetition, disorder, delay, starvation, replay."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from random import Random

from chaos.sim_cluster import Cluster
from chaos.sim_network import Link

CLIENTS = range(100, 140)


class NetworkFaults(ABC):
    """Each method does one harm, sees to its end, and says what it did (None: not now)."""

    cluster: Cluster
    chance: Random

    def later(self, seconds: float, deed: Callable[..., object], *args: object) -> None:
        self.cluster.world.after(seconds, deed, *args)

    @property
    @abstractmethod
    def is_grieving(self) -> bool: ...

    def seconds(self) -> float:
        """How long a harm lasts."""
        return self.chance.choice((0.1, 0.5, 1.5, 4.0))

    def _block(self, pairs: list[tuple[int, int]], seconds: float) -> None:
        network = self.cluster.network
        for pair in pairs:
            network.link(*pair).is_blocked = True
        self.later(seconds, self._unblock, pairs)

    def _unblock(self, pairs: list[tuple[int, int]]) -> None:
        for pair in pairs:
            self.cluster.network.link(*pair).is_blocked = False

    def cut_off(self) -> str | None:
        """One broker, or a group of them, from the other brokers; sometimes also from the supervisor."""
        brokers = list(self.cluster.brokers)
        group = self.chance.sample(brokers, self.chance.randint(1, len(brokers) - 1))
        rest = [broker for broker in brokers if broker not in group]
        if self.chance.random() < 0.2 and not self.is_grieving:
            rest.append(0)
        seconds = self.seconds()
        self._block([(a, b) for a in group for b in rest] + [(b, a) for a in group for b in rest], seconds)
        return f"{group} | {rest} for {seconds} s"

    def cut_off_for_a_session(self) -> str | None:
        """One broker, often the controller's: not heard, deaf, or both, until others should have taken over."""
        brokers, holder = list(self.cluster.brokers), self.cluster.metadata.holder
        one = holder.broker_id if holder is not None and self.chance.random() < 0.5 else self.chance.choice(brokers)
        way = self.chance.choice(("both", "both", "unheard", "deaf"))
        unheard = [(one, other) for other in brokers if other != one and way != "deaf"]
        deaf = [(other, one) for other in brokers if other != one and way != "unheard"]
        seconds = self.chance.choice((2.5, 4.0, 6.0))
        self._block(unheard + deaf, seconds)
        return f"b{one} ({way}) for {seconds} s"

    def cut_one_way(self) -> str | None:
        sender, to = self.chance.sample(list(self.cluster.brokers), 2)
        seconds = self.seconds()
        self._block([(sender, to)], seconds)
        return f"{sender} → {to} for {seconds} s"

    def cut_from_clients(self) -> str | None:
        broker_id = self.chance.choice(self.cluster.brokers)
        seconds = self.seconds()
        both = [(broker_id, client) for client in CLIENTS] + [(client, broker_id) for client in CLIENTS]
        self._block(both, seconds)
        return f"b{broker_id} for {seconds} s"

    def make_a_ring(self) -> str | None:
        """Everybody hears only the next one."""
        brokers = list(self.cluster.brokers)
        self.chance.shuffle(brokers)
        following = dict(zip(brokers, brokers[1:] + brokers[:1], strict=True))
        seconds = self.seconds()
        self._block([(a, b) for a in brokers for b in brokers if a != b and following[a] != b], seconds)
        return f"{brokers} for {seconds} s"

    def sicken(self) -> str | None:
        """Loss, repetition and disorder on some links."""
        seconds = self.seconds()
        links = [link for pair, link in sorted(self.cluster.network.links.items()) if 0 not in pair]
        chosen = self.chance.sample(links, (len(links) + 1) // 2)
        loss, repetition = self.chance.choice((0.0, 0.1, 0.4)), self.chance.choice((0.0, 0.1, 0.5))
        is_disordered = self.chance.random() < 0.5
        for link in chosen:
            link.loss, link.repetition, link.is_disordered = loss, repetition, is_disordered
            link.delay_s = 0.02 if is_disordered else 0.0
            self.later(seconds, self._cure, link)
        return f"{len(chosen)} links, loss {loss}, repetition {repetition}, disorder {is_disordered}, {seconds} s"

    def _cure(self, link: Link) -> None:
        link.loss = link.repetition = link.delay_s = 0.0
        link.is_disordered = False

    def slow_down(self) -> str | None:
        sender, to = self.chance.sample(list(self.cluster.brokers), 2)
        seconds = self.seconds()
        link = self.cluster.network.link(sender, to)
        link.delay_s = self.chance.choice((0.01, 0.2, 1.0))
        self.later(seconds, self._cure, link)
        return f"{sender} → {to} by up to {link.delay_s} s for {seconds} s"

    def starve(self) -> str | None:
        sender, to = self.chance.sample(list(self.cluster.brokers), 2)
        seconds = self.seconds()
        self.cluster.network.link(sender, to).is_starved = True
        self.later(seconds, self._feed, sender, to)
        return f"{to} gives {sender} no credit for {seconds} s"

    def _feed(self, sender: int, to: int) -> None:
        self.cluster.network.link(sender, to).is_starved = False
        self.cluster.network.give_credit(to)

    def replay(self) -> str | None:
        return f"{self.cluster.network.replay(self.chance.randint(1, 20))} old messages"
