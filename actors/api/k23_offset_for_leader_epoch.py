"""23 OffsetForLeaderEpoch, v2-4.

Where an epoch ends in the leader's log: how a client finds out that what it read was truncated (KIP-320).
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.lookup import find_replica
from protocol.k23_offset_for_leader_epoch import (
    EpochEndOffset,
    OffsetForLeaderEpochRequest,
    OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


def handle(context: RequestContext, request: OffsetForLeaderEpochRequest) -> OffsetForLeaderEpochResponse:
    """Ask every leader's epoch list."""
    return OffsetForLeaderEpochResponse(
        topics=[
            OffsetForLeaderTopicResult(
                topic=topic.topic, partitions=[_look_up(context, topic.topic, p) for p in topic.partitions]
            )
            for topic in request.topics
        ]
    )


def _look_up(context: RequestContext, name: str, wanted: OffsetForLeaderPartition) -> EpochEndOffset:
    answer = EpochEndOffset(partition=wanted.partition)
    error, replica = find_replica(
        context.broker, name, b"", wanted.partition, by_id=False, epoch=wanted.current_leader_epoch
    )
    answer.error_code = error
    if replica is not None:
        answer.leader_epoch, answer.end_offset = replica.log.end_offset_for_epoch(wanted.leader_epoch)
    return answer
