"""How a simulated member comes to own partitions: by the classic protocol, and by KIP-848's heartbeats."""

from __future__ import annotations

from typing import Any

from chaos.sim_groups import BEAT_S, Member, Rejoin
from model.errors import ErrorCode
from model.ids import TopicPartition
from protocol.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from protocol.k12_heartbeat import HeartbeatRequest
from protocol.k13_leave_group import LeaveGroupRequest, MemberIdentity
from protocol.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from protocol.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions

JOIN, BEAT, LEAVE, SYNC, CONSUMER_BEAT = 11, 12, 13, 14, 68
SESSION_MS, REBALANCE_MS = 2_000, 2_000
_LEAVES, _JOINS_AGAIN = -1, 0


class ClassicMember(Member):
    """Join, sync, beat; the leader shares the partitions out."""

    async def life(self) -> None:
        while not self.is_stopped:
            try:
                await self._join()
                await self._stay()
            except Rejoin:
                self.lose_all()

    async def _join(self) -> None:
        """One generation's partitions. Raises Rejoin."""
        request = JoinGroupRequest(
            group_id=self.group,
            session_timeout_ms=SESSION_MS,
            rebalance_timeout_ms=REBALANCE_MS,
            member_id=self.member_id,
            protocol_type="consumer",
            protocols=[JoinGroupRequestProtocol(name="range", metadata=b"")],
        )
        answer = await self.ask(self.coordinator, JOIN, 9, request, timeout_s=3.5)
        if answer is None:
            raise Rejoin
        await self._judge_membership("JoinGroup", answer.error_code, answer.member_id)
        self.member_id, self.generation = answer.member_id, answer.generation_id
        shares: list[SyncGroupRequestAssignment] = []
        if answer.leader == self.member_id:
            shares = self._share([member.member_id for member in answer.members])
        sync = SyncGroupRequest(
            group_id=self.group,
            generation_id=self.generation,
            member_id=self.member_id,
            protocol_type="consumer",
            protocol_name="range",
            assignments=shares,
        )
        answer = await self.ask(self.coordinator, SYNC, 5, sync, timeout_s=3.5)
        if answer is None:
            raise Rejoin
        await self._judge_membership("SyncGroup", answer.error_code)
        self.own([self.partitions[index] for index in answer.assignment])

    def _share(self, members: list[str]) -> list[SyncGroupRequestAssignment]:
        members = sorted(members)
        self.say(f"shares {len(self.partitions)} partitions among {len(members)}")
        return [
            SyncGroupRequestAssignment(
                member_id=member, assignment=bytes(range(place, len(self.partitions), len(members)))
            )
            for place, member in enumerate(members)
        ]

    async def _judge_membership(self, what: str, code: int, member_id: str = "") -> None:
        error = await self.judge(what, code)
        if error is ErrorCode.NONE:
            return
        if error is ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = member_id
        elif error in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID):
            self.member_id = ""
        raise Rejoin

    async def _stay(self) -> None:
        """Beat and work while the generation lasts. Raises Rejoin."""
        await self.commit_late()
        while not self.is_stopped:
            beat = HeartbeatRequest(group_id=self.group, generation_id=self.generation, member_id=self.member_id)
            answer = await self.ask(self.coordinator, BEAT, 4, beat)
            error = await self.judge("Heartbeat", None if answer is None else answer.error_code)
            if error in (ErrorCode.REBALANCE_IN_PROGRESS, ErrorCode.ILLEGAL_GENERATION):
                raise Rejoin
            if error is not None and error is not ErrorCode.NONE:
                self.member_id = ""
                raise Rejoin
            if self.chance.random() < 0.02:
                await self._leave()
                raise Rejoin
            await self.work()
            await self.sleep(BEAT_S * self.chance.random())

    async def _leave(self) -> None:
        self.say("leaves")
        leave = LeaveGroupRequest(group_id=self.group, members=[MemberIdentity(member_id=self.member_id)])
        await self.ask(self.coordinator, LEAVE, 5, leave)
        self.member_id = ""
        await self.sleep(BEAT_S)


class ConsumerMember(Member):
    """Beats only; the coordinator shares the partitions out."""

    is_classic = False
    _says_all = True  # the next heartbeat is to repeat everything, since an answer was lost

    async def life(self) -> None:
        self.member_id = f"member-{self.number}"
        self.generation = _JOINS_AGAIN
        while not self.is_stopped:
            try:
                await self._beat()
                if self.generation > 0:
                    if self.chance.random() < 0.02:
                        await self._leave()
                    else:
                        await self.work()
            except Rejoin:
                self.unknown |= set(self.positions)
                self.positions.clear()
            await self.sleep(BEAT_S * self.chance.random())

    def _request(self) -> ConsumerGroupHeartbeatRequest:
        request = ConsumerGroupHeartbeatRequest(
            group_id=self.group, member_id=self.member_id, member_epoch=self.generation
        )
        if self.generation == _JOINS_AGAIN or self._says_all:
            request.rebalance_timeout_ms = REBALANCE_MS
            request.subscribed_topic_names = [self.partitions[0].topic]
        owned = sorted(each.partition for each in {*self.positions, *self.unknown})
        rows = [TopicPartitions(topic_id=self._topic_id, partitions=owned)] if owned else []
        request.topic_partitions = [] if self.generation == _JOINS_AGAIN else rows
        return request

    @property
    def _topic_id(self) -> bytes:
        return self.cluster.metadata.truth.topics[self.partitions[0].topic].topic_id

    async def _beat(self) -> None:
        answer: Any = await self.ask(self.coordinator, CONSUMER_BEAT, 1, self._request())
        if answer is None:
            self._says_all = True
            return
        error = await self.judge("ConsumerGroupHeartbeat", answer.error_code)
        if error is None:
            self._says_all = True
            return
        if error is not ErrorCode.NONE:
            self.lose_all()
            self.generation = _JOINS_AGAIN
            return
        self._says_all = False
        if answer.member_epoch > self.generation:
            self.remember()
        self.generation = answer.member_epoch
        await self.commit_late()
        if answer.assignment is not None:
            rows = answer.assignment.topic_partitions
            mine = [TopicPartition(self.partitions[0].topic, index) for row in rows for index in row.partitions]
            self.own(mine)

    async def _leave(self) -> None:
        self.say("leaves")
        self.lose_all()
        self.generation = _LEAVES
        await self.ask(self.coordinator, CONSUMER_BEAT, 1, self._request())
        self.generation, self._says_all = _JOINS_AGAIN, True
        await self.sleep(BEAT_S)
