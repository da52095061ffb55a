"""The requests of simulated members that speak of offsets."""

from __future__ import annotations

from model.ids import TopicPartition
from protocol.k08_offset_commit import OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic
from protocol.k09_offset_fetch import OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics
from protocol.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitRequestPartition,
    TxnOffsetCommitRequestTopic,
)


def commit_request(
    group: str, member_id: str, generation: int, offsets: dict[TopicPartition, int]
) -> OffsetCommitRequest:
    """OffsetCommit of a member."""
    return OffsetCommitRequest(
        group_id=group,
        generation_id_or_member_epoch=generation,
        member_id=member_id,
        topics=[
            OffsetCommitRequestTopic(
                name=partition.topic,
                partitions=[
                    OffsetCommitRequestPartition(
                        partition_index=partition.partition, committed_offset=offset, committed_metadata=""
                    )
                ],
            )
            for partition, offset in offsets.items()
        ],
    )


def fetch_request(
    group: str, partitions: list[TopicPartition], as_member: tuple[str, int] | None
) -> OffsetFetchRequest:
    """OffsetFetch of partitions of one topic, stable ones only; `as_member` is a KIP-848 member's id and epoch."""
    topic = OffsetFetchRequestTopics(
        name=partitions[0].topic, partition_indexes=[each.partition for each in partitions]
    )
    asked = OffsetFetchRequestGroup(group_id=group, topics=[topic])
    if as_member is not None:
        asked.member_id, asked.member_epoch = as_member
    return OffsetFetchRequest(groups=[asked], require_stable=True)


def commit_in_transaction_request(
    member: tuple[str, str, int], producer: tuple[str, int, int], partition: TopicPartition, offset: int, tag: str
) -> TxnOffsetCommitRequest:
    """TxnOffsetCommit. `member` is group, member id and generation, `producer` transactional id, id and epoch; the
    offset's metadata is the transaction's tag."""
    row = TxnOffsetCommitRequestPartition(
        partition_index=partition.partition, committed_offset=offset, committed_metadata=tag
    )
    return TxnOffsetCommitRequest(
        transactional_id=producer[0],
        group_id=member[0],
        producer_id=producer[1],
        producer_epoch=producer[2],
        generation_id_or_member_epoch=member[2],
        member_id=member[1],
        topics=[TxnOffsetCommitRequestTopic(name=partition.topic, partitions=[row])],
    )
