"""One broker: its replicas, its line to the controller, its listener, and the controller while it holds the lease.

Everything here runs on the one event loop of the broker's process. Work is done by the actors (`partition_leader`,
`follower_replica`, `controller`); the broker routes mail and requests to them.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from actors.actor_system import ActorSystem
from actors.api.dispatch import Dispatcher
from actors.controller import Controller
from actors.controller_events import ControllerEvents
from actors.controller_link import CONTROLLER_ADDRESS, LINK_ADDRESS, ControllerLink
from actors.controller_seat import (
    CONTROLLER_PATH,
    ELECTIONS_PATH,
    ELECTIONS_POLICY,
    BrokerCame,
    ControllerSeat,
    FromBroker,
)
from actors.coordinators import Coordinators
from actors.deadlines import Deadlines
from actors.gateways import gateway_endpoint
from actors.groups import TOPIC as OFFSETS_TOPIC
from actors.groups import Groups
from actors.memory import MemoryReturn
from actors.producer_ids import ProducerIds
from actors.replicas import Replicas
from actors.transactions import TOPIC as TRANSACTIONS_TOPIC
from actors.transactions import Transactions
from machines.controller import BrokerDied
from machines.metadata import BrokerInfo, MetadataImage
from model.configs import BrokerConfig
from model.errors import RequestTimedOut
from model.ids import TopicPartition
from protocol.cluster_chaos import Suffer
from protocol.cluster_control import ControlledShutdown, ControllerMessage
from protocol.cluster_replication import ReplicationMessage
from protocol.cluster_supervision import (
    SUPERVISOR_ADDRESS,
    SUPERVISOR_NODE,
    BrokerDown,
    ClusterView,
    ControllerElected,
    SupervisionMessage,
)
from protocol.cluster_transactions import TransactionMessage
from storage.checkpoints import MetaProperties
from storage.disk import OsDisk
from storage.metadata_store import LocalMetadataStore
from transport.bus import Bus
from transport.curve import server_keys
from transport.gateway import Gateway
from transport.lifeline import Lifelines
from transport.listener import Listener, ListenerLimits

if TYPE_CHECKING:
    from actors.broker_spec import BrokerSpec
    from actors.suffering import Suffering
    from transport.envelope import Envelope

logger = logging.getLogger(__name__)

TIMER_ROUND_S = 0.1
MEMORY_ROUND_S = 1.0
CLOSE_S = 0.5
HANDOVER_MS = 1_000
SETTLE_S = 0.5
_REPLICATION_MESSAGES = frozenset(get_args(ReplicationMessage))
_TRANSACTION_MESSAGES = frozenset(get_args(TransactionMessage))


def _on_dead_letter(_: str, message: object) -> None:
    """Whoever waits for an answer gets one, even from the dead."""
    undelivered = getattr(message, "undelivered", None)
    if undelivered is not None:
        undelivered()


class Broker:
    """A broker's life: `start`, then mail and requests, then `stop`."""

    message_type: Any = SupervisionMessage | ControllerMessage | ReplicationMessage | TransactionMessage

    def __init__(self, spec: BrokerSpec, bus: Bus, system: ActorSystem) -> None:
        self.spec = spec
        self.bus = bus
        self.system = system
        self.loop = asyncio.get_running_loop()
        self.static_config = self.config = BrokerConfig(spec.overrides)
        self.image = MetadataImage()
        self._is_in_image = False  # as the incarnation that we are
        self.port = spec.port
        self.live: dict[int, int] = {}  # broker -> incarnation, as the supervisor last said
        self.cluster_size = 1  # brokers that the supervisor keeps, the dead ones too
        self.deadlines = Deadlines(self.loop)
        self.link = ControllerLink(self)
        self.coordinators = Coordinators()
        self.transactions = Transactions(self)
        self.coordinators.register(TRANSACTIONS_TOPIC, self.transactions.on_role)
        self.groups = Groups(self)
        self.coordinators.register(OFFSETS_TOPIC, self.groups.on_role)
        system.mail.on_dead_letter = _on_dead_letter
        MetaProperties.claim(spec.data_dir, OsDisk(), cluster_id=spec.cluster_id, node_id=spec.broker_id)
        self.replicas = Replicas(self)
        self.producer_ids = ProducerIds(self)
        self.controller = Controller(
            spec.broker_id,
            spec.incarnation,
            LocalMetadataStore(spec.cluster_dir),
            send=self._send_as_controller,
            view_of_live_brokers=self._live_brokers,
            config=self.config,
            clock=lambda: time.monotonic_ns() // 1_000_000,
        )
        self.told = ControllerEvents(system.events, spec.broker_id, lambda: self.image)
        self.controller.on_step = self.told.on_step
        self.dispatcher = dispatcher = Dispatcher(self)
        limits = self._limits()
        self.listener = Listener(dispatcher, limits)
        self.zmq_port = self.config.get_int("zmq.port")
        endpoint = gateway_endpoint(self.zmq_port, spec.run_dir, spec.host, spec.broker_id)
        keys = server_keys(
            self.config.get_str("zmq.curve.secret.key"), self.config.get_list("zmq.curve.client.keys")
        )
        self.gateway = Gateway(endpoint, dispatcher, limits, keys=keys)
        bus.on_credit(self.replicas.on_credit)
        self.lifelines = Lifelines(spec.broker_id, spec.incarnation, spec.run_dir, self._on_lifeline_lost)
        self._dying: dict[int, int] = {}  # dead, and the image does not say so yet
        self._settled = asyncio.Event()
        self._fenced_since: dict[int, float] = {}  # loop time
        self._memory = MemoryReturn(lambda: self.listener.frames + self.replicas.mail_count)
        self._timers: list[asyncio.TimerHandle] = []
        self._is_stopping = False
        self._suffering: Suffering | None = None  # what chaos does to us

    def _limits(self) -> ListenerLimits:
        config = self.config
        return ListenerLimits(
            socket_request_max_bytes=config.get_int("socket.request.max.bytes"),
            max_connections=config.get_int("max.connections"),
            max_connections_per_ip=config.get_int("max.connections.per.ip"),
            queued_max_requests=config.get_int("queued.max.requests"),
            connections_max_idle_ms=config.get_int("connections.max.idle.ms"),
        )

    # -- life ------------------------------------------------------------------------------------------------------

    async def start(self, listener: socket.socket) -> None:
        """Join the cluster, then accept clients. Returns once registered, however long that takes."""
        self.port = listener.getsockname()[1]
        self.lifelines.start()
        self.system.supervise(ELECTIONS_PATH, ELECTIONS_POLICY)
        self.system.start(
            CONTROLLER_PATH, lambda: ControllerSeat(self.controller, self._elected), supervisor=ELECTIONS_PATH
        )
        self._every(TIMER_ROUND_S, self._timer_round)
        self._every(MEMORY_ROUND_S, self._memory.round)
        await self.link.registered.wait()
        await self.listener.start(listener)
        await self.gateway.start()
        self.replicas.start_upkeep()

    async def stop(self) -> None:
        """Hand over what this broker leads, then close in order."""
        self._is_stopping = True
        self.listener.stop_accepting()
        others = [broker for broker in self.image.live_brokers() if broker.broker_id != self.spec.broker_id]
        if others and self.link.is_registered and self.config.get_bool("controlled.shutdown.enable"):
            try:
                spec = self.spec
                await self.link.ask(
                    lambda number: ControlledShutdown(number, spec.broker_id, spec.incarnation), HANDOVER_MS
                )
            except RequestTimedOut:
                logger.warning("nobody took over from broker %d in time; stopping all the same", self.spec.broker_id)
        await self.controller.stop()
        self.system.stop(CONTROLLER_PATH)
        for timer in self._timers:
            timer.cancel()
        await self.listener.close()
        await self.gateway.close()
        self.groups.close()
        await self.replicas.close(CLOSE_S)
        self.lifelines.close()

    def give_up(self, reason: str) -> None:
        """Crash-only: end this process; the supervisor starts a fresh one."""
        if not self._is_stopping:
            self.system.on_escalation("/", reason)

    def _elected(self, controller_epoch: int) -> None:
        message = ControllerElected(self.spec.broker_id, controller_epoch)
        self.bus.tell(SUPERVISOR_NODE, SUPERVISOR_ADDRESS, message, control=True)

    def _every(self, seconds: float, work: Any) -> None:
        slot = len(self._timers)

        def run() -> None:
            self._timers[slot] = self.loop.call_later(seconds, run)
            work()

        self._timers.append(self.loop.call_later(seconds, run))

    def _timer_round(self) -> None:
        self.deadlines.timer_round()
        self.replicas.timer_round()
        self.link.timer_round()

    # -- mail ------------------------------------------------------------------------------------------------------

    def on_envelope(self, envelope: Envelope) -> None:
        """Mail from another broker, or from the supervisor."""
        if type(envelope.message) in _REPLICATION_MESSAGES:  # first, for they are many
            self.replicas.on_envelope(envelope)
            return
        address = envelope.address
        if address == LINK_ADDRESS:
            self.link.on_message(envelope.message, envelope.trace_id)
        elif address == CONTROLLER_ADDRESS:
            self.system.tell(CONTROLLER_PATH, FromBroker(envelope.sender, envelope.message))
        elif type(envelope.message) is BrokerDown:
            self._on_broker_down(envelope.message)
        elif type(envelope.message) is Suffer:
            self._suffer(envelope.message)
        elif type(envelope.message) in _TRANSACTION_MESSAGES:
            self.transactions.on_envelope(envelope)
        else:
            self.replicas.on_envelope(envelope)

    def on_cluster_view(self, view: ClusterView) -> None:
        """Who lives, from the supervisor; the bus is connected to them already."""
        now = {b.broker_id: b.incarnation for b in view.brokers if b.data_endpoint}
        for broker_id, incarnation in list(self.live.items()):
            if now.get(broker_id) != incarnation:  # what said so was lost
                self._on_broker_down(BrokerDown(broker_id, incarnation, "the supervisor lists it no more"))
        before, self.live = self.live, now
        self.cluster_size = len(view.brokers)
        for broker_id, incarnation in self.live.items():
            if before.get(broker_id) != incarnation and broker_id != self.spec.broker_id:
                self.lifelines.watch(broker_id, incarnation)
                self.replicas.on_broker_back(broker_id)
                self.system.tell(CONTROLLER_PATH, BrokerCame(broker_id))

    def _suffer(self, order: Suffer) -> None:
        if self._suffering is None:
            from actors.suffering import Suffering

            self._suffering = Suffering(self)
        self.bus.tell(SUPERVISOR_NODE, SUPERVISOR_ADDRESS, self._suffering.perform(order), control=True)

    def _on_lifeline_lost(self, broker_id: int, incarnation: int) -> None:
        """Death, a little before the supervisor has reaped it."""
        self._on_broker_down(BrokerDown(broker_id, incarnation, "its lifeline ended"))

    def _on_broker_down(self, message: BrokerDown) -> None:
        broker_id, incarnation = message.broker_id, message.incarnation
        self.lifelines.forget(broker_id, incarnation)
        if self.live.get(broker_id) == incarnation:
            del self.live[broker_id]
            self.replicas.on_broker_gone(broker_id)
        known = self.image.brokers.get(broker_id)
        if known is not None and known.incarnation == incarnation and not known.is_fenced:
            self._dying[broker_id] = incarnation
            self._settled.clear()
        self.system.tell(CONTROLLER_PATH, BrokerDied(broker_id, incarnation))

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

    @property
    def is_settled(self) -> bool:
        """The image knows of every death that this broker knows of."""
        return not self._dying

    def listed_brokers(self) -> tuple[BrokerInfo, ...]:
        """What Metadata tells clients: the live brokers, and those that died within `broker.session.timeout.ms`.

        Kafka forgets a broker only when its session ends, too. librdkafka takes a broker that is missing for one that
        is gone for good, tears its partitions off it and waits a second before it asks where they went.
        """
        oldest = self.loop.time() - self.config.get_int("broker.session.timeout.ms") / 1000
        since = self._fenced_since
        return tuple(
            broker
            for broker_id, broker in sorted(self.image.brokers.items())
            if not broker.is_fenced or since.get(broker_id, oldest) > oldest
        )

    def _note_fenced(self) -> None:
        fenced = {b.broker_id for b in self.image.brokers.values() if b.is_fenced}
        self._fenced_since = {b: self._fenced_since.get(b, self.loop.time()) for b in fenced}

    def _bury(self) -> None:
        for broker_id, incarnation in list(self._dying.items()):
            known = self.image.brokers.get(broker_id)
            if known is None or known.is_fenced or known.incarnation != incarnation:
                del self._dying[broker_id]
        if not self._dying:
            self._settled.set()

    def _send_as_controller(self, broker_id: int, message: ControllerMessage) -> bool:
        cause = self.told.cause_of(message)
        return self.bus.tell(broker_id, LINK_ADDRESS, message, control=True, trace_id=cause)

    def _live_brokers(self) -> Mapping[int, int]:
        return self.live

    # -- metadata --------------------------------------------------------------------------------------------------

    def on_image_changed(self, partitions: set[TopicPartition], topics: set[str], broker_configs: bool) -> None:
        """The image took in records: bring replicas and configs along.

        `topics` are those whose configs changed, `broker_configs` says whether dynamic broker configs did.
        """
        self._note_fenced()
        if self._dying:
            self._bury()
        if broker_configs:
            dynamic = self.image.broker_configs.get("", {}) | self.image.broker_configs.get(
                str(self.spec.broker_id), {}
            )
            self.config = self.static_config.with_overrides(dynamic)
            topics = set(self.image.topics)
        me = self.image.brokers.get(self.spec.broker_id)
        if me is None or me.incarnation != self.spec.incarnation:
            return  # this image is from before we were registered: what it says we lead, we no longer do
        if not self._is_in_image:  # it may have come before we were in it, asked for by our predecessor
            self._is_in_image = True
            partitions = self.image.topic_partitions()
            topics = set(self.image.topics)
        for topic in topics:
            info = self.image.topics.get(topic)
            if info is not None:
                self.replicas.reconfigure(topic, info.configs)
        self.replicas.apply(partitions)
        self.groups.on_partitions_changed(partitions)
