"""Commits: who may, what is written, what each partition is answered. The offsets themselves are in `offsets.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from machines.group_events import AppendInTransaction, FetchOffsets, GroupRecord, GroupRequest
from model.error_codes import ErrorCode
from model.ids import TopicPartition
from protocol.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from protocol.k09_offset_fetch import OffsetFetchResponseGroup
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

if TYPE_CHECKING:
    from machines.group import Group

GROUP_ID_NOT_FOUND_FROM = 9  # OffsetCommit
MEMBER_EPOCH_FROM = 9  # OffsetCommit: the version from which on members of KIP-848 groups may use it
ABORTABLE_FROM, IMPLICIT_PARTITIONS_FROM = 4, 5  # TxnOffsetCommit and KIP-890


def commit_error(
    group: Group,
    member_id: str,
    instance_id: str | None,
    epoch: int,
    now_ms: int,
    version: int = MEMBER_EPOCH_FROM,
) -> ErrorCode:
    """Whether a member may commit; from outside of the group (no member id, no epoch) only while it is empty."""
    consumer = group.consumer
    if not consumer.exists:
        return group.classic.commit_error(member_id, instance_id, epoch, now_ms)
    if epoch < 0 and not consumer.members:
        return ErrorCode.NONE
    error = consumer.member_error(member_id, instance_id)
    if error is not ErrorCode.NONE:
        return error
    member = consumer.members[member_id]
    if version < MEMBER_EPOCH_FROM and not member.is_classic:
        return ErrorCode.UNSUPPORTED_VERSION
    return consumer.epoch_error(member, epoch)


def commit(group: Group, event: GroupRequest, body: OffsetCommitRequest, now_ms: int) -> None:
    """Write what a member, an admin or a consumer without a group asks for."""
    epoch = body.generation_id_or_member_epoch
    if group.is_blank and epoch >= 0:
        is_new = event.version >= GROUP_ID_NOT_FOUND_FROM
        group.refuse(event, ErrorCode.GROUP_ID_NOT_FOUND if is_new else ErrorCode.ILLEGAL_GENERATION)
        return
    error = commit_error(group, body.member_id, body.group_instance_id, epoch, now_ms, event.version)
    if error is not ErrorCode.NONE:
        group.refuse(event, error)
        return
    records, outcomes = group.offsets.commit_records(
        body.topics,
        metadata_max_bytes=group.config.offset_metadata_max_bytes,
        wall_ms=event.wall_ms,
        retention_ms=body.retention_time_ms,
    )
    group.write(records)
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
    group.reply(event, OffsetCommitResponse(topics=topics))


def commit_in_transaction(group: Group, event: GroupRequest, body: TxnOffsetCommitRequest, now_ms: int) -> None:
    """Offsets that count when the producer's transaction commits; a producer outside of the group may send them."""
    epoch = body.generation_id_or_member_epoch
    is_member = epoch >= 0 or body.member_id or body.group_instance_id is not None
    if group.is_blank and is_member:
        group.refuse(event, ErrorCode.ILLEGAL_GENERATION)
        return
    if is_member:
        error = commit_error(group, body.member_id, body.group_instance_id, epoch, now_ms)
        if error not in (ErrorCode.NONE, ErrorCode.REBALANCE_IN_PROGRESS):
            group.refuse(event, error)
            return
    records, outcomes = group.offsets.commit_records(
        body.topics, metadata_max_bytes=group.config.offset_metadata_max_bytes, wall_ms=event.wall_ms
    )
    if records:
        knows = 2 if event.version >= IMPLICIT_PARTITIONS_FROM else int(event.version >= ABORTABLE_FROM)
        group.effects.append(
            AppendInTransaction(tuple(records), body.producer_id, body.producer_epoch, body.transactional_id, knows)
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
    group.reply(event, TxnOffsetCommitResponse(topics=topics))


def fetch(group: Group, event: GroupRequest, body: FetchOffsets) -> None:
    """What was committed. A member of a KIP-848 group says which epoch it is in, and is told when that is over."""
    consumer = group.consumer
    error = ErrorCode.NONE
    if consumer.exists and (body.member_id is not None or body.member_epoch >= 0):
        error = consumer.member_error(body.member_id or "", None)
        if error is ErrorCode.NONE:
            error = consumer.epoch_error(consumer.members[body.member_id or ""], body.member_epoch)
    if error is ErrorCode.NONE:
        group.reply(event, group.offsets.fetch(body))
    else:
        group.reply(event, OffsetFetchResponseGroup(group_id=group.group_id, topics=[], error_code=error))


def delete_offsets(group: Group, event: GroupRequest, body: OffsetDeleteRequest) -> None:
    """Forget what was committed for topics that nobody in the group reads."""
    if group.is_blank:
        group.refuse(event, ErrorCode.GROUP_ID_NOT_FOUND)
        return
    subscribed = group.subscribed_topics()
    if subscribed is None:
        group.refuse(event, ErrorCode.NON_EMPTY_GROUP)
        return
    known = set(group.offsets.partitions())
    records: list[GroupRecord] = []
    topics = []
    for topic in body.topics:
        error = ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC if topic.name in subscribed else ErrorCode.NONE
        rows = []
        for row in topic.partitions:
            partition = TopicPartition(topic.name, row.partition_index)
            if error is ErrorCode.NONE and partition in known:
                records.append(group.offsets.tombstone(partition))
            rows.append(OffsetDeleteResponsePartition(partition_index=row.partition_index, error_code=error))
        topics.append(OffsetDeleteResponseTopic(name=topic.name, partitions=rows))
    group.write(records)
    group.reply(event, OffsetDeleteResponse(topics=topics))
