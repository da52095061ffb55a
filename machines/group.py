"""One group id: its members, its offsets, who may do what. The shell is `actors/group_coordinator.py`.

    effects = group.step(GroupRequest(body, ...), now_ms)      # Append and Reply, in order
    group.apply(key, value)                                    # one record of its log, in a replay

The members are a `ClassicGroup`; a group that only commits (an admin, a consumer that assigns its partitions by itself)
has offsets and no members. A blank group is one that does not exist: whoever holds it may forget it.
"""

from __future__ import annotations

from machines.classic_calls import heartbeat, leave, sync
from machines.classic_group import ClassicGroup, GroupState
from machines.classic_join import join
from machines.classic_rebalance import on_timer, start_sessions
from machines.group_events import (
    Append,
    AppendInTransaction,
    DeleteGroup,
    Effect,
    Event,
    ExpireOffsets,
    FetchOffsets,
    GroupConfig,
    GroupRecord,
    GroupRequest,
    Reply,
    TimerFired,
    TopicsDeleted,
    TransactionalAppended,
    TransactionEnded,
)
from machines.group_refusals import refusal
from machines.offsets import Offsets
from model.error_codes import ErrorCode
from model.ids import TopicPartition
from protocol.codec import Message
from protocol.internal_topics import GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue
from protocol.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from protocol.k11_join_group import JoinGroupRequest
from protocol.k12_heartbeat import HeartbeatRequest
from protocol.k13_leave_group import LeaveGroupRequest
from protocol.k14_sync_group import SyncGroupRequest
from protocol.k15_describe_groups import DescribedGroup, DescribedGroupMember
from protocol.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)
from protocol.k47_offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)

GROUP_ID_NOT_FOUND_FROM = 9  # OffsetCommit
ABORTABLE_FROM, IMPLICIT_PARTITIONS_FROM = 4, 5  # TxnOffsetCommit and KIP-890
CLASSIC = "classic"


class Group:
    """State of the group `group_id`."""

    __slots__ = ("classic", "config", "group_id", "offsets")

    def __init__(self, group_id: str, config: GroupConfig) -> None:
        self.group_id = group_id
        self.config = config
        self.classic = ClassicGroup(group_id, config)
        self.offsets = Offsets(group_id)

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        """Take one event in and say what is to be done, in order."""
        effects: list[Effect] = []
        self.classic.effects = effects
        match event:
            case GroupRequest():
                self._on_request(event, now_ms)
            case TimerFired():
                on_timer(self.classic, event.wall_ms, now_ms)
            case ExpireOffsets():
                self._expire(event.wall_ms)
            case TopicsDeleted():
                self._write(self.offsets.tombstones(lambda partition: partition.topic in event.topics))
            case TransactionalAppended():
                for record in event.append.records:
                    self.apply(record.key, record.value, event.append.producer_id)
            case TransactionEnded():
                self.offsets.complete_transaction(event.producer_id, event.is_commit)
        return effects

    def _on_request(self, event: GroupRequest, now_ms: int) -> None:
        body = event.body
        match body:
            case HeartbeatRequest():
                heartbeat(self.classic, event, body, now_ms)
            case OffsetCommitRequest():
                self._commit(event, body, now_ms)
            case FetchOffsets():
                self._reply(event, self.offsets.fetch(body))
            case JoinGroupRequest():
                join(self.classic, event, body, now_ms)
            case SyncGroupRequest():
                sync(self.classic, event, body, now_ms)
            case LeaveGroupRequest():
                leave(self.classic, event, body, now_ms)
            case TxnOffsetCommitRequest():
                self._commit_in_transaction(event, body, now_ms)
            case OffsetDeleteRequest():
                self._delete_offsets(event, body)
            case DeleteGroup():
                self._delete(event)
            case _:
                raise AssertionError(f"not for a group: {type(body).__name__}")

    # -- durable state -------------------------------------------------------------------------------------------------

    def apply(self, key: Message, value: Message | None, producer_id: int = -1) -> None:
        """Take in a record of this group; keys of other kinds are passed over."""
        if isinstance(key, OffsetCommitKey):
            assert value is None or isinstance(value, OffsetCommitValue)
            self.offsets.apply(key, value, producer_id)
        elif isinstance(key, GroupMetadataKey):
            assert value is None or isinstance(value, GroupMetadataValue)
            self.classic.apply(value)

    def after_replay(self, now_ms: int) -> None:
        """The replay is over; sessions start."""
        start_sessions(self.classic, now_ms)

    def _write(self, records: list[GroupRecord]) -> None:
        if records:
            for record in records:
                self.apply(record.key, record.value)
            self.classic.effects.append(Append(tuple(records)))

    def _reply(self, event: GroupRequest, response: object) -> None:
        self.classic.effects.append(Reply(event.token, response))  # type: ignore[arg-type]

    def _refuse(self, event: GroupRequest, error: ErrorCode) -> None:
        self._reply(event, refusal(event.body, event.version, error))

    # -- offsets -------------------------------------------------------------------------------------------------------

    def _commit(self, event: GroupRequest, body: OffsetCommitRequest, now_ms: int) -> None:
        generation = body.generation_id_or_member_epoch
        if self.is_blank and generation >= 0:
            is_new = event.version >= GROUP_ID_NOT_FOUND_FROM
            self._refuse(event, ErrorCode.GROUP_ID_NOT_FOUND if is_new else ErrorCode.ILLEGAL_GENERATION)
            return
        error = self.classic.commit_error(body.member_id, body.group_instance_id, generation, now_ms)
        if error is not ErrorCode.NONE:
            self._refuse(event, error)
            return
        records, outcomes = self.offsets.commit_records(
            body.topics,
            metadata_max_bytes=self.config.offset_metadata_max_bytes,
            wall_ms=event.wall_ms,
            retention_ms=body.retention_time_ms,
        )
        self._write(records)
        topics = [
            OffsetCommitResponseTopic(
                name=name,
                partitions=[
                    OffsetCommitResponsePartition(partition_index=partition, error_code=outcome)
                    for partition, outcome in rows
                ],
            )
            for name, rows in outcomes
        ]
        self._reply(event, OffsetCommitResponse(topics=topics))

    def _commit_in_transaction(self, event: GroupRequest, body: TxnOffsetCommitRequest, now_ms: int) -> None:
        """Offsets that count when the producer's transaction commits; a producer outside of the group may send them."""
        generation = body.generation_id_or_member_epoch
        is_member = generation >= 0 or body.member_id or body.group_instance_id is not None
        if self.is_blank and is_member:
            self._refuse(event, ErrorCode.ILLEGAL_GENERATION)
            return
        if is_member:
            error = self.classic.commit_error(body.member_id, body.group_instance_id, generation, now_ms)
            if error not in (ErrorCode.NONE, ErrorCode.REBALANCE_IN_PROGRESS):
                self._refuse(event, error)
                return
        records, outcomes = self.offsets.commit_records(
            body.topics, metadata_max_bytes=self.config.offset_metadata_max_bytes, wall_ms=event.wall_ms
        )
        if records:
            knows = 2 if event.version >= IMPLICIT_PARTITIONS_FROM else int(event.version >= ABORTABLE_FROM)
            self.classic.effects.append(
                AppendInTransaction(
                    tuple(records), body.producer_id, body.producer_epoch, body.transactional_id, knows
                )
            )
        topics = [
            TxnOffsetCommitResponseTopic(
                name=name,
                partitions=[
                    TxnOffsetCommitResponsePartition(partition_index=partition, error_code=outcome)
                    for partition, outcome in rows
                ],
            )
            for name, rows in outcomes
        ]
        self._reply(event, TxnOffsetCommitResponse(topics=topics))

    def _delete_offsets(self, event: GroupRequest, body: OffsetDeleteRequest) -> None:
        if self.is_blank:
            self._refuse(event, ErrorCode.GROUP_ID_NOT_FOUND)
            return
        subscribed = self.classic.subscribed_topics()
        if subscribed is None:
            self._refuse(event, ErrorCode.NON_EMPTY_GROUP)
            return
        known = set(self.offsets.partitions())
        records: list[GroupRecord] = []
        topics = []
        for topic in body.topics:
            error = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC if topic.name in subscribed else ErrorCode.NONE
            rows = []
            for row in topic.partitions:
                partition = TopicPartition(topic.name, row.partition_index)
                if error is ErrorCode.NONE and partition in known:
                    records.append(self.offsets.tombstone(partition))
                rows.append(OffsetDeleteResponsePartition(partition_index=row.partition_index, error_code=error))
            topics.append(OffsetDeleteResponseTopic(name=topic.name, partitions=rows))
        self._write(records)
        self._reply(event, OffsetDeleteResponse(topics=topics))

    # -- the group's end -----------------------------------------------------------------------------------------------

    def _delete(self, event: GroupRequest) -> None:
        if self.is_blank:
            self._reply(event, ErrorCode.GROUP_ID_NOT_FOUND)
        elif self.classic.members or self.classic.pending:
            self._reply(event, ErrorCode.NON_EMPTY_GROUP)
        else:
            self._write([*self.offsets.tombstones(), *self._end_records()])
            self._reply(event, ErrorCode.NONE)

    def _end_records(self) -> list[GroupRecord]:
        """The tombstone of the group itself, if it was ever written."""
        written = self.classic.generation > 0
        return [GroupRecord(GroupMetadataKey(group=self.group_id), None)] if written else []

    def _expire(self, wall_ms: int) -> None:
        """Forget offsets past their retention, and with the last one the group, unless it has members."""
        classic = self.classic
        subscribed = classic.subscribed_topics()
        is_idle = classic.state is GroupState.EMPTY and not classic.pending
        if not is_idle and (classic.state is not GroupState.STABLE or subscribed is None):
            return
        idle_since_ms = classic.state_since_ms if is_idle and classic.protocol_type is not None else None
        records = self.offsets.expired(
            wall_ms, self.config.offsets_retention_ms, idle_since_ms, lambda topic: topic in (subscribed or ())
        )
        left = len(set(self.offsets.partitions())) - len(records)
        if is_idle and not left and not self.offsets.pending:
            records += self._end_records()
        self._write(records)

    # -- reading -------------------------------------------------------------------------------------------------------

    @property
    def is_blank(self) -> bool:
        return self.classic.is_blank and not self.offsets

    @property
    def next_deadline_ms(self) -> int:
        """Send TimerFired no later than this."""
        return self.classic.next_deadline_ms

    @property
    def state(self) -> str:
        return self.classic.state.value

    @property
    def group_type(self) -> str:
        return CLASSIC

    @property
    def protocol_type(self) -> str:
        return self.classic.protocol_type or ""

    def describe(self) -> DescribedGroup:
        """For DescribeGroups; what members said of themselves is shown while the group is stable."""
        classic = self.classic
        protocol = classic.protocol if classic.state is GroupState.STABLE else None
        return DescribedGroup(
            group_id=self.group_id,
            group_state=self.state,
            protocol_type=self.protocol_type,
            protocol_data=protocol or "",
            members=[
                DescribedGroupMember(
                    member_id=member.member_id,
                    group_instance_id=member.group_instance_id,
                    client_id=member.client_id,
                    client_host=member.client_host,
                    member_metadata=member.metadata(protocol),
                    member_assignment=member.assignment if protocol is not None else b"",
                )
                for member in classic.members.values()
            ],
        )

    def check(self) -> None:
        """The invariants that hold after every step."""
        self.classic.check()
