"""The network between simulated processes, and each process's end of it in place of transport.bus.

Healthy links deliver in order after a short delay, as ZeroMQ does. Sick ones lose, repeat, delay and reorder, blocked
ones swallow everything, each direction for itself. What was sent in the past may come again (`replay`).
Node 0 is the supervisor, 1..N are brokers, clients have numbers from 100 on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from chaos.sim_words import describe, node, place
from chaos.sim_world import World
from protocol.cluster_supervision import Heartbeat
from transport.envelope import Envelope
from transport.peer import Buffer

if TYPE_CHECKING:
    from chaos.sim_process import Process

ARCHIVED = 24


@dataclass(slots=True)
class Link:
    """One direction between two nodes."""

    is_blocked: bool = False
    is_starved: bool = False  # the peer gives no credit: data is refused
    loss: float = 0.0
    repetition: float = 0.0
    delay_s: float = 0.0
    is_disordered: bool = False
    last_data_s: float = 0.0
    last_control_s: float = 0.0

    def heal(self) -> None:
        self.is_blocked = self.is_starved = self.is_disordered = False
        self.loss = self.repetition = self.delay_s = 0.0


class Network:
    """All links, and whoever listens."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.chance = world.chance("network")
        self.links: dict[tuple[int, int], Link] = {}
        self.processes: dict[int, Process] = {}  # broker → its living process
        self.to_supervisor: Callable[[Envelope], None] = lambda envelope: None
        self.archive: dict[type, list[tuple[Envelope, int]]] = {}  # kind → some, with the broker each was sent to
        self.sent = self.lost = 0

    def link(self, sender: int, to: int) -> Link:
        link = self.links.get((sender, to))
        if link is None:
            link = self.links[sender, to] = Link()
        return link

    def heal(self) -> None:
        for (_, to), link in self.links.items():
            was_starved = link.is_starved
            link.heal()
            if was_starved:
                self.give_credit(to)

    def give_credit(self, to: int) -> None:
        """Whoever was refused by node `to` hears that it takes data again."""
        for process in list(self.processes.values()):
            self.world.after(0.0005, process.on_credit, to, owner=process)

    def send(self, envelope: Envelope, to: int, *, control: bool) -> None:
        self.sent += 1
        if to != 0:
            self._archive(envelope, to)
        link = self.links.get((envelope.sender, to)) or self.link(envelope.sender, to)
        if link.is_blocked or (link.loss and self.chance.random() < link.loss):
            self.lost += 1
            self._say("lost", envelope, to)
            return
        self._deliver_later(link, envelope, to, control)
        if link.repetition and self.chance.random() < link.repetition:
            self._deliver_later(link, envelope, to, control)

    def _archive(self, envelope: Envelope, to: int) -> None:
        """Keep a few of every kind, so that the rare ones are replayed as often as the others."""
        kept = self.archive.setdefault(type(envelope.message), [])
        if len(kept) < ARCHIVED:
            kept.append((envelope, to))
        elif self.chance.random() < 0.2:
            kept[self.chance.randrange(ARCHIVED)] = (envelope, to)

    def _deliver_later(self, link: Link, envelope: Envelope, to: int, control: bool) -> None:
        when_s = self.world.now_s + 0.00005 + 0.0003 * self.chance.random()
        if link.delay_s:
            when_s += link.delay_s * self.chance.random()
        if not link.is_disordered:
            last_s = link.last_control_s if control else link.last_data_s
            when_s = max(when_s, last_s)
        if control:
            link.last_control_s = when_s
        else:
            link.last_data_s = when_s
        if to == 0:
            if self.world.lines is not None and type(envelope.message) is not Heartbeat:
                self._say("told", envelope, to)
            self.world.at(when_s, self.to_supervisor, envelope)
            return
        process = self.processes.get(to)
        if process is not None and process.incarnation == envelope.to_incarnation:
            self.world.at(when_s, self._deliver, process, envelope, owner=process)

    def _deliver(self, process: Process, envelope: Envelope) -> None:
        self._say("got", envelope, process.broker_id)
        process.bus.receive(envelope)

    def replay(self, count: int) -> int:
        """Send old messages again, to whoever still is the process they were meant for."""
        replayed = 0
        for _ in range(count):
            if self.archive:
                envelope, to = self.chance.choice(self.archive[self.chance.choice(list(self.archive))])
                process = self.processes.get(to)
                if process is not None and envelope.to_incarnation == process.incarnation:
                    when_s = self.world.now_s + self.chance.uniform(0.0, 0.05)
                    self.world.at(when_s, self._deliver, process, envelope, owner=process)
                    replayed += 1
        return replayed

    def _say(self, what: str, envelope: Envelope, to: int) -> None:
        if self.world.lines is not None:
            way = f"{node(envelope.sender)} → {node(to)}" + ("" if what in ("got", "told") else f" ({what})")
            text = describe(envelope.message, sum(len(buffer) for buffer in envelope.buffers))
            self.world.say(f"{way}{place(envelope.address)}: {text}")


class VirtualBus:
    """One process's end of the network; stands for transport.bus.Bus."""

    def __init__(self, network: Network, process: Process, deliver: Callable[[Envelope], None]) -> None:
        self.network = network
        self.process = process
        self.node_id = process.broker_id
        self.incarnation = process.incarnation
        self.data_endpoint = f"data-{self.node_id}.{self.incarnation}"
        self.control_endpoint = f"control-{self.node_id}.{self.incarnation}"
        self.deliver = deliver
        self._peers: dict[int, int] = {0: 1}  # node → incarnation
        self._heard: dict[int, int] = {}
        self._on_credit: list[Callable[[int], None]] = []

    def connect(self, node_id: int, incarnation: int, data_endpoint: str, control_endpoint: str) -> None:
        self._peers[node_id] = incarnation

    def disconnect(self, node_id: int) -> None:
        self._peers.pop(node_id, None)

    def is_connected(self, node_id: int) -> bool:
        return node_id in self._peers

    def on_credit(self, callback: Callable[[int], None]) -> None:
        self._on_credit.append(callback)

    def credit_returned(self, node_id: int) -> None:
        for callback in self._on_credit:
            callback(node_id)

    async def close(self) -> None:
        self._peers.clear()

    def statistics(self) -> dict[str, int]:
        return {}

    def tell(
        self,
        to: int,
        address: str,
        message: msgspec.Struct,
        buffers: Sequence[Buffer] = (),
        *,
        control: bool = False,
        leader_epoch: int = -1,
        trace_id: int = 0,
    ) -> bool:
        """As Bus.tell; buffers are copied, as they are on the wire."""
        if self.process.is_dead:
            return False
        mine = self.incarnation
        if to == self.node_id:
            views = [memoryview(buffer) for buffer in buffers]
            envelope = Envelope(to, mine, mine, address, leader_epoch, trace_id, message, views)
            self.process.loop.call_soon(self.deliver, envelope)
            return True
        theirs = self._peers.get(to)
        if theirs is None:
            return False
        if not control and self.network.link(self.node_id, to).is_starved:
            return False
        copies = [memoryview(bytes(buffer)) for buffer in buffers]
        envelope = Envelope(self.node_id, mine, theirs, address, leader_epoch, trace_id, message, copies)
        self.network.send(envelope, to, control=control)
        return True

    def receive(self, envelope: Envelope) -> None:
        """Drops what comes from a life of the sender that is known to be over."""
        sender, incarnation = envelope.sender, envelope.incarnation
        known = max(self._heard.get(sender, -1), self._peers.get(sender, -1))
        if incarnation < known:
            return
        self._heard[sender] = incarnation
        self.deliver(envelope)
