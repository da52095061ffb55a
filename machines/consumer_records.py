"""The records that a KIP-848 group writes: one line each for whoever writes them."""

from __future__ import annotations

from collections.abc import Iterable

from machines.assignors import by_topic
from machines.consumer_member import Progress, Subscription
from machines.group_events import GroupRecord
from machines.topic_view import Partitions
from protocol.consumer_group_records import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
    TargetTopicPartitions,
)

Key = (
    ConsumerGroupMetadataKey
    | ConsumerGroupMemberMetadataKey
    | ConsumerGroupTargetAssignmentMetadataKey
    | ConsumerGroupTargetAssignmentMemberKey
    | ConsumerGroupCurrentMemberAssignmentKey
    | ConsumerGroupRegularExpressionKey
)


def epoch_record(group_id: str, epoch: int, metadata_hash: int) -> GroupRecord:
    value = ConsumerGroupMetadataValue(epoch=epoch, metadata_hash=metadata_hash)
    return GroupRecord(ConsumerGroupMetadataKey(group_id=group_id), value)


def assignment_epoch_record(group_id: str, epoch: int, wall_ms: int) -> GroupRecord:
    value = ConsumerGroupTargetAssignmentMetadataValue(assignment_epoch=epoch, assignment_timestamp=wall_ms)
    return GroupRecord(ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id), value)


def target_record(group_id: str, member_id: str, partitions: Partitions) -> GroupRecord:
    rows = [
        TargetTopicPartitions(topic_id=topic_id, partitions=numbers)
        for topic_id, numbers in by_topic(partitions).items()
    ]
    value = ConsumerGroupTargetAssignmentMemberValue(topic_partitions=rows)
    return GroupRecord(ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id), value)


def progress_record(group_id: str, member_id: str, progress: Progress) -> GroupRecord:
    key = ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member_id)
    return GroupRecord(key, progress.to_record())


def member_record(group_id: str, member_id: str, subscription: Subscription) -> GroupRecord:
    key = ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member_id)
    return GroupRecord(key, subscription.to_record())


def regex_record(group_id: str, pattern: str, topics: Iterable[str] | None, wall_ms: int) -> GroupRecord:
    """None: nobody subscribes to it any more."""
    value = None
    if topics is not None:
        value = ConsumerGroupRegularExpressionValue(topics=sorted(topics), version=0, timestamp=wall_ms)
    return GroupRecord(ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=pattern), value)


def tombstones(group_id: str, member_id: str) -> list[GroupRecord]:
    """All that was written of a member, in the order in which a replay can forget it."""
    keys: list[Key] = [
        ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member_id),
        ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id),
        ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member_id),
    ]
    return [GroupRecord(key, None) for key in keys]


def partitions_of(rows: Iterable[TargetTopicPartitions]) -> Partitions:
    return frozenset((bytes(row.topic_id), partition) for row in rows for partition in row.partitions)
