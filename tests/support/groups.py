"""A group under test: requests in, answers out, with every record it wrote kept for a replay."""

from __future__ import annotations

from typing import Any

from machines.group import Group
from machines.group_events import (
    Append,
    AppendInTransaction,
    FetchOffsets,
    GroupConfig,
    GroupRecord,
    GroupRequest,
    Reply,
    TimerFired,
    TransactionalAppended,
)
from model.error_codes import ErrorCode
from protocol.consumer_protocol import ConsumerProtocolSubscription
from protocol.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitRequestPartition,
    OffsetCommitRequestTopic,
)
from protocol.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from protocol.k12_heartbeat import HeartbeatRequest
from protocol.k13_leave_group import LeaveGroupRequest, MemberIdentity
from protocol.k14_sync_group import SyncGroupRequest, SyncGroupRequestAssignment
from protocol.version_prefix import encode_with_version

LATEST = {"join": 9, "sync": 5, "heartbeat": 4, "leave": 5, "commit": 9}


class GroupUnderTest:
    """Answers are kept by token; tokens are numbers, handed out in order."""

    def __init__(self, group_id: str = "g", **config: int) -> None:
        self.group = Group(group_id, GroupConfig(**config))
        self.now_ms = 1_000
        self.wall_ms = 1_700_000_000_000
        self.answers: dict[int, Any] = {}
        self.records: list[tuple[GroupRecord, int]] = []  # with the producer id
        self.effects: list[Any] = []
        self._token = 0

    def step(self, event: Any) -> list[Any]:
        self.effects = self.group.step(event, self.now_ms)
        for effect in self.effects:
            if isinstance(effect, Reply):
                assert isinstance(effect.token, int)
                assert effect.token not in self.answers, "answered twice"
                self.answers[effect.token] = effect.response
            elif isinstance(effect, Append):
                self.records += [(record, -1) for record in effect.records]
            elif isinstance(effect, AppendInTransaction):
                self.records += [(record, effect.producer_id) for record in effect.records]
                self.group.step(TransactionalAppended(effect), self.now_ms)
        self.group.check()
        return self.effects

    def send(self, body: Any, version: int) -> int:
        """The token of the request; `answers` has its answer as soon as there is one."""
        self._token += 1
        self.step(
            GroupRequest(body, version, self._token, "client", "/host", self.wall_ms, fresh_id=f"{self._token:04}")
        )
        return self._token

    def wait(self, ms: int) -> None:
        """Let time pass, ringing the alarm whenever it is due."""
        end_ms = self.now_ms + ms
        while self.group.next_deadline_ms <= end_ms:
            self.wall_ms += max(self.group.next_deadline_ms - self.now_ms, 0)
            self.now_ms = max(self.group.next_deadline_ms, self.now_ms)
            self.step(TimerFired(self.wall_ms))
        self.wall_ms += end_ms - self.now_ms
        self.now_ms = end_ms

    # -- requests ------------------------------------------------------------------------------------------------------

    def join(
        self,
        member_id: str = "",
        *,
        topics: tuple[str, ...] = ("t",),
        instance: str | None = None,
        protocols: tuple[str, ...] = ("range",),
        protocol_type: str = "consumer",
        session_ms: int = 10_000,
        rebalance_ms: int = 30_000,
        version: int = LATEST["join"],
    ) -> int:
        metadata = encode_with_version(ConsumerProtocolSubscription(topics=list(topics)), 0)
        body = JoinGroupRequest(
            group_id="g",
            session_timeout_ms=session_ms,
            rebalance_timeout_ms=rebalance_ms,
            member_id=member_id,
            group_instance_id=instance,
            protocol_type=protocol_type,
            protocols=[JoinGroupRequestProtocol(name=name, metadata=metadata) for name in protocols],
        )
        return self.send(body, version)

    def new_member(self, **how: Any) -> tuple[str, int]:
        """A dynamic member's two joins: its id, and the token of the second."""
        first = self.answers[self.join(**how)]
        assert first.error_code == ErrorCode.MEMBER_ID_REQUIRED
        return first.member_id, self.join(first.member_id, **how)

    def sync(
        self, member_id: str, generation: int, assignments: dict[str, bytes] | None = None, instance: str | None = None
    ) -> int:
        rows = [SyncGroupRequestAssignment(member_id=m, assignment=a) for m, a in (assignments or {}).items()]
        body = SyncGroupRequest(
            group_id="g", generation_id=generation, member_id=member_id, group_instance_id=instance, assignments=rows
        )
        return self.send(body, LATEST["sync"])

    def heartbeat(self, member_id: str, generation: int, instance: str | None = None) -> ErrorCode:
        body = HeartbeatRequest(
            group_id="g", generation_id=generation, member_id=member_id, group_instance_id=instance
        )
        return ErrorCode(self.answers[self.send(body, LATEST["heartbeat"])].error_code)

    def leave(self, *members: str, instance: str | None = None) -> list[ErrorCode]:
        rows = [MemberIdentity(member_id=member_id, group_instance_id=instance) for member_id in members]
        answer = self.answers[self.send(LeaveGroupRequest(group_id="g", member_id="", members=rows), LATEST["leave"])]
        return [ErrorCode(row.error_code) for row in answer.members]

    def commit(
        self, member_id: str = "", generation: int = -1, offset: int = 1, *, metadata: str = "", version: int = 9,
        instance: str | None = None, retention_ms: int = -1, topic: str = "t", partition: int = 0,
    ) -> ErrorCode:
        row = OffsetCommitRequestPartition(
            partition_index=partition, committed_offset=offset, committed_metadata=metadata
        )
        body = OffsetCommitRequest(
            group_id="g",
            generation_id_or_member_epoch=generation,
            member_id=member_id,
            group_instance_id=instance,
            retention_time_ms=retention_ms,
            topics=[OffsetCommitRequestTopic(name=topic, partitions=[row])],
        )
        answer = self.answers[self.send(body, version)]
        return ErrorCode(answer.topics[0].partitions[0].error_code)

    def committed(self, topic: str = "t", partition: int = 0, *, require_stable: bool = False) -> Any:
        answer = self.answers[self.send(FetchOffsets([(topic, [partition])], require_stable), 9)]
        row = answer.topics[0].partitions[0]
        return ErrorCode(row.error_code) if row.error_code else row.committed_offset

    # -- whole stories -------------------------------------------------------------------------------------------------

    def stable(self, count: int = 1, **how: Any) -> tuple[int, list[str]]:
        """A stable group of dynamic members, the leader first, each assigned its own id: (generation, ids)."""
        ids = [self.answers[self.join(**how)].member_id for _ in range(count)]
        tokens = [self.join(member_id, **how) for member_id in ids]
        generation = self.answers[tokens[0]].generation_id
        for member_id in ids[1:]:
            self.sync(member_id, generation)
        self.sync(ids[0], generation, {member_id: member_id.encode() for member_id in ids})
        return generation, ids

    def replay(self) -> Group:
        """A new coordinator's group, from the records alone."""
        group = Group(self.group.group_id, self.group.config)
        for record, producer_id in self.records:
            group.apply(record.key, record.value, producer_id)
        return group


def durable(group: Group) -> Any:
    """What must be the same live and after a replay: compare while the group is stable or empty."""
    classic = group.classic
    members = {
        m.member_id: (
            m.group_instance_id, m.session_timeout_ms, m.rebalance_timeout_ms, m.metadata(classic.protocol),
            m.assignment,
        )
        for m in classic.members.values()
    }
    return (
        classic.state, classic.generation, classic.protocol_type, classic.protocol, classic.leader, members,
        classic.statics, group.offsets.committed, group.offsets.pending,
    )  # fmt: skip
