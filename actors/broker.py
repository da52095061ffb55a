"""One broker: its replicas, its line to the controller, its listener, and the controller while it holds the lease.

Everything here runs on the one event loop of the broker's process. Work is done by the actors (`partition_leader`,
`follower_replica`, `controller`); the broker routes mail and requests to them. Who else lives is in `peers`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
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
    ControllerSeat,
    FromBroker,
)
from actors.coordinators import Coordinators
from actors.deadlines import Deadlines
from actors.gateways import gateway_endpoint
from actors.groups import TOPIC as OFFSETS_TOPIC
from actors.groups import Groups
from actors.memory import MemoryReturn
from actors.peers import Peers
from actors.producer_ids import ProducerIds
from actors.replicas import Replicas
from actors.transactions import TOPIC as TRANSACTIONS_TOPIC
from actors.transactions import Transactions
from machines.metadata import MetadataImage
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
        self.peers = Peers(self)
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
            peers=self.peers,
            config=self.config,
            clock=lambda: time.monotonic_ns() // 1_000_000,
        )
        self.told = ControllerEvents(system.events, spec.broker_id)
        self.controller.on_replayed = self.told.on_replayed
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
        bus.on_credit(self.replicas.ports.on_credit)
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
        self.peers.start()
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
        self.peers.close()

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
            self.peers.on_broker_down(envelope.message)
        elif type(envelope.message) is Suffer:
            self._suffer(envelope.message)
        elif type(envelope.message) in _TRANSACTION_MESSAGES:
            self.transactions.on_envelope(envelope)
        else:
            self.replicas.on_envelope(envelope)

    def on_cluster_view(self, view: ClusterView) -> None:
        """Who lives, from the supervisor; the bus is connected to them already."""
        self.peers.on_cluster_view(view)

    def _suffer(self, order: Suffer) -> None:
        if self._suffering is None:
            from actors.suffering import Suffering

            self._suffering = Suffering(self)
        self.bus.tell(SUPERVISOR_NODE, SUPERVISOR_ADDRESS, self._suffering.perform(order), control=True)

    def _send_as_controller(self, broker_id: int, message: ControllerMessage) -> bool:
        cause = self.told.cause_of(message)
        return self.bus.tell(broker_id, LINK_ADDRESS, message, control=True, trace_id=cause)

    # -- metadata --------------------------------------------------------------------------------------------------

    def on_image_changed(self, partitions: set[TopicPartition], topics: set[str], broker_configs: bool) -> None:
        """The image took in records: bring replicas and configs along.

        `topics` are those whose configs changed, `broker_configs` says whether dynamic broker configs did.
        """
        self.peers.on_image_changed()
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
