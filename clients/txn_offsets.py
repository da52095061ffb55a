"""A group's offsets inside a transaction: what makes read-process-write exactly-once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from clients.cluster import GROUP_KEY
from clients.errors import CommitFailed
from model.errors import ErrorCode, kafka_error
from protocol.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from protocol.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)

if TYPE_CHECKING:
    from clients.committed import OffsetAndMetadata
    from clients.group_metadata import GroupMetadata
    from clients.transactions import TransactionalIdentity
    from model.ids import TopicPartition

_KNOWS_MEMBERS_FROM: Final = 3
_ENROLS_FROM: Final = 5
_EXPELLED: Final = frozenset(
    {
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.ILLEGAL_GENERATION,
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.STALE_MEMBER_EPOCH,
    }
)


async def send_offsets(
    identity: TransactionalIdentity, offsets: Mapping[TopicPartition, OffsetAndMetadata], group: GroupMetadata
) -> None:
    """Raises CommitFailed when the group has moved on; then the transaction must be aborted."""
    if not offsets:
        return
    cluster = identity.cluster
    if not identity.is_newer:

        def make(connection: Any) -> tuple[AddOffsetsToTxnRequest, int]:
            request = AddOffsetsToTxnRequest(
                transactional_id=identity.transactional_id,
                producer_id=identity.stamp[0],
                producer_epoch=identity.stamp[1],
                group_id=group.group,
            )
            return request, connection.version_of(AddOffsetsToTxnRequest)

        await identity.ask(make, "AddOffsetsToTxn")
    topics: dict[str, TxnOffsetCommitRequestTopic] = {}
    for (topic, partition), wanted in offsets.items():
        row = topics.setdefault(topic, TxnOffsetCommitRequestTopic(name=topic, partitions=[]))
        row.partitions.append(
            TxnOffsetCommitRequestPartition(
                partition_index=partition,
                committed_offset=wanted.offset,
                committed_leader_epoch=wanted.leader_epoch,
                committed_metadata=wanted.metadata,
            )
        )

    async def attempt() -> None:
        connection = await cluster.connection(await cluster.coordinator(GROUP_KEY, group.group))
        version = connection.version_of(TxnOffsetCommitRequest)
        if not identity.is_newer:
            version = min(version, _ENROLS_FROM - 1)
        request = TxnOffsetCommitRequest(
            transactional_id=identity.transactional_id,
            group_id=group.group,
            producer_id=identity.stamp[0],
            producer_epoch=identity.stamp[1],
            topics=list(topics.values()),
        )
        if version >= _KNOWS_MEMBERS_FROM:
            request.generation_id_or_member_epoch = group.member.generation
            request.member_id = group.member.member_id
            request.group_instance_id = group.member.instance_id
        answer = await connection.send(request, version)
        for topic_row in answer.topics:
            for row_ in topic_row.partitions:
                if row_.error_code:
                    error = kafka_error(row_.error_code, f"{topic_row.name}-{row_.partition_index}")
                    cluster.forget_coordinator(GROUP_KEY, group.group, error)
                    if error.code in _EXPELLED:
                        raise CommitFailed(f"{error}: the group has rebalanced without this member") from error
                    raise error

    await cluster.retrying(attempt, cluster.config.seconds("max.block.ms"), "TxnOffsetCommit")
