"""The members of one KIP-848 group: who they are, what each is to own (the target) and what each owns.

    group epoch > assignment epoch      Assigning: the target is to be computed anew
    a member is not at its target yet   Reconciling
    else                                Stable

The group's epoch grows with every change of members, subscriptions or topics. All of it is durable and changes in
`apply` only, a record at a time; deadlines alone are not. A partition has one owner at most at any time: whoever has it
in `assigned` or `revoking`. What members ask is answered in `consumer_heartbeat.py` and, for those that speak the
classic protocol, in `consumer_classic.py`; what follows from it is in `consumer_changes.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from machines.consumer_member import LEFT, ConsumerMember, MemberState, Progress, Subscription
from machines.consumer_records import (
    Key,
    partitions_of,
    regex_record,
    tombstones,
)
from machines.group_events import NEVER_MS, Append, Effect, GroupConfig, GroupRecord
from machines.topic_view import NO_PARTITIONS, Partitions
from model.error_codes import ErrorCode
from protocol.codec import Message
from protocol.consumer_group_records import (
    CONSUMER_GROUP_KEY_TYPES,
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
)

OWN_KEYS = frozenset(CONSUMER_GROUP_KEY_TYPES.values())


@dataclass(slots=True)
class ConsumerGroup:
    """`exists` is False until its first record and after its last one. `regexes` has what each pattern matched."""

    group_id: str
    config: GroupConfig
    exists: bool = False
    epoch: int = 0
    metadata_hash: int = 0
    assignment_epoch: int = 0
    members: dict[str, ConsumerMember] = field(default_factory=dict)
    statics: dict[str, str] = field(default_factory=dict)
    targets: dict[str, Partitions] = field(default_factory=dict)
    regexes: dict[str, frozenset[str]] = field(default_factory=dict)
    owners: dict[tuple[bytes, int], str] = field(default_factory=dict)
    next_deadline_ms: int = NEVER_MS
    effects: list[Effect] = field(default_factory=list)

    # -- durable state -------------------------------------------------------------------------------------------------

    def apply(self, key: Message, value: Message | None) -> None:
        """Take in one record of the group; keys of other kinds are passed over."""
        if type(key) not in OWN_KEYS:
            return
        self.exists = self.exists or value is not None
        match key:
            case ConsumerGroupMetadataKey():
                assert value is None or isinstance(value, ConsumerGroupMetadataValue)
                self.exists = value is not None
                self.epoch = value.epoch if value is not None else 0
                self.metadata_hash = value.metadata_hash if value is not None else 0
                if value is None:
                    self.next_deadline_ms = NEVER_MS
            case ConsumerGroupMemberMetadataKey():
                assert value is None or isinstance(value, ConsumerGroupMemberMetadataValue)
                self._apply_subscription(key.member_id, value)
            case ConsumerGroupTargetAssignmentMetadataKey():
                assert value is None or isinstance(value, ConsumerGroupTargetAssignmentMetadataValue)
                self.assignment_epoch = value.assignment_epoch if value is not None else 0
            case ConsumerGroupTargetAssignmentMemberKey():
                assert value is None or isinstance(value, ConsumerGroupTargetAssignmentMemberValue)
                self.targets.pop(key.member_id, None)
                if value is not None:
                    self.targets[key.member_id] = partitions_of(value.topic_partitions)
            case ConsumerGroupCurrentMemberAssignmentKey():
                assert value is None or isinstance(value, ConsumerGroupCurrentMemberAssignmentValue)
                self._apply_progress(key.member_id, Progress() if value is None else Progress.of_record(value))
            case ConsumerGroupRegularExpressionKey():
                assert value is None or isinstance(value, ConsumerGroupRegularExpressionValue)
                self.regexes.pop(key.regular_expression, None)
                if value is not None:
                    self.regexes[key.regular_expression] = frozenset(value.topics)

    def _apply_subscription(self, member_id: str, value: ConsumerGroupMemberMetadataValue | None) -> None:
        member = self.members.get(member_id)
        if member is not None and self.statics.get(member.subscription.instance_id or "") == member_id:
            del self.statics[member.subscription.instance_id or ""]
        if value is None:
            self._apply_progress(member_id, Progress())
            self.members.pop(member_id, None)
            return
        if member is None:
            member = self.members[member_id] = ConsumerMember(member_id)
        member.subscription = Subscription.of_record(value)
        if member.subscription.instance_id is not None:
            self.statics[member.subscription.instance_id] = member_id

    def _apply_progress(self, member_id: str, progress: Progress) -> None:
        member = self.members.get(member_id)
        if member is None:
            return  # the tombstone of one that is gone already
        for partition in member.progress.assigned | member.progress.revoking:
            if self.owners.get(partition) == member_id:
                del self.owners[partition]
        member.progress = progress
        for partition in progress.assigned | progress.revoking:
            self.owners[partition] = member_id

    def write(self, records: Iterable[GroupRecord]) -> None:
        """Apply the records and have them appended, all of a step in one batch: a replay finds all of them or none."""
        rows = tuple(records)
        for record in rows:
            self.apply(record.key, record.value)
        if rows:
            last = self.effects[-1] if self.effects else None
            if isinstance(last, Append):
                self.effects[-1] = Append(last.records + rows)
            else:
                self.effects.append(Append(rows))

    def start_sessions(self, now_ms: int) -> None:
        """A new coordinator has replayed the group."""
        for member in self.members.values():
            self.heard(member, now_ms)
            if member.progress.state is MemberState.UNREVOKED:
                member.revoke_deadline_ms = now_ms + member.subscription.rebalance_timeout_ms
                self.watch(member.revoke_deadline_ms)

    # -- topics --------------------------------------------------------------------------------------------------------

    def topics_of(self, member: ConsumerMember) -> frozenset[str]:
        """By name and by pattern."""
        subscription = member.subscription
        return frozenset(subscription.topics) | self.regexes.get(subscription.regex or "", frozenset())

    def subscribed_topics(self) -> frozenset[str]:
        return frozenset().union(*(self.topics_of(member) for member in self.members.values()))

    def must_rejoin(self, member: ConsumerMember) -> bool:
        """For a classic member: there is a step for it to take."""
        progress = member.progress
        if progress.epoch < self.epoch or progress.state is MemberState.UNREVOKED:
            return True
        if progress.state is MemberState.STABLE:
            return False
        missing = self.targets.get(member.member_id, NO_PARTITIONS) - progress.assigned
        return any(partition not in self.owners for partition in missing)

    def end_records(self) -> list[GroupRecord]:
        """Everything of the group's as tombstones; the last one ends it."""
        if not self.exists:
            return []
        members = [record for member_id in self.members for record in tombstones(self.group_id, member_id)]
        regexes = [regex_record(self.group_id, name, None, 0) for name in self.regexes]
        keys: list[Key] = [
            ConsumerGroupTargetAssignmentMetadataKey(group_id=self.group_id),
            ConsumerGroupMetadataKey(group_id=self.group_id),
        ]
        return [*members, *regexes, *(GroupRecord(key, None) for key in keys)]

    # -- who may do what -----------------------------------------------------------------------------------------------

    def member_error(self, member_id: str, instance_id: str | None) -> ErrorCode:
        """NONE when this id is a member's, and nobody took its place under the same instance id."""
        if instance_id is not None:
            owner = self.statics.get(instance_id)
            if owner is None:
                return ErrorCode.UNKNOWN_MEMBER_ID
            if owner != member_id:
                return ErrorCode.FENCED_INSTANCE_ID
        return ErrorCode.NONE if member_id in self.members else ErrorCode.UNKNOWN_MEMBER_ID

    def epoch_error(self, member: ConsumerMember, epoch: int) -> ErrorCode:
        """Whether the member is at this epoch: a stale one may be fenced for good or just late."""
        if member.progress.epoch == epoch:
            return ErrorCode.NONE
        return ErrorCode.ILLEGAL_GENERATION if member.is_classic else ErrorCode.STALE_MEMBER_EPOCH

    # -- time ----------------------------------------------------------------------------------------------------------

    def heard(self, member: ConsumerMember, now_ms: int) -> None:
        """Start its session anew."""
        timeout_ms = member.subscription.session_timeout_ms
        if not member.is_classic:
            timeout_ms = self.config.consumer_session_timeout_ms
        member.session_deadline_ms = now_ms + timeout_ms
        self.watch(member.session_deadline_ms)

    def watch(self, deadline_ms: int) -> None:
        self.next_deadline_ms = min(self.next_deadline_ms, deadline_ms)

    # -- reading -------------------------------------------------------------------------------------------------------

    @property
    def assignor(self) -> str:
        """What most members ask for; the broker's first one when nobody does."""
        votes = Counter(m.subscription.assignor for m in self.members.values() if m.subscription.assignor is not None)
        known = [name for name, _ in votes.most_common() if name in self.config.consumer_assignors]
        return known[0] if known else self.config.consumer_assignors[0]

    @property
    def state(self) -> str:
        if not self.members:
            return "Empty"
        if self.epoch > self.assignment_epoch:
            return "Assigning"
        is_settled = all(member.is_settled(self.assignment_epoch) for member in self.members.values())
        return "Stable" if is_settled else "Reconciling"

    @property
    def may_go_down(self) -> bool:
        """Whether nobody but classic members is left, and the group may become a classic one again."""
        return (
            self.config.may_downgrade
            and 0 < len(self.members) <= self.config.max_size
            and all(member.is_classic for member in self.members.values())
        )

    def check(self) -> None:
        """What holds after every step."""
        assert self.exists or not (self.members or self.targets or self.owners)
        assert self.assignment_epoch <= self.epoch
        owned: list[tuple[bytes, int]] = []
        for member in self.members.values():
            progress = member.progress
            assert LEFT - 1 <= progress.epoch <= self.epoch
            assert not progress.assigned & progress.revoking
            assert (progress.state is MemberState.UNREVOKED) == bool(progress.revoking)
            owned += progress.assigned | progress.revoking
        assert len(owned) == len(set(owned)) == len(self.owners), "a partition has one owner"
        targets = [partition for member_id in self.members for partition in self.targets.get(member_id, ())]
        assert len(targets) == len(set(targets)), "a partition is meant for one member"
        assert self.targets.keys() <= self.members.keys()
        for instance_id, member_id in self.statics.items():
            assert self.members[member_id].subscription.instance_id == instance_id
