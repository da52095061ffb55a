"""The members of one classic group: what is known of them, what of it is durable, and what they are answered.

    Empty -> PreparingRebalance -> CompletingRebalance -> Stable
      ^            ^                        |                |
      |            +------ a member joins, leaves, is late --+
      +-- the last member went

Members join until all of them wait or the rebalance timeout is over; then one generation begins, its leader brings the
assignment with its SyncGroup, and that is when the group is written down. What the record says changes in `apply` only;
the rest (who waits, deadlines, a rebalance under way) is lost with the coordinator, and the members' requests bring it
back. How a member gets in is in `classic_join.py`, what it asks for later in `classic_calls.py`, how one generation
follows the other in `classic_rebalance.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from machines.classic_member import ClassicMember, topics_of
from machines.group_events import NEVER_MS, Append, Effect, GroupConfig, GroupRecord, GroupRequest, Reply
from model.error_codes import ErrorCode
from protocol.codec import Struct
from protocol.internal_topics import GroupMetadataKey, GroupMetadataValue
from protocol.k11_join_group import JoinGroupResponse, JoinGroupResponseMember
from protocol.k14_sync_group import SyncGroupResponse

CONSUMER_PROTOCOL_TYPE = "consumer"
VALUE_VERSION = 3
NULL_PROTOCOL_FROM = 7  # JoinGroup: "no protocol" is null, and "" before


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

    @property
    def is_blank(self) -> bool:
        """Nothing is known of it."""
        return not (self.generation or self.members or self.pending or self.protocol_type)

    # -- who may do what -----------------------------------------------------------------------------------------------

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

    # -- time ----------------------------------------------------------------------------------------------------------

    def heard(self, member: ClassicMember, now_ms: int) -> None:
        """Start a member's session anew, and see to it that its end is noticed."""
        member.heard(now_ms)
        self.next_deadline_ms = min(self.next_deadline_ms, member.deadline_ms)

    def watch(self, deadline_ms: int) -> None:
        self.next_deadline_ms = min(self.next_deadline_ms, deadline_ms)

    def set_phase_deadline(self, deadline_ms: int) -> None:
        self.phase_deadline_ms = deadline_ms
        self.watch(deadline_ms)

    # -- answers -------------------------------------------------------------------------------------------------------

    def reply(self, event: GroupRequest, response: Struct, *, is_urgent: bool = False) -> None:
        self.effects.append(Reply(event.token, response, is_urgent))

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

    def answer_sync(self, event: GroupRequest, error: ErrorCode, member: ClassicMember | None = None) -> None:
        """The member's assignment, or an error."""
        response = SyncGroupResponse(error_code=error, assignment=member.assignment if member is not None else b"")
        if member is not None:
            response.protocol_type, response.protocol_name = self.protocol_type, self.protocol
        self.reply(event, response)

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
