"""61 DescribeProducers, v0.

The producers that a replica remembers, leader or follower (KIP-664), with their open transactions.
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.lookup import find_replica
from protocol.k61_describe_producers import (
    DescribeProducersRequest,
    DescribeProducersResponse,
    PartitionResponse,
    ProducerState,
    TopicResponse,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


def handle(context: RequestContext, request: DescribeProducersRequest) -> DescribeProducersResponse:
    """Look every partition up."""
    return DescribeProducersResponse(
        topics=[
            TopicResponse(
                name=topic.name,
                partitions=[_describe(context, topic.name, index) for index in topic.partition_indexes],
            )
            for topic in request.topics
        ]
    )


def _describe(context: RequestContext, name: str, index: int) -> PartitionResponse:
    error, replica = find_replica(context.broker, name, b"", index, by_id=False, must_lead=False)
    if replica is None:
        return PartitionResponse(partition_index=index, error_code=error, active_producers=[])
    return PartitionResponse(
        partition_index=index,
        active_producers=[
            ProducerState(
                producer_id=entry.producer_id,
                producer_epoch=entry.epoch,
                last_sequence=entry.last_sequence,
                last_timestamp=entry.last_timestamp,
                coordinator_epoch=entry.coordinator_epoch,
                current_txn_start_offset=entry.current_txn_first_offset,
            )
            for entry in replica.log.producers
        ],
    )
