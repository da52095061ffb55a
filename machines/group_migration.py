"""From the classic protocol to KIP-848 and back while members are there (`group.consumer.migration.policy`).

Up: the first member of the new protocol comes; the classic ones stay in the group as such (`consumer_classic.py`).
Down: the last member of the new protocol has left, and those that are left are all classic.
Both ways the old records end and the new ones begin in one batch.
"""

from __future__ import annotations

from machines.classic_group import CONSUMER_PROTOCOL_TYPE, VALUE_VERSION, ClassicGroup
from machines.classic_member import ClassicMember, elect_protocol, subscription_of
from machines.classic_rebalance import dismiss, prepare_rebalance, start_sessions
from machines.consumer_classic import assignment_bytes
from machines.consumer_group import ConsumerGroup
from machines.consumer_member import MemberState, Progress, Subscription
from machines.consumer_records import (
    assignment_epoch_record,
    epoch_record,
    member_record,
    progress_record,
    target_record,
)
from machines.group_events import GroupRecord, Recall
from machines.topic_view import Partitions, TopicView, hash_of
from model.error_codes import ErrorCode
from protocol.codec import MalformedMessage
from protocol.consumer_protocol import ConsumerProtocolAssignment
from protocol.internal_topics import GroupMetadataKey, GroupMetadataValue
from protocol.version_prefix import decode_with_version


def can_go_up(classic: ClassicGroup) -> bool:
    """Whether a member of the new protocol may turn the group into one of the new kind, and finds room in it."""
    config = classic.config
    return (
        config.may_upgrade
        and classic.protocol_type == CONSUMER_PROTOCOL_TYPE
        and len(classic.members) < config.consumer_max_size
        and all(subscription_of(member.protocols[0][1]) is not None for member in classic.members.values())
    )


def go_up(classic: ClassicGroup, group: ConsumerGroup, topics: TopicView, wall_ms: int, now_ms: int) -> None:
    """Who waits in a rebalance is told to begin anew; the generation becomes the epoch."""
    for member in classic.members.values():
        dismiss(member=member, group=classic, error=ErrorCode.REBALANCE_IN_PROGRESS)
    classic.effects.append(Recall())
    taken: set[tuple[bytes, int]] = set()
    records: list[GroupRecord] = []
    names: set[str] = set()
    generation = classic.generation
    for member in classic.members.values():
        subscription = subscription_of(member.protocols[0][1])
        assert subscription is not None
        assigned = frozenset(_assigned(member, topics) - taken)
        taken |= assigned
        names.update(subscription.topics)
        said = Subscription(
            instance_id=member.group_instance_id,
            rack_id=subscription.rack_id,
            client_id=member.client_id,
            client_host=member.client_host,
            topics=tuple(sorted(subscription.topics)),
            rebalance_timeout_ms=member.rebalance_timeout_ms,
            classic=member.protocols,
            session_timeout_ms=member.session_timeout_ms,
        )
        progress = Progress(generation, generation, MemberState.STABLE, assigned)
        records += [
            member_record(group.group_id, member.member_id, said),
            target_record(group.group_id, member.member_id, assigned),
            progress_record(group.group_id, member.member_id, progress),
        ]
    group.write(
        [
            *classic_end_records(classic),
            epoch_record(group.group_id, generation, hash_of(names, topics)),
            *records,
            assignment_epoch_record(group.group_id, generation, wall_ms),
        ]
    )
    group.start_sessions(now_ms)


def _assigned(member: ClassicMember, topics: TopicView) -> Partitions:
    if not member.assignment:
        return frozenset()  # it has not synced yet
    try:
        rows = decode_with_version(ConsumerProtocolAssignment, member.assignment).assigned_partitions
    except MalformedMessage:
        return frozenset()
    shapes = {row.topic: topics.shape(row.topic) for row in rows}
    return frozenset(
        (shape.topic_id, number)
        for row in rows
        if (shape := shapes[row.topic]) is not None
        for number in row.partitions
    )


def classic_end_records(classic: ClassicGroup) -> list[GroupRecord]:
    """The tombstone of a classic group, if it was ever written."""
    written = classic.generation > 0
    return [GroupRecord(GroupMetadataKey(group=classic.group_id), None)] if written else []


def go_down(group: ConsumerGroup, topics: TopicView, wall_ms: int, now_ms: int) -> ClassicGroup:
    """The epoch becomes the generation, the assignment stays, and a rebalance begins to let the members share anew."""
    members = [
        ClassicMember(
            member.member_id,
            member.subscription.instance_id,
            member.subscription.client_id,
            member.subscription.client_host,
            member.subscription.rebalance_timeout_ms,
            member.subscription.session_timeout_ms,
            member.subscription.classic or (),
            assignment_bytes(member.progress.assigned, topics),
        )
        for member in group.members.values()
    ]
    protocol = elect_protocol(members)
    value = GroupMetadataValue(
        protocol_type=CONSUMER_PROTOCOL_TYPE,
        generation=group.epoch,
        protocol=protocol,
        leader=members[0].member_id,
        current_state_timestamp=wall_ms,
        members=[member.to_record(protocol) for member in members],
    )
    classic = ClassicGroup(group.group_id, group.config)
    classic.effects = group.effects
    group.write([*group.end_records(), GroupRecord(GroupMetadataKey(group=group.group_id), value, VALUE_VERSION)])
    classic.apply(value)
    for member in members:
        classic.members[member.member_id].protocols = member.protocols
    start_sessions(classic, now_ms)
    prepare_rebalance(classic, wall_ms, now_ms)
    return classic
