"""A member of a classic group: joins, assigns when it leads, beats its heart, and joins again when told to.

One task joins, another keeps the heart beating, whatever the application's thread does. What a rebalance must do on
that thread (commit, call listeners) waits for the next poll.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from clients.cluster import GROUP_KEY, ClusterClient
from clients.committed import Membership
from clients.connections import GROUP
from clients.group_protocol import MemberProtocol
from clients.rebalance import Kind, RebalanceCall
from model.errors import ErrorCode, KafkaError, kafka_error
from model.ids import TopicPartition
from protocol.k11_join_group import JoinGroupRequest
from protocol.k12_heartbeat import HeartbeatRequest
from protocol.k13_leave_group import LeaveGroupRequest, MemberIdentity
from protocol.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment

if TYPE_CHECKING:
    from clients.membership import MembershipHost

log = logging.getLogger(__name__)

_BATCHED_LEAVE: Final = 3
_GRACE_S: Final = 5.0
_EXPELLED: Final = (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION)
_REJOIN: Final = (ErrorCode.REBALANCE_IN_PROGRESS, *_EXPELLED)
_PROTOCOL_TYPE: Final = "consumer"


class ClassicMember:
    """`member` says who we are in requests; its generation is -1 while we are not in the group."""

    def __init__(self, cluster: ClusterClient, host: MembershipHost) -> None:
        config = cluster.config
        self.cluster = cluster
        self.host = host
        self.group = config.get_str("group.id")
        self.member = Membership(instance_id=config.get_str("group.instance.id") or None)
        self._protocol = MemberProtocol(cluster, host)
        self._session_s = config.seconds("session.timeout.ms")
        self._heartbeat_s = config.seconds("heartbeat.interval.ms")
        self._poll_interval_s = config.seconds("max.poll.interval.ms")
        self._must_join = asyncio.Event()
        self._polled = asyncio.Event()
        self._has_left = False  # because nobody polled
        self._is_closed = False
        self._is_joining = False  # then the broker answers heartbeats with what we know already
        self.is_leader = False
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_member(self) -> bool:
        return self.member.generation >= 0

    def start(self) -> None:
        """Join, and from then on stay in the group."""
        if not self._tasks:
            self._must_join.set()
            self._tasks = [asyncio.ensure_future(self._stay()), asyncio.ensure_future(self._beat())]

    def rejoin(self, reason: str) -> None:
        """Our subscription or the topics changed."""
        log.info("group %s: joining again because %s", self.group, reason)
        self._must_join.set()

    def polled(self) -> None:
        """Somebody polls (again)."""
        self._polled.set()

    async def leave(self) -> None:
        """Leave for good. Static members only fall silent, so that they may come back."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        if self.is_member and self.member.instance_id is None:
            await self._say_goodbye("the consumer is being closed")

    # -- joining ---------------------------------------------------------------------------------------------------

    async def _stay(self) -> None:
        backoff = self.cluster.backoff()
        while not self._is_closed:
            await self._must_join.wait()
            self._must_join.clear()
            try:
                if self._has_left:
                    await self._wait_for_poll()
                if self.host.owned() and not self._protocol.is_cooperative:
                    await self._call("revoked" if self.is_member else "lost", self.host.owned())
                elif self.host.owned() and not self.is_member:
                    await self._call("lost", self.host.owned())
                await self._join()
                backoff.reset()
            except KafkaError as error:
                self._must_join.set()
                self.cluster.forget_coordinator(GROUP_KEY, self.group, error)
                if error.code in _EXPELLED:
                    self._forget_membership(keep_id=error.code is ErrorCode.ILLEGAL_GENERATION)
                elif error.code is ErrorCode.MEMBER_ID_REQUIRED:
                    continue
                elif error.code is not ErrorCode.REBALANCE_IN_PROGRESS and not error.code.retriable:
                    self.host.fail(error)
                    self._must_join.clear()
                    continue
                self.cluster.last_failure = str(error)
                log.debug("group %s: not joined yet: %s", self.group, error)
                await asyncio.sleep(backoff.next_s())

    async def _join(self) -> None:
        self._must_join.clear()
        self._is_joining = True
        try:
            assignment = await self._exchange()
        finally:
            self._is_joining = False
        await self._take_over(assignment)

    async def _exchange(self) -> list[TopicPartition]:
        """JoinGroup and SyncGroup: what we were assigned."""
        member = self.member
        request = JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=int(self._session_s * 1000),
            rebalance_timeout_ms=int(self._poll_interval_s * 1000),
            member_id=member.member_id,
            group_instance_id=member.instance_id,
            protocol_type=_PROTOCOL_TYPE,
            protocols=self._protocol.offers(member.generation),
        )
        answer = await self._ask(request, self._poll_interval_s + _GRACE_S)
        if answer.error_code:
            if answer.error_code == ErrorCode.MEMBER_ID_REQUIRED:
                self.member = member._replace(member_id=answer.member_id)
            raise kafka_error(answer.error_code, self.group)
        self.member = member._replace(generation=answer.generation_id, member_id=answer.member_id)
        assignments: list[SyncGroupRequestAssignment] = []
        self.is_leader = answer.leader == answer.member_id
        if self.is_leader and not answer.skip_assignment:
            dealt = await self._protocol.deal_out(answer.protocol_name, answer.members)
            assignments = [
                SyncGroupRequestAssignment(member_id=member_id, assignment=encoded)
                for member_id, encoded in dealt.items()
            ]
        sync = SyncGroupRequest(
            group_id=self.group,
            generation_id=self.member.generation,
            member_id=self.member.member_id,
            group_instance_id=member.instance_id,
            protocol_type=_PROTOCOL_TYPE,
            protocol_name=answer.protocol_name,
            assignments=assignments,
        )
        synced = await self._ask(sync, self._poll_interval_s + _GRACE_S)
        if synced.error_code:
            raise kafka_error(synced.error_code, self.group)
        return self._protocol.read(synced.assignment)

    async def _take_over(self, assignment: list[TopicPartition]) -> None:
        log.info("group %s, generation %d: %s", self.group, self.member.generation, ", ".join(map(str, assignment)))
        owned, wanted = set(self.host.owned()), set(assignment)
        if self._protocol.is_cooperative:
            gone = sorted(owned - wanted)
            if gone:
                await self._call("revoked", gone)
                self._must_join.set()  # so that they can be given to others
            await self._call("assigned", sorted(wanted - owned))
        else:
            await self._call("assigned", sorted(wanted))

    async def _call(self, kind: Kind, partitions: list[TopicPartition]) -> None:
        """Have the polling thread do its part of the rebalance."""
        call = RebalanceCall(kind, partitions)
        self.host.queue(call)
        await call.done

    async def _wait_for_poll(self) -> None:
        self._polled.clear()
        await self._polled.wait()
        self._has_left = False

    def _forget_membership(self, *, keep_id: bool = False) -> None:
        self.member = self.member._replace(generation=-1, member_id=self.member.member_id if keep_id else "")

    # -- heartbeats ------------------------------------------------------------------------------------------------

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._heartbeat_s)
            if not self.is_member or self._is_joining:
                continue
            if self.host.idle_s(time.monotonic()) > self._poll_interval_s:
                log.warning(
                    "group %s: leaving, since nobody polled for max.poll.interval.ms; poll more often, "
                    "or let poll return less (max.poll.records)",
                    self.group,
                )
                self._has_left = True
                await self._say_goodbye("max.poll.interval.ms is over")
                self._forget_membership()
                self._must_join.set()
                continue
            try:
                await self._beat_once()
            except KafkaError as error:
                self.cluster.forget_coordinator(GROUP_KEY, self.group, error)
                log.debug("group %s: a heartbeat failed: %s", self.group, error)

    async def _beat_once(self) -> None:
        member = self.member
        request = HeartbeatRequest(
            group_id=self.group,
            generation_id=member.generation,
            member_id=member.member_id,
            group_instance_id=member.instance_id,
        )
        answer = await self.cluster.ask_coordinator(GROUP_KEY, self.group, request)
        if not answer.error_code or member != self.member or self._is_joining:
            return
        error = kafka_error(answer.error_code, self.group)
        if error.code in _REJOIN:
            if error.code in _EXPELLED:
                self._forget_membership(keep_id=error.code is ErrorCode.ILLEGAL_GENERATION)
            self._must_join.set()
        elif error.code is ErrorCode.FENCED_INSTANCE_ID:
            self._forget_membership()
            self.host.fail(error)
        else:
            raise error

    async def _say_goodbye(self, reason: str) -> None:
        member = self.member
        try:
            async with asyncio.timeout(_GRACE_S):
                node = await self.cluster.coordinator(GROUP_KEY, self.group)
                connection = await self.cluster.connection(node)
                version = connection.version_of(LeaveGroupRequest)
                if version >= _BATCHED_LEAVE:
                    row = MemberIdentity(
                        member_id=member.member_id, group_instance_id=member.instance_id, reason=reason
                    )
                    request = LeaveGroupRequest(group_id=self.group, members=[row])
                else:
                    request = LeaveGroupRequest(group_id=self.group, member_id=member.member_id)
                await connection.send(request, version)
        except (KafkaError, TimeoutError) as error:
            log.debug("group %s: left without a word: %s", self.group, error)

    async def _ask(self, request: Any, timeout_s: float) -> Any:
        return await self.cluster.ask_coordinator(GROUP_KEY, self.group, request, lane=GROUP, timeout_s=timeout_s)
