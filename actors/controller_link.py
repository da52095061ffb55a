"""This broker's line to the controller: registration, metadata in, requests out.

Whoever holds the lease says so (`ControllerIs`); the link registers with it and from then on applies its records to the
broker's image. Requests wait until they are answered: when the controller dies, they are sent again to the next one.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

from machines.leader_events import IsrRefused
from machines.metadata import Change, ChangeKind, MetadataGap, MetadataImage
from model.errors import ErrorCode, RequestTimedOut
from model.ids import TopicPartition
from protocol.cluster_control import (
    NO_VERSION,
    AlterIsr,
    AlterIsrReply,
    BrokerHeartbeat,
    BrokerHeartbeatReply,
    ControllerIs,
    ControllerReply,
    IsrProposal,
    MetadataSnapshot,
    MetadataUpdate,
    NotController,
    RegisterBroker,
    RegisterBrokerReply,
    ReplicasOffline,
)

if TYPE_CHECKING:
    from actors.broker import Broker

logger = logging.getLogger(__name__)

CONTROLLER_ADDRESS = "/controller"
LINK_ADDRESS = "/link"
_REPLIES = frozenset(get_args(ControllerReply))
RESEND_AFTER_MS = 1_000


class _Waiting:
    """A request that was not answered yet."""

    __slots__ = ("future", "request", "sent_ms")

    def __init__(self, request: Any, future: asyncio.Future[Any] | None, sent_ms: int) -> None:
        self.request = request
        self.future = future
        self.sent_ms = sent_ms


class ControllerLink:
    """Keeps the broker's image true and carries its requests to whoever is the controller."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.controller_id = -1
        self.controller_epoch = 0
        self.is_registered = False
        self.registered = asyncio.Event()
        self.cause = 0  # the event behind the metadata that is taken in just now
        self._numbers = itertools.count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._proposals: list[IsrProposal] = []
        self._offline: list[tuple[bytes, int]] = []
        self._beat_ms = 0
        self._heard_ms = self._now_ms()  # a controller, whichever

    # -- requests --------------------------------------------------------------------------------------------------

    async def ask(self, make: Callable[[int], Any], timeout_ms: int = 30_000) -> Any:
        """The controller's reply to `make(correlation_id)`. Raises RequestTimedOut."""
        number = next(self._numbers)
        future: asyncio.Future[Any] = self.broker.loop.create_future()
        waiting = self._waiting[number] = _Waiting(make(number), future, self._now_ms())
        self._send(waiting.request)
        try:
            return await asyncio.wait_for(future, timeout_ms / 1000)
        except TimeoutError:
            raise RequestTimedOut("the controller did not answer in time") from None
        finally:
            self._waiting.pop(number, None)

    def propose_isr(self, proposal: IsrProposal) -> None:
        """Proposals of one loop turn travel together: a failover of 1,000 partitions is one durable batch."""
        self._proposals.append(proposal)
        if len(self._proposals) == 1:
            self.broker.loop.call_soon(self._send_proposals)

    def _send_proposals(self) -> None:
        proposals, self._proposals = self._proposals, []
        spec = self.broker.spec
        number = next(self._numbers)
        request = AlterIsr(number, spec.broker_id, spec.incarnation, proposals)
        self._send(request)  # not kept: the leaders propose again when no answer comes

    def report_offline(self, topic_id: bytes, partition: int) -> None:
        """Tell the controller, until it has heard it, that this broker can't serve a replica any more."""
        self._offline.append((topic_id, partition))
        if len(self._offline) == 1:
            self.broker.loop.call_soon(self._send_offline)

    def _send_offline(self) -> None:
        offline, self._offline = self._offline, []
        spec, number = self.broker.spec, next(self._numbers)
        request = ReplicasOffline(number, spec.broker_id, spec.incarnation, offline)
        self._waiting[number] = _Waiting(request, None, self._now_ms())
        self._send(request)

    def _send(self, request: Any) -> None:
        if self.controller_id >= 0:
            self.broker.bus.tell(self.controller_id, CONTROLLER_ADDRESS, request, control=True)

    def timer_round(self) -> None:
        """Send again what was lost with a dead controller or on the way."""
        now_ms = self._now_ms()
        for waiting in list(self._waiting.values()):
            if now_ms - waiting.sent_ms >= RESEND_AFTER_MS:
                waiting.sent_ms = now_ms
                self._send(waiting.request)
        if not self.is_registered and self.controller_id >= 0:
            self._register()
        self._beat(now_ms)

    def _beat(self, now_ms: int) -> None:
        """Tell the controller that we live, at least three times a session, whatever the configs say."""
        config, spec = self.broker.config, self.broker.spec
        session_ms = config.get_int("broker.session.timeout.ms")
        if now_ms - self._beat_ms >= min(config.get_int("broker.heartbeat.interval.ms"), session_ms // 3):
            self._beat_ms = now_ms
            is_deaf = now_ms - self._heard_ms >= session_ms
            self._send(BrokerHeartbeat(next(self._numbers), spec.broker_id, spec.incarnation, is_deaf))

    # -- what the controller says ----------------------------------------------------------------------------------

    def on_message(self, message: Any, cause: int = 0) -> None:
        """A message of the controller, or of one that was; `cause` is the event behind it."""
        self.cause = cause
        kind = type(message)
        if kind is MetadataUpdate or kind is MetadataSnapshot:
            if message.controller_epoch >= self.controller_epoch:
                self._on_metadata(message)
        elif kind is ControllerIs:
            self._on_controller(message)
        elif kind is RegisterBrokerReply:
            self._on_registered(message)
        elif kind is BrokerHeartbeatReply:
            self._heard_ms = self._now_ms()
            if not message.is_registered:  # we were not heard for a session, or the controller is a new one
                self.is_registered = False
        elif kind is AlterIsrReply:
            self._on_isr_reply(message)
        elif kind is NotController:
            waiting = self._waiting.get(message.correlation_id)
            if waiting is not None:
                waiting.sent_ms = self._now_ms() - RESEND_AFTER_MS + 50
        elif kind in _REPLIES:
            waiting = self._waiting.pop(message.correlation_id, None)
            if waiting is not None and waiting.future is not None and not waiting.future.done():
                waiting.future.set_result(message)

    def _on_controller(self, message: ControllerIs) -> None:
        if message.controller_epoch < self.controller_epoch:
            return
        self._heard_ms = self._now_ms()
        is_new = message.controller_epoch > self.controller_epoch or message.broker_id != self.controller_id
        self.controller_id, self.controller_epoch = message.broker_id, message.controller_epoch
        if is_new:
            self.is_registered = False
        if not self.is_registered or message.version > self.broker.image.version:
            self._register()
        if is_new:
            for waiting in self._waiting.values():
                waiting.sent_ms = self._now_ms()
                self._send(waiting.request)

    def _register(self) -> None:
        spec, image = self.broker.spec, self.broker.image
        version = image.version if image.controller_epoch > 0 else NO_VERSION
        rack = self.broker.config.raw("broker.rack") or None
        self._send(
            RegisterBroker(
                next(self._numbers), spec.broker_id, spec.incarnation, spec.host, self.broker.port, rack, version,
                self.broker.replicas.logs.had_doubts and not self.registered.is_set(),
            )
        )

    def _on_registered(self, message: RegisterBrokerReply) -> None:
        if message.incarnation != self.broker.spec.incarnation:
            return  # our predecessor asked
        if message.error == ErrorCode.NONE:
            self.is_registered = True
            self.registered.set()
        elif message.error == ErrorCode.STALE_BROKER_EPOCH:
            logger.error("broker %d was declared dead and must start anew", self.broker.spec.broker_id)
            self.broker.give_up("its incarnation was fenced")

    def _on_metadata(self, message: MetadataUpdate | MetadataSnapshot) -> None:
        image = self.broker.image
        if isinstance(message, MetadataSnapshot):
            if message.version < image.version:
                return  # an old one that comes late: topics that it does not know yet are not gone
            fresh = MetadataImage.of(message.records, message.version)
            changed = image.topic_partitions() | fresh.topic_partitions()
            self.broker.image = fresh
            self.broker.on_image_changed(changed, set(fresh.topics), True)
            return
        try:
            changes = image.apply_batch(message.base_version, message.records)
        except MetadataGap:
            self.is_registered = False
            self._register()
            return
        self._publish(changes)

    def _publish(self, changes: list[Change]) -> None:
        partitions = {TopicPartition(c.topic, c.partition) for c in changes if c.kind is ChangeKind.PARTITION}
        topics = {c.topic for c in changes if c.kind is ChangeKind.TOPIC_CONFIG}
        configs = any(c.kind is ChangeKind.BROKER_CONFIG for c in changes)
        self.broker.on_image_changed(partitions, topics, configs)

    def _on_isr_reply(self, message: AlterIsrReply) -> None:
        for result in message.partitions:
            if result.error != ErrorCode.NONE:
                replica = self.broker.replicas.by_id.get((result.topic_id, result.partition))
                if replica is not None and replica.leader is not None:
                    logger.info("%s: ISR proposal refused, %s", replica.partition, ErrorCode(result.error).name)
                    self.broker.system.tell(replica.address, IsrRefused())

    def _now_ms(self) -> int:
        return int(self.broker.loop.time() * 1000)
