"""A group's committed offsets: written and read at its coordinator."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from clients.cluster import GROUP_KEY, ClusterClient
from clients.errors import CommitFailed
from model.errors import ErrorCode, KafkaError, kafka_error
from model.ids import TopicPartition
from protocol.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from protocol.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchRequestTopic,
    OffsetFetchRequestTopics,
)

_BATCHED_FROM: Final = 8
_EXPELLED: Final = frozenset(
    {
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.ILLEGAL_GENERATION,
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.STALE_MEMBER_EPOCH,
        ErrorCode.FENCED_MEMBER_EPOCH,
    }
)


class OffsetAndMetadata(NamedTuple):
    """The next offset to read, and a word of the application's own with it."""

    offset: int
    metadata: str = ""
    leader_epoch: int = -1


class Membership(NamedTuple):
    """Who commits; the defaults are for consumers that assign themselves, and for tools."""

    generation: int = -1
    member_id: str = ""
    instance_id: str | None = None


Offsets = Mapping[TopicPartition, OffsetAndMetadata]


async def commit_once(cluster: ClusterClient, group: str, offsets: Offsets, member: Membership) -> None:
    """One attempt. Raises CommitFailed when the member was expelled, else the KafkaError."""
    topics: dict[str, OffsetCommitRequestTopic] = {}
    for (topic, partition), wanted in offsets.items():
        row = topics.setdefault(topic, OffsetCommitRequestTopic(name=topic, partitions=[]))
        row.partitions.append(
            OffsetCommitRequestPartition(
                partition_index=partition,
                committed_offset=wanted.offset,
                committed_leader_epoch=wanted.leader_epoch,
                committed_metadata=wanted.metadata,
            )
        )
    request = OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=member.generation,
        member_id=member.member_id,
        group_instance_id=member.instance_id,
        topics=list(topics.values()),
    )
    answer = await cluster.ask_coordinator(GROUP_KEY, group, request)
    for topic_row in answer.topics:
        for row_ in topic_row.partitions:
            if row_.error_code:
                error = kafka_error(row_.error_code, f"{topic_row.name}-{row_.partition_index}")
                cluster.forget_coordinator(GROUP_KEY, group, error)
                if error.code in _EXPELLED:
                    raise CommitFailed(f"{error}: the group has rebalanced without this member") from error
                raise error


async def fetch_committed(
    cluster: ClusterClient,
    group: str,
    places: Iterable[TopicPartition] | None,
    *,
    is_stable: bool = True,
    member: Membership | None = None,
) -> dict[TopicPartition, OffsetAndMetadata]:
    """One attempt; None asks for all that the group ever committed. Partitions without a commit are left out.

    `is_stable` has pending transactions awaited (UNSTABLE_OFFSET_COMMIT, retriable).
    """
    topics: dict[str, list[int]] | None = None
    if places is not None:
        topics = {}
        for topic, partition in places:
            topics.setdefault(topic, []).append(partition)
    node = await cluster.coordinator(GROUP_KEY, group)
    try:
        connection = await cluster.connection(node)
        version = connection.version_of(OffsetFetchRequest)
        answer = await connection.send(_request(group, topics, version, is_stable, member), version)
    except KafkaError as error:
        cluster.forget_coordinator(GROUP_KEY, group, error)
        raise
    row = answer.groups[0] if version >= _BATCHED_FROM else answer
    if row.error_code:
        refusal = kafka_error(row.error_code, group)
        cluster.forget_coordinator(GROUP_KEY, group, refusal)
        raise refusal
    found: dict[TopicPartition, OffsetAndMetadata] = {}
    for topic_row in row.topics:
        for each in topic_row.partitions:
            if each.error_code:
                raise kafka_error(each.error_code, f"{topic_row.name}-{each.partition_index}")
            if each.committed_offset >= 0:
                found[TopicPartition(topic_row.name, each.partition_index)] = OffsetAndMetadata(
                    each.committed_offset, each.metadata or "", each.committed_leader_epoch
                )
    return found


def _request(
    group: str, topics: dict[str, list[int]] | None, version: int, is_stable: bool, member: Membership | None
) -> OffsetFetchRequest:
    if version < _BATCHED_FROM:
        rows: Any = None
        if topics is not None:
            rows = [OffsetFetchRequestTopic(name=name, partition_indexes=indexes) for name, indexes in topics.items()]
        return OffsetFetchRequest(group_id=group, topics=rows, require_stable=is_stable and version >= 7)
    rows = None
    if topics is not None:
        rows = [OffsetFetchRequestTopics(name=name, partition_indexes=indexes) for name, indexes in topics.items()]
    one = OffsetFetchRequestGroup(group_id=group, topics=rows)
    if member is not None and member.member_id:
        one.member_id, one.member_epoch = member.member_id, member.generation
    return OffsetFetchRequest(groups=[one], require_stable=is_stable)
