"""The members of one classic group: join, sync, heartbeat, leave; one generation after the other.

    Empty -> PreparingRebalance -> CompletingRebalance -> Stable
      ^            ^                        |                |
      |            +------ a member joins, leaves, is late --+
      +-- the last member went

Members join until all of them wait or the rebalance timeout is over; then one generation begins, its leader brings the
assignment with its SyncGroup, and that is when the group is written down. What the record says changes in `apply` only;
the rest (who waits, deadlines, a rebalance under way) is lost with the coordinator, and the members' requests bring it
back. How a member gets in is in `classic_join.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from machines.classic_member import ClassicMember, elect_protocol, topics_of
from machines.group_events import NEVER_MS, Append, Effect, GroupConfig, GroupRecord, GroupRequest, Reply
from model.error_codes import ErrorCode
from protocol.codec import Struct
from protocol.internal_topics import GroupMetadataKey, GroupMetadataValue
from protocol.k11_join_group import JoinGroupResponse, JoinGroupResponseMember
from protocol.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from protocol.k13_leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse
from protocol.k14_sync_group import SyncGroupRequest, SyncGroupResponse

CONSUMER_PROTOCOL_TYPE = "consumer"
VALUE_VERSION = 3
NULL_PROTOCOL_FROM = 7  # JoinGroup: "no protocol" is null, and "" before
LEAVE_SEVERAL_FROM = 3


class GroupState(StrEnum):
    """The names are Kafka's, as ListGroups and DescribeGroups show them."""

    EMPTY = "Empty"
    PREPARING_REBALANCE = "PreparingRebalance"
    COMPLETING_REBALANCE = "CompletingRebalance"
    STABLE = "Stable"


@dataclass(slots=True)
class ClassicGroup:
    """`pending` are the ids that were handed out and have not joined yet, with their deadlines.

    `phase_deadline_ms` ends the phase under way: of joining while PreparingRebalance, of syncing while
    CompletingRebalance. `next_deadline_ms` is never later than the first deadline of all.
    """

    group_id: str
    config: GroupConfig
    state: GroupState = GroupState.EMPTY
    generation: int = 0
    protocol_type: str | None = None
    protocol: str | None = None
    leader: str | None = None
    members: dict[str, ClassicMember] = field(default_factory=dict)
    statics: dict[str, str] = field(default_factory=dict)
    state_since_ms: int = -1  # wall clock
    pending: dict[str, int] = field(default_factory=dict)
    unsynced: set[str] = field(default_factory=set)  # members that have not asked for this generation's assignment
    phase_deadline_ms: int = NEVER_MS
    next_deadline_ms: int = NEVER_MS
    is_delayed: bool = False  # the first rebalance: wait for more members though all wait
    delay_left_ms: int = 0
    has_newcomer: bool = False
    effects: list[Effect] = field(default_factory=list)

    # -- durable state -------------------------------------------------------------------------------------------------

    def apply(self, value: GroupMetadataValue | None) -> None:
        """Take in the group's record; None: it was deleted."""
        value = value or GroupMetadataValue(protocol_type="", generation=0, protocol=None, leader=None, members=[])
        self.generation = value.generation
        self.protocol_type = value.protocol_type or None
        self.protocol = value.protocol
        self.leader = value.leader
        self.state_since_ms = value.current_state_timestamp
        members: dict[str, ClassicMember] = {}
        for record in value.members:
            member = self.members.get(record.member_id)
            if member is None:
                member = ClassicMember.of_record(record, value.protocol or "")
            member.assignment = bytes(record.assignment)
            members[record.member_id] = member
        self.members = members
        self.statics = {m.group_instance_id: m.member_id for m in members.values() if m.group_instance_id is not None}
        self.state = GroupState.STABLE if members else GroupState.EMPTY

    def to_value(self, wall_ms: int) -> GroupMetadataValue:
        """The group as it is now, to be written."""
        return GroupMetadataValue(
            protocol_type=self.protocol_type or "",
            generation=self.generation,
            protocol=self.protocol,
            leader=self.leader,
            current_state_timestamp=wall_ms,
            members=[member.to_record(self.protocol or "") for member in self.members.values()],
        )

    def write(self, value: GroupMetadataValue | None) -> None:
        """Apply the record and have it appended."""
        self.apply(value)
        record = GroupRecord(GroupMetadataKey(group=self.group_id), value, VALUE_VERSION)
        self.effects.append(Append((record,)))

    def after_replay(self, now_ms: int) -> None:
        """Every member's session starts anew with a new coordinator."""
        for member in self.members.values():
            self.heard(member, now_ms)

    @property
    def is_blank(self) -> bool:
        """Nothing is known of it."""
        return not (self.generation or self.members or self.pending or self.protocol_type)

    # -- heartbeat -----------------------------------------------------------------------------------------------------

    def heartbeat(self, event: GroupRequest, body: HeartbeatRequest, now_ms: int) -> None:
        error = self.member_error(body.member_id, body.group_instance_id)
        if error is ErrorCode.NONE and body.generation_id != self.generation:
            error = ErrorCode.ILLEGAL_GENERATION
        if error is ErrorCode.NONE:
            self.members[body.member_id].heard(now_ms)
            if self.state is GroupState.PREPARING_REBALANCE:
                error = ErrorCode.REBALANCE_IN_PROGRESS
        self.effects.append(Reply(event.token, HeartbeatResponse(error_code=error), is_urgent=True))

    def member_error(self, member_id: str, group_instance_id: str | None) -> ErrorCode:
        """NONE when this id is a member's, and nobody took its place under the same instance id."""
        if group_instance_id is not None:
            owner = self.statics.get(group_instance_id)
            if owner is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if owner != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    def commit_error(self, member_id: str, group_instance_id: str | None, generation: int, now_ms: int) -> ErrorCode:
        """Whether a member may commit; from outside of it (no member id, no generation) only while it is empty.

        Commits are taken while a rebalance is prepared: what was read until then shall not be lost.
        """
        if generation < 0 and self.state is GroupState.EMPTY:
            return ErrorCode.NONE
        if generation < 0 and not member_id and group_instance_id is None:
            return ErrorCode.UNKNOWN_MEMBER_ID
        error = self.member_error(member_id, group_instance_id)
        if error is not ErrorCode.NONE:
            return error
        if generation != self.generation:
            return ErrorCode.ILLEGAL_GENERATION
        if self.state is GroupState.COMPLETING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        self.members[member_id].heard(now_ms)
        return ErrorCode.NONE

    # -- sync ----------------------------------------------------------------------------------------------------------

    def sync(self, event: GroupRequest, body: SyncGroupRequest, now_ms: int) -> None:
        error = self._sync_error(body)
        if error is not ErrorCode.NONE:
            self._answer_sync(event, error)
            return
        member = self.members[body.member_id]
        self.unsynced.discard(member.member_id)
        if self.state is GroupState.STABLE:
            self._answer_sync(event, ErrorCode.NONE, member)
            self.heard(member, now_ms)
            if not self.unsynced:
                self.phase_deadline_ms = NEVER_MS
            return
        if member.syncing is not None:  # it asks again over a new connection
            self._answer_sync(member.syncing, ErrorCode.REBALANCE_IN_PROGRESS)
        member.syncing = event
        if member.member_id == self.leader:
            self._assign({row.member_id: bytes(row.assignment) for row in body.assignments}, event.wall_ms, now_ms)

    def _sync_error(self, body: SyncGroupRequest) -> ErrorCode:
        error = self.member_error(body.member_id, body.group_instance_id)
        if error is not ErrorCode.NONE:
            return error
        if body.generation_id != self.generation:
            return ErrorCode.ILLEGAL_GENERATION
        if body.protocol_type is not None and body.protocol_type != self.protocol_type:
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if body.protocol_name is not None and body.protocol_name != self.protocol:
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        if self.state is GroupState.PREPARING_REBALANCE:
            return ErrorCode.REBALANCE_IN_PROGRESS
        return ErrorCode.NONE

    def _assign(self, assignments: dict[str, bytes], wall_ms: int, now_ms: int) -> None:
        """The leader's word: write the generation down and tell everyone who waits."""
        value = self.to_value(wall_ms)
        for record in value.members:
            record.assignment = assignments.get(record.member_id, b"")
        self.write(value)
        if not self.unsynced:
            self.phase_deadline_ms = NEVER_MS
        for member in self.members.values():
            waiting, member.syncing = member.syncing, None
            if waiting is not None:
                self._answer_sync(waiting, ErrorCode.NONE, member)
            self.heard(member, now_ms)

    def _answer_sync(self, event: GroupRequest, error: ErrorCode, member: ClassicMember | None = None) -> None:
        response = SyncGroupResponse(error_code=error, assignment=member.assignment if member is not None else b"")
        if member is not None:
            response.protocol_type, response.protocol_name = self.protocol_type, self.protocol
        self.effects.append(Reply(event.token, response))

    # -- leave ---------------------------------------------------------------------------------------------------------

    def leave(self, event: GroupRequest, body: LeaveGroupRequest, now_ms: int) -> None:
        """Take the named members out; each has its own outcome."""
        if event.version < LEAVE_SEVERAL_FROM:
            error = self._leave_one(MemberIdentity(member_id=body.member_id), event.wall_ms, now_ms)
            self.effects.append(Reply(event.token, LeaveGroupResponse(error_code=error)))
            return
        rows = []
        for member in body.members:
            error = self._leave_one(member, event.wall_ms, now_ms)
            rows.append(
                MemberResponse(
                    member_id=member.member_id, group_instance_id=member.group_instance_id, error_code=error
                )
            )
        self.effects.append(Reply(event.token, LeaveGroupResponse(members=rows)))

    def _leave_one(self, member: MemberIdentity, wall_ms: int, now_ms: int) -> ErrorCode:
        member_id, instance_id = member.member_id, member.group_instance_id
        if not member_id and instance_id is not None:  # an operator takes out whoever has the instance id
            member_id = self.statics.get(instance_id, "")
        if member_id in self.pending:
            del self.pending[member_id]
            self.maybe_complete_join(wall_ms, now_ms)
            return ErrorCode.NONE
        error = self.member_error(member_id, instance_id)
        if error is ErrorCode.NONE:
            self.remove(self.members[member_id], wall_ms, now_ms)
        return error

    def remove(self, member: ClassicMember, wall_ms: int, now_ms: int) -> None:
        """A member is out; the others share anew what it had."""
        self._drop(member, ErrorCode.UNKNOWN_MEMBER_ID)
        if self.state in (GroupState.STABLE, GroupState.COMPLETING_REBALANCE):
            self.prepare_rebalance(wall_ms, now_ms)
        elif self.state is GroupState.PREPARING_REBALANCE:
            self.maybe_complete_join(wall_ms, now_ms)

    def _drop(self, member: ClassicMember, error: ErrorCode) -> None:
        self.dismiss(member, error)
        del self.members[member.member_id]
        if member.group_instance_id is not None and self.statics.get(member.group_instance_id) == member.member_id:
            del self.statics[member.group_instance_id]
        if self.leader == member.member_id:
            self.leader = next(iter(self.members), None)

    def dismiss(self, member: ClassicMember, error: ErrorCode) -> None:
        """Answer whatever a member waits for with an error."""
        joining, member.joining = member.joining, None
        syncing, member.syncing = member.syncing, None
        if joining is not None:
            self.refuse_join(joining, error, member.member_id)
        if syncing is not None:
            self._answer_sync(syncing, error)

    # -- rebalance -----------------------------------------------------------------------------------------------------

    def prepare_rebalance(self, wall_ms: int, now_ms: int) -> None:
        """Begin the next generation: everyone is to join (again)."""
        for member in self.members.values():
            syncing, member.syncing = member.syncing, None
            if syncing is not None:
                self._answer_sync(syncing, ErrorCode.REBALANCE_IN_PROGRESS)
                self.heard(member, now_ms)
        timeout_ms = max((member.rebalance_timeout_ms for member in self.members.values()), default=0)
        delay_ms = self.config.initial_rebalance_delay_ms
        self.is_delayed = self.state is GroupState.EMPTY and delay_ms > 0
        if self.is_delayed:
            self.delay_left_ms = max(timeout_ms - delay_ms, 0)
            timeout_ms = delay_ms
            self.has_newcomer = False
        self.state = GroupState.PREPARING_REBALANCE
        self.unsynced.clear()
        self._set_phase_deadline(now_ms + timeout_ms)
        self.maybe_complete_join(wall_ms, now_ms)

    def maybe_complete_join(self, wall_ms: int, now_ms: int) -> None:
        """Go on as soon as every member waits and every id that was handed out has been used."""
        if self.state is not GroupState.PREPARING_REBALANCE or self.is_delayed or self.pending:
            return
        if all(member.joining is not None for member in self.members.values()):
            self._complete_join(wall_ms, now_ms)

    def _on_join_deadline(self, wall_ms: int, now_ms: int) -> None:
        if self.is_delayed and self.has_newcomer and self.delay_left_ms > 0:
            delay_ms = min(self.config.initial_rebalance_delay_ms, self.delay_left_ms)
            self.delay_left_ms -= delay_ms
            self.has_newcomer = False
            self._set_phase_deadline(now_ms + delay_ms)
            return
        self._complete_join(wall_ms, now_ms)

    def _complete_join(self, wall_ms: int, now_ms: int) -> None:
        """The joining is over: whoever has not come is out, except static members, who have their session to come back.

        With none there but absent static members there is nobody to lead: the joining goes on until one comes or all
        are late.
        """
        self.is_delayed = False
        for member in [m for m in self.members.values() if m.joining is None and m.group_instance_id is None]:
            self._drop(member, ErrorCode.UNKNOWN_MEMBER_ID)
        present = [member for member in self.members.values() if member.joining is not None]
        if self.members and not present:
            timeout_ms = max(member.rebalance_timeout_ms for member in self.members.values())
            self._set_phase_deadline(now_ms + timeout_ms)
            return
        self.generation += 1
        if not self.members:
            self.phase_deadline_ms = NEVER_MS
            self.protocol = self.leader = None
            self.write(self.to_value(wall_ms))
            return
        if self.leader not in self.members or self.members[self.leader].joining is None:
            self.leader = present[0].member_id
        self.protocol = elect_protocol(list(self.members.values()))
        self.state = GroupState.COMPLETING_REBALANCE
        self.unsynced = set(self.members)
        self._set_phase_deadline(now_ms + max(member.rebalance_timeout_ms for member in self.members.values()))
        for member in present:
            joining, member.joining = member.joining, None
            member.is_new = False
            assert joining is not None
            self.answer_join(joining, member)
            self.heard(member, now_ms)

    def _on_sync_deadline(self, wall_ms: int, now_ms: int) -> None:
        """Some have not synced within the rebalance timeout: they are out, and the others begin anew."""
        for member_id in self.unsynced & self.members.keys():
            self._drop(self.members[member_id], ErrorCode.UNKNOWN_MEMBER_ID)
        self.prepare_rebalance(wall_ms, now_ms)

    # -- answers to JoinGroup ------------------------------------------------------------------------------------------

    def answer_join(
        self, event: GroupRequest, member: ClassicMember, leader: str | None = None, *, may_skip: bool = False
    ) -> None:
        """The generation as it is; only its leader sees the members, and not if another one is named in its place.

        `may_skip`: the assignment stands, the leader is not to make one.
        """
        leads = member.member_id == (leader or self.leader)
        rows = [
            JoinGroupResponseMember(
                member_id=other.member_id,
                group_instance_id=other.group_instance_id,
                metadata=other.metadata(self.protocol),
            )
            for other in (self.members.values() if leads else ())
        ]
        response = JoinGroupResponse(
            generation_id=self.generation,
            protocol_type=self.protocol_type,
            protocol_name=self.protocol,
            leader=leader or self.leader or "",
            skip_assignment=may_skip and leads,
            member_id=member.member_id,
            members=rows,
        )
        self.reply(event, response)

    def refuse_join(self, event: GroupRequest, error: ErrorCode, member_id: str = "") -> None:
        protocol = None if event.version >= NULL_PROTOCOL_FROM else ""
        self.reply(event, JoinGroupResponse(error_code=error, protocol_name=protocol, leader="", member_id=member_id))

    def reply(self, event: GroupRequest, response: Struct) -> None:
        self.effects.append(Reply(event.token, response))

    # -- time ----------------------------------------------------------------------------------------------------------

    def heard(self, member: ClassicMember, now_ms: int) -> None:
        """Start a member's session anew, and see to it that its end is noticed."""
        member.heard(now_ms)
        self.next_deadline_ms = min(self.next_deadline_ms, member.deadline_ms)

    def watch(self, deadline_ms: int) -> None:
        self.next_deadline_ms = min(self.next_deadline_ms, deadline_ms)

    def _set_phase_deadline(self, deadline_ms: int) -> None:
        self.phase_deadline_ms = deadline_ms
        self.watch(deadline_ms)

    def on_timer(self, wall_ms: int, now_ms: int) -> None:
        """Put out who is late, end the phase that is over, look when to come again."""
        for member_id in [id_ for id_, deadline_ms in self.pending.items() if now_ms >= deadline_ms]:
            del self.pending[member_id]
        for member in [member for member in self.members.values() if member.is_late(now_ms)]:
            if member.member_id in self.members and member.is_late(now_ms):
                self.remove(member, wall_ms, now_ms)
        self.maybe_complete_join(wall_ms, now_ms)
        if now_ms >= self.phase_deadline_ms:
            if self.state is GroupState.PREPARING_REBALANCE:
                self._on_join_deadline(wall_ms, now_ms)
            elif self.members:
                self._on_sync_deadline(wall_ms, now_ms)
        deadlines = [m.deadline_ms for m in self.members.values() if m.is_new or not m.is_waiting]
        self.next_deadline_ms = min([self.phase_deadline_ms, *self.pending.values(), *deadlines], default=NEVER_MS)

    # -- reading -------------------------------------------------------------------------------------------------------

    def subscribed_topics(self) -> frozenset[str] | None:
        """What its consumers subscribe to; None when that can't be known (other protocols, unreadable metadata)."""
        if self.protocol_type != CONSUMER_PROTOCOL_TYPE or self.protocol is None:
            return frozenset() if self.state is GroupState.EMPTY else None
        topics: set[str] = set()
        for member in self.members.values():
            found = topics_of(member.metadata(self.protocol))
            if found is None:
                return None
            topics |= found
        return frozenset(topics)

    def check(self) -> None:
        """What holds after every step."""
        assert self.state is not GroupState.EMPTY or not self.members
        assert self.members or self.state in (GroupState.EMPTY, GroupState.PREPARING_REBALANCE)
        assert self.generation >= 0
        if self.state in (GroupState.STABLE, GroupState.COMPLETING_REBALANCE):
            assert self.leader in self.members, "a generation has a leader"
            assert self.protocol in {name for m in self.members.values() for name, _ in m.protocols}
        for member in self.members.values():
            assert member.joining is None or self.state is GroupState.PREPARING_REBALANCE
            assert member.syncing is None or self.state is GroupState.COMPLETING_REBALANCE
        for instance_id, member_id in self.statics.items():
            assert self.members[member_id].group_instance_id == instance_id
        assert not self.pending.keys() & self.members.keys()
