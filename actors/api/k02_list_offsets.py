"""2 ListOffsets, v1-11.

Timestamps: -1 latest (read_committed: last stable), -2 earliest, -3 the record with the largest timestamp,
-4 earliest local (the same as earliest here), -5 and -6 tiered storage (there is none: -1).
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.lookup import find_replica
from model.errors import ErrorCode, KafkaError
from protocol.k02_list_offsets import (
    ListOffsetsPartition,
    ListOffsetsPartitionResponse,
    ListOffsetsRequest,
    ListOffsetsResponse,
    ListOffsetsTopicResponse,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

LATEST, EARLIEST, MAX_TIMESTAMP, EARLIEST_LOCAL, LATEST_TIERED, EARLIEST_PENDING = -1, -2, -3, -4, -5, -6
READ_COMMITTED = 1
EPOCHS_FROM = 4


def handle(context: RequestContext, request: ListOffsetsRequest) -> ListOffsetsResponse:
    """Look every partition up in its leader's log."""
    return ListOffsetsResponse(
        topics=[
            ListOffsetsTopicResponse(
                name=topic.name,
                partitions=[_look_up(context, request.isolation_level, topic.name, p) for p in topic.partitions],
            )
            for topic in request.topics
        ]
    )


def _look_up(
    context: RequestContext, isolation_level: int, name: str, wanted: ListOffsetsPartition
) -> ListOffsetsPartitionResponse:
    answer = _find(context, isolation_level, name, wanted)
    if context.api_version < EPOCHS_FROM:
        answer.leader_epoch = -1
    return answer


def _find(
    context: RequestContext, isolation_level: int, name: str, wanted: ListOffsetsPartition
) -> ListOffsetsPartitionResponse:
    answer = ListOffsetsPartitionResponse(partition_index=wanted.partition_index)
    error, replica = find_replica(
        context.broker, name, b"", wanted.partition_index, by_id=False, epoch=wanted.current_leader_epoch
    )
    if replica is None:
        answer.error_code = error
        return answer
    log = replica.log
    up_to = replica.last_stable_offset if isolation_level == READ_COMMITTED else replica.high_watermark
    answer.leader_epoch = replica.info.leader_epoch
    if wanted.timestamp == LATEST:
        assert replica.leader is not None
        if replica.high_watermark < replica.leader.machine.epoch_start_offset:
            # a new leader's high watermark may still be behind what was committed before it (KIP-207)
            answer.error_code = ErrorCode.OFFSET_NOT_AVAILABLE
            if context.api_version < 5:
                answer.error_code = ErrorCode.LEADER_NOT_AVAILABLE
            return answer
        answer.offset = up_to
        return answer
    if wanted.timestamp in (EARLIEST, EARLIEST_LOCAL):
        answer.offset = log.log_start_offset
        epoch = log.leader_epochs.epoch_for_offset(log.log_start_offset)
        answer.leader_epoch = epoch if epoch >= 0 else -1
        return answer
    if wanted.timestamp in (LATEST_TIERED, EARLIEST_PENDING):
        answer.leader_epoch = -1
        return answer
    if wanted.timestamp < 0 and wanted.timestamp != MAX_TIMESTAMP:
        answer.error_code = ErrorCode.UNSUPPORTED_VERSION
        return answer
    try:
        found = (
            log.max_timestamp_offset()
            if wanted.timestamp == MAX_TIMESTAMP
            else log.offset_for_timestamp(wanted.timestamp, up_to)
        )
    except KafkaError as failure:
        answer.error_code = failure.code
        return answer
    if found is None:
        answer.leader_epoch = -1
        return answer
    answer.offset, answer.timestamp, answer.leader_epoch = found
    return answer
