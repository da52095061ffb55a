"""The other brokers: who lives, as far as this one knows, and what clients are told meanwhile.

Two say who is dead: a lifeline that ends, at once, and the supervisor a little later. The controller draws the
consequences, and until they are in the image the image is wrong.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.controller_seat import CONTROLLER_PATH, BrokerCame
from machines.controller import BrokerDied
from machines.metadata import BrokerInfo
from protocol.cluster_supervision import BrokerDown, ClusterView
from transport.lifeline import Lifelines

if TYPE_CHECKING:
    from actors.broker import Broker

SETTLE_S = 0.5


class Peers:
    """`live` are broker → incarnation, this one among them; `newest` are the same of all, dead or not born yet as well.

    `cluster_size` counts the dead, too.
    """

    def __init__(self, broker: Broker) -> None:
        spec = broker.spec
        self.live: dict[int, int] = {}
        self.newest: dict[int, int] = {}
        self.cluster_size = 1
        self._broker = broker
        self._lifelines = Lifelines(spec.broker_id, spec.incarnation, spec.run_dir, self._on_lifeline_lost)
        self._dying: dict[int, int] = {}  # dead, and the image does not say so yet
        self._settled = asyncio.Event()
        self._fenced_since: dict[int, float] = {}  # loop time

    def start(self) -> None:
        """Let the others hold lifelines to us; before clients are let in."""
        self._lifelines.start()

    def close(self) -> None:
        """Neither watch nor be watched any more."""
        self._lifelines.close()

    # -- life and death --------------------------------------------------------------------------------------------

    def on_cluster_view(self, view: ClusterView) -> None:
        """Who lives, from the supervisor."""
        broker = self._broker
        now = {b.broker_id: b.incarnation for b in view.brokers if b.data_endpoint}
        for broker_id, incarnation in list(self.live.items()):
            if now.get(broker_id) != incarnation:  # what said so was lost
                self.on_broker_down(BrokerDown(broker_id, incarnation, "the supervisor lists it no more"))
        for listed in view.brokers:
            known = broker.image.brokers.get(listed.broker_id)
            if known is not None and not known.is_fenced and known.incarnation < listed.incarnation:
                # it lived and died unheard; the supervisor counts on only when it has reaped the one before
                self.on_broker_down(BrokerDown(known.broker_id, known.incarnation, "the supervisor lists a newer one"))
            self.newest[listed.broker_id] = listed.incarnation
        before, self.live = self.live, now
        self.cluster_size = len(view.brokers)
        for broker_id, incarnation in self.live.items():
            if before.get(broker_id) != incarnation and broker_id != broker.spec.broker_id:
                self._lifelines.watch(broker_id, incarnation)
                broker.replicas.on_broker_back(broker_id)
                broker.system.tell(CONTROLLER_PATH, BrokerCame(broker_id))

    def _on_lifeline_lost(self, broker_id: int, incarnation: int) -> None:
        """Death, a little before the supervisor has reaped it."""
        self.on_broker_down(BrokerDown(broker_id, incarnation, "its lifeline ended"))

    def on_broker_down(self, message: BrokerDown) -> None:
        """An incarnation is dead; it may be said more than once."""
        broker, broker_id, incarnation = self._broker, message.broker_id, message.incarnation
        self._lifelines.forget(broker_id, incarnation)
        if self.live.get(broker_id) == incarnation:
            del self.live[broker_id]
            broker.replicas.on_broker_gone(broker_id)
        known = broker.image.brokers.get(broker_id)
        if known is not None and known.incarnation == incarnation and not known.is_fenced:
            self._dying[broker_id] = incarnation
            self._settled.clear()
        broker.system.tell(CONTROLLER_PATH, BrokerDied(broker_id, incarnation))

    # -- and what the image says of it -----------------------------------------------------------------------------

    def on_image_changed(self) -> None:
        """Note since when who is fenced, and whose death has arrived."""
        brokers = self._broker.image.brokers
        fenced = {b.broker_id for b in brokers.values() if b.is_fenced}
        self._fenced_since = {b: self._fenced_since.get(b, self._broker.loop.time()) for b in fenced}
        if not self._dying:
            return
        for broker_id, incarnation in list(self._dying.items()):
            known = brokers.get(broker_id)
            if known is None or known.is_fenced or known.incarnation != incarnation:
                del self._dying[broker_id]
        if not self._dying:
            self._settled.set()

    @property
    def is_settled(self) -> bool:
        """The image knows of every death that this broker knows of."""
        return not self._dying

    async def settled(self) -> None:
        """Wait until the image knows of every death that this broker knows of, at most SETTLE_S.

        What is told to a client before that sends it back to the dead, and it may not ask again for a second.
        """
        if self._dying:
            try:
                async with asyncio.timeout(SETTLE_S):
                    await self._settled.wait()
            except TimeoutError:
                pass

    def listed(self) -> tuple[BrokerInfo, ...]:
        """What Metadata tells clients: the live brokers, and those that died within `broker.session.timeout.ms`.

        Kafka forgets a broker only when its session ends, too. librdkafka takes a broker that is missing for one that
        is gone for good, tears its partitions off it and waits a second before it asks where they went.
        """
        oldest = self._broker.loop.time() - self._broker.config.get_int("broker.session.timeout.ms") / 1000
        since = self._fenced_since
        return tuple(
            broker
            for broker_id, broker in sorted(self._broker.image.brokers.items())
            if not broker.is_fenced or since.get(broker_id, oldest) > oldest
        )
