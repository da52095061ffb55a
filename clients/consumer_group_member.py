"""A member of a group of the newer protocol (KIP-848): the broker assigns, one request does everything.

Every heartbeat says what we have; the answer may say what we shall have. What goes is given up first, then the next
heartbeat confirms it, and what comes is taken as soon as it is ours.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

from clients.cluster import GROUP_KEY, ClusterClient
from clients.committed import Membership
from clients.connections import GROUP
from clients.rebalance import Kind, RebalanceCall
from model.errors import ErrorCode, KafkaError, kafka_error
from model.ids import TopicPartition
from protocol.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions

if TYPE_CHECKING:
    from clients.membership import MembershipHost

log = logging.getLogger(__name__)

_LEAVE: Final = -1
_LEAVE_FOR_A_WHILE: Final = -2  # a static member that comes back
_FIRST_HEARTBEAT_S: Final = 0.1
_GRACE_S: Final = 5.0
_EXPELLED: Final = frozenset({ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID})


class ConsumerGroupMember:
    """`member.generation` is the member epoch; -1 while we are not in the group."""

    is_leader = False  # the broker leads

    def __init__(self, cluster: ClusterClient, host: MembershipHost) -> None:
        config = cluster.config
        self.cluster = cluster
        self.host = host
        self.group = config.get_str("group.id")
        self._id = uuid.uuid4().hex
        self.member = Membership(-1, self._id, config.get_str("group.instance.id") or None)
        self._assignor = config.get_str("group.remote.assignor") or None
        self._rack = config.get_str("client.rack") or None
        self._poll_interval_s = config.seconds("max.poll.interval.ms")
        self._interval_s = _FIRST_HEARTBEAT_S
        self._now = asyncio.Event()  # beat at once
        self._polled = asyncio.Event()
        self._target: list[TopicPartition] | None = None
        self._said: tuple[list[str], list[TopicPartition]] | None = None  # since the last full heartbeat
        self._tasks: list[asyncio.Task[None]] = []
        self._changing: asyncio.Task[None] | None = None

    @property
    def is_member(self) -> bool:
        return self.member.generation >= 0

    def start(self) -> None:
        """Join, and from then on stay in the group."""
        if not self._tasks:
            self._tasks = [asyncio.ensure_future(self._beat())]

    def rejoin(self, reason: str) -> None:
        """The subscription changed: the next heartbeat, at once, says so."""
        self._now.set()

    def polled(self) -> None:
        self._polled.set()

    async def leave(self) -> None:
        """Leave for good; a static member only for a while."""
        for task in (*self._tasks, *([self._changing] if self._changing is not None else [])):
            task.cancel()
        self._tasks = []
        if self.is_member:
            await self._say_goodbye(_LEAVE if self.member.instance_id is None else _LEAVE_FOR_A_WHILE)

    async def _beat(self) -> None:
        backoff = self.cluster.backoff()
        while True:
            try:
                if self.is_member and self.host.idle_s(time.monotonic()) > self._poll_interval_s:
                    await self._leave_until_polled()
                await self._beat_once()
                backoff.reset()
                pause_s = self._interval_s
            except KafkaError as error:
                pause_s = backoff.next_s()
                self.cluster.last_failure = str(error)
                self.cluster.forget_coordinator(GROUP_KEY, self.group, error)
                if error.code in _EXPELLED:
                    log.warning("group %s: %s; joining again", self.group, error)
                    await self._lose_all()
                    pause_s = 0.0
                elif not error.code.retriable:
                    self.member = self.member._replace(generation=-1)
                    self.host.fail(error)
                    return
            try:
                async with asyncio.timeout(pause_s):
                    await self._now.wait()
            except TimeoutError:
                pass
            self._now.clear()

    async def _beat_once(self) -> None:
        topics, owned = sorted(self.host.topics()), sorted(self.host.owned())
        is_full = not self.is_member or self._said is None
        said = self._said
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group,
            member_id=self._id,
            member_epoch=max(0, self.member.generation),
        )
        if is_full:
            request.instance_id, request.rack_id = self.member.instance_id, self._rack
            request.server_assignor = self._assignor
            request.rebalance_timeout_ms = int(self._poll_interval_s * 1000)
        if is_full or said is None or said[0] != topics:
            request.subscribed_topic_names = topics
        if is_full or said is None or said[1] != owned:
            request.topic_partitions = self._by_id(owned)
        self._said = None  # after a failure everything is said again
        answer = await self.cluster.ask_coordinator(GROUP_KEY, self.group, request, lane=GROUP)
        if answer.error_code:
            raise kafka_error(answer.error_code, answer.error_message or self.group)
        self._said = topics, owned
        self._interval_s = max(0.01, answer.heartbeat_interval_ms / 1000)
        self.member = self.member._replace(generation=answer.member_epoch)
        if answer.assignment is not None:
            self._target = await self._named(answer.assignment.topic_partitions)
        if self._target is not None and set(self._target) != set(self.host.owned()) and self._changing is None:
            self._changing = asyncio.ensure_future(self._reconcile())

    async def _reconcile(self) -> None:
        """Give up what isn't ours any more, then take what is new; heartbeats go on meanwhile."""
        try:
            while self._target is not None and set(self._target) != set(self.host.owned()):
                target, owned = set(self._target), set(self.host.owned())
                if owned - target:
                    await self._call("revoked", sorted(owned - target))
                    self._now.set()
                if target - set(self.host.owned()):
                    await self._call("assigned", sorted(target - set(self.host.owned())))
                    self._now.set()
        finally:
            self._changing = None

    async def _lose_all(self) -> None:
        if self._changing is not None:
            self._changing.cancel()
            self._changing = None
        self.member = self.member._replace(generation=-1)
        self._target = self._said = None
        if self.host.owned():
            await self._call("lost", self.host.owned())

    async def _leave_until_polled(self) -> None:
        log.warning("group %s: leaving, since nobody polled for max.poll.interval.ms", self.group)
        await self._say_goodbye(_LEAVE)
        self.member = self.member._replace(generation=-1)
        self._polled.clear()
        await self._polled.wait()
        await self._lose_all()

    async def _say_goodbye(self, epoch: int) -> None:
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group, member_id=self._id, member_epoch=epoch, instance_id=self.member.instance_id
        )
        try:
            async with asyncio.timeout(_GRACE_S):
                await self.cluster.ask_coordinator(GROUP_KEY, self.group, request)
        except (KafkaError, TimeoutError) as error:
            log.debug("group %s: left without a word: %s", self.group, error)

    async def _call(self, kind: Kind, partitions: list[TopicPartition]) -> None:
        call = RebalanceCall(kind, partitions)
        self.host.queue(call)
        await call.done

    def _by_id(self, places: list[TopicPartition]) -> list[TopicPartitions]:
        rows: dict[bytes, TopicPartitions] = {}
        for topic, partition in places:
            topic_id = self.cluster.metadata.topic_id_of(topic)
            rows.setdefault(topic_id, TopicPartitions(topic_id=topic_id, partitions=[])).partitions.append(partition)
        return list(rows.values())

    async def _named(self, rows: list[Any]) -> list[TopicPartition]:
        """With names for ids; those of topics that are gone meanwhile are left out."""
        names = self.cluster.metadata.names
        if any(row.topic_id not in names for row in rows):
            await self.cluster.refresh()
        return [
            TopicPartition(names[row.topic_id], number)
            for row in rows
            if row.topic_id in names
            for number in row.partitions
        ]
