"""One group id: its members, its offsets, who may do what. The shell is `actors/group_coordinator.py`.

    effects = group.step(GroupRequest(body, ...), now_ms)      # Append and Reply, in order
    group.apply(key, value)                                    # one record of its log, in a replay

The members are those of a `ClassicGroup` or of a `ConsumerGroup` (KIP-848), never of both; a group that only commits
(an admin, a consumer that assigns its partitions by itself) has offsets and no members. Without members a group takes
the kind of whoever comes next; with members it may change over (`group_migration.py`). A blank group is one that does
not exist: whoever holds it may forget it.
"""

from __future__ import annotations

from machines import classic_calls, consumer_classic, group_commits
from machines.classic_group import CONSUMER_PROTOCOL_TYPE, ClassicGroup, GroupState
from machines.classic_join import join
from machines.classic_rebalance import on_timer, start_sessions
from machines.consumer_changes import on_topics_changed, put_out_the_late
from machines.consumer_group import ConsumerGroup
from machines.consumer_heartbeat import Refused, heartbeat, validate
from machines.group_describe import described_classic
from machines.group_events import (
    Append,
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
    TopicsChanged,
    TopicsDeleted,
    TransactionalAppended,
    TransactionEnded,
)
from machines.group_migration import can_go_up, classic_end_records, go_down, go_up
from machines.group_refusals import refusal
from machines.offsets import Offsets
from machines.topic_view import TopicView
from model.error_codes import ErrorCode
from protocol.codec import Message
from protocol.internal_topics import GroupMetadataKey, GroupMetadataValue, OffsetCommitKey, OffsetCommitValue
from protocol.k08_offset_commit import OffsetCommitRequest
from protocol.k11_join_group import JoinGroupRequest
from protocol.k12_heartbeat import HeartbeatRequest
from protocol.k13_leave_group import LeaveGroupRequest
from protocol.k14_sync_group import SyncGroupRequest
from protocol.k15_describe_groups import DescribedGroup
from protocol.k28_txn_offset_commit import TxnOffsetCommitRequest
from protocol.k47_offset_delete import OffsetDeleteRequest
from protocol.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse

CLASSIC, CONSUMER = "classic", "consumer"


class Group:
    """State of the group `group_id`. `classic` and `consumer` are both there, one of them blank."""

    __slots__ = ("classic", "config", "consumer", "effects", "group_id", "offsets")

    def __init__(self, group_id: str, config: GroupConfig) -> None:
        self.group_id = group_id
        self.config = config
        self.classic = ClassicGroup(group_id, config)
        self.consumer = ConsumerGroup(group_id, config)
        self.offsets = Offsets(group_id)
        self.effects: list[Effect] = []

    def configure(self, config: GroupConfig) -> None:
        """From the next event on."""
        self.config = self.classic.config = self.consumer.config = config

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        """Take one event in and say what is to be done, in order."""
        effects = self.effects = self.classic.effects = self.consumer.effects = []
        match event:
            case GroupRequest():
                self._on_request(event, now_ms)
            case TimerFired():
                self._on_timer(event, now_ms)
            case ExpireOffsets():
                self._expire(event.wall_ms)
            case TopicsDeleted():
                self.write(self.offsets.tombstones(lambda partition: partition.topic in event.topics))
            case TopicsChanged():
                if self.consumer.members:
                    on_topics_changed(self.consumer, event.topics, event.wall_ms)
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
                if self.consumer.exists:
                    consumer_classic.heartbeat(self.consumer, event, body, now_ms)
                else:
                    classic_calls.heartbeat(self.classic, event, body, now_ms)
            case ConsumerGroupHeartbeatRequest():
                self._consumer_heartbeat(event, body, now_ms)
            case OffsetCommitRequest():
                group_commits.commit(self, event, body, now_ms)
            case FetchOffsets():
                group_commits.fetch(self, event, body)
            case JoinGroupRequest():
                self._join(event, body, now_ms)
            case SyncGroupRequest():
                if self.consumer.exists:
                    consumer_classic.sync(self.consumer, event, body, now_ms)
                else:
                    classic_calls.sync(self.classic, event, body, now_ms)
            case LeaveGroupRequest():
                if self.consumer.exists:
                    consumer_classic.leave(self.consumer, event, body)
                    self._maybe_go_down(event.topics, event.wall_ms, now_ms)
                else:
                    classic_calls.leave(self.classic, event, body, now_ms)
            case TxnOffsetCommitRequest():
                group_commits.commit_in_transaction(self, event, body, now_ms)
            case OffsetDeleteRequest():
                group_commits.delete_offsets(self, event, body)
            case DeleteGroup():
                self._delete(event)
            case _:
                raise AssertionError(f"not for a group: {type(body).__name__}")

    # -- members of both kinds -----------------------------------------------------------------------------------------

    def _join(self, event: GroupRequest, body: JoinGroupRequest, now_ms: int) -> None:
        if self.consumer.members:
            consumer_classic.join(self.consumer, event, body, now_ms)
            self._maybe_go_down(event.topics, event.wall_ms, now_ms)
            return
        self.write(self.consumer.end_records())
        join(self.classic, event, body, now_ms)

    def _consumer_heartbeat(self, event: GroupRequest, body: ConsumerGroupHeartbeatRequest, now_ms: int) -> None:
        try:
            validate(self.config, event, body)
            self._become_consumer(event, body, now_ms)
            heartbeat(self.consumer, event, body, now_ms)
        except Refused as refused:
            response = ConsumerGroupHeartbeatResponse(error_code=refused.error, error_message=refused.message)
            self.reply(event, response)
            return
        self._maybe_go_down(event.topics, event.wall_ms, now_ms)

    def _become_consumer(self, event: GroupRequest, body: ConsumerGroupHeartbeatRequest, now_ms: int) -> None:
        """A member that joins may find no group yet, or a classic one. Raises Refused."""
        if self.consumer.exists:
            return
        if body.member_epoch != 0:
            raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {self.group_id} not found.")
        if self.classic.members or self.classic.pending:
            if not can_go_up(self.classic):
                message = f"Group {self.group_id} is not a consumer group."
                raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, message)
            go_up(self.classic, self.consumer, event.topics, event.wall_ms, now_ms)
        else:
            self.write(classic_end_records(self.classic))
        self.classic = ClassicGroup(self.group_id, self.config)
        self.classic.effects = self.effects

    def _maybe_go_down(self, topics: TopicView, wall_ms: int, now_ms: int) -> None:
        if self.consumer.may_go_down:
            self.classic = go_down(self.consumer, topics, wall_ms, now_ms)

    def _on_timer(self, event: TimerFired, now_ms: int) -> None:
        if self.consumer.exists:
            put_out_the_late(self.consumer, event.topics, now_ms)
            self._maybe_go_down(event.topics, event.wall_ms, now_ms)
        else:
            on_timer(self.classic, event.wall_ms, now_ms)

    # -- durable state -------------------------------------------------------------------------------------------------

    def apply(self, key: Message, value: Message | None, producer_id: int = -1) -> None:
        """Take in a record of this group; keys of other kinds are passed over."""
        if isinstance(key, OffsetCommitKey):
            assert value is None or isinstance(value, OffsetCommitValue)
            self.offsets.apply(key, value, producer_id)
        elif isinstance(key, GroupMetadataKey):
            assert value is None or isinstance(value, GroupMetadataValue)
            self.classic.apply(value)
        else:
            self.consumer.apply(key, value)

    def after_replay(self, now_ms: int) -> None:
        """The replay is over; sessions start."""
        start_sessions(self.classic, now_ms)
        self.consumer.start_sessions(now_ms)

    def write(self, records: list[GroupRecord]) -> None:
        """Apply the records and have them appended."""
        if records:
            for record in records:
                self.apply(record.key, record.value)
            self.effects.append(Append(tuple(records)))

    def reply(self, event: GroupRequest, response: object) -> None:
        self.effects.append(Reply(event.token, response))  # type: ignore[arg-type]

    def refuse(self, event: GroupRequest, error: ErrorCode) -> None:
        self.reply(event, refusal(event.body, event.version, error))

    # -- the group's end -----------------------------------------------------------------------------------------------

    def _delete(self, event: GroupRequest) -> None:
        if self.is_blank:
            self.reply(event, ErrorCode.GROUP_ID_NOT_FOUND)
        elif self.classic.members or self.classic.pending or self.consumer.members:
            self.reply(event, ErrorCode.NON_EMPTY_GROUP)
        else:
            self.write([*self.offsets.tombstones(), *self._end_records()])
            self.reply(event, ErrorCode.NONE)

    def _end_records(self) -> list[GroupRecord]:
        """The tombstones of the group itself, as far as it was ever written."""
        return [*classic_end_records(self.classic), *self.consumer.end_records()]

    def _expire(self, wall_ms: int) -> None:
        """Forget offsets past their retention, and with the last one the group, unless it has members."""
        classic = self.classic
        subscribed = self.subscribed_topics()
        is_idle = not self.consumer.members and classic.state is GroupState.EMPTY and not classic.pending
        is_stable = bool(self.consumer.members) or classic.state is GroupState.STABLE
        if not is_idle and (not is_stable or subscribed is None):
            return
        idle_since_ms = classic.state_since_ms if is_idle and classic.protocol_type is not None else None
        records = self.offsets.expired(
            wall_ms, self.config.offsets_retention_ms, idle_since_ms, lambda topic: topic in (subscribed or ())
        )
        left = len(set(self.offsets.partitions())) - len(records)
        if is_idle and not left and not self.offsets.pending:
            records += self._end_records()
        self.write(records)

    # -- reading -------------------------------------------------------------------------------------------------------

    @property
    def is_blank(self) -> bool:
        return self.classic.is_blank and not self.consumer.exists and not self.offsets

    @property
    def next_deadline_ms(self) -> int:
        """Send TimerFired no later than this."""
        return min(self.classic.next_deadline_ms, self.consumer.next_deadline_ms)

    @property
    def state(self) -> str:
        return self.consumer.state if self.consumer.exists else self.classic.state.value

    @property
    def generation(self) -> int:
        """Grows with every rebalance; the epoch of a KIP-848 group."""
        return self.consumer.epoch if self.consumer.exists else self.classic.generation

    @property
    def group_type(self) -> str:
        return CONSUMER if self.consumer.exists else CLASSIC

    @property
    def protocol_type(self) -> str:
        return CONSUMER_PROTOCOL_TYPE if self.consumer.exists else self.classic.protocol_type or ""

    def subscribed_topics(self) -> frozenset[str] | None:
        """What its members read; None when that can't be known."""
        return self.consumer.subscribed_topics() if self.consumer.exists else self.classic.subscribed_topics()

    def describe(self) -> DescribedGroup | None:
        """For DescribeGroups; None when it is no classic group."""
        return None if self.consumer.exists else described_classic(self.classic)

    def check(self) -> None:
        """The invariants that hold after every step."""
        assert self.classic.is_blank or not self.consumer.exists, "a group is of one kind"
        self.classic.check()
        self.consumer.check()
