"""21 DeleteRecords, v0-2.

Moves the log start of a partition forward, at most to its high watermark (-1 means just there). Followers hear of it
with the next push.
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.lookup import find_replica
from machines.leader_events import LogStartMoved
from model.errors import ErrorCode, KafkaError, StorageFailure
from protocol.k21_delete_records import (
    DeleteRecordsPartition,
    DeleteRecordsPartitionResult,
    DeleteRecordsRequest,
    DeleteRecordsResponse,
    DeleteRecordsTopicResult,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

TO_HIGH_WATERMARK = -1


def handle(context: RequestContext, request: DeleteRecordsRequest) -> DeleteRecordsResponse:
    """Move every log start."""
    return DeleteRecordsResponse(
        topics=[
            DeleteRecordsTopicResult(
                name=topic.name, partitions=[_delete(context, topic.name, p) for p in topic.partitions]
            )
            for topic in request.topics
        ]
    )


def _delete(context: RequestContext, name: str, wanted: DeleteRecordsPartition) -> DeleteRecordsPartitionResult:
    answer = DeleteRecordsPartitionResult(partition_index=wanted.partition_index, low_watermark=-1)
    broker = context.broker
    error, replica = find_replica(broker, name, b"", wanted.partition_index, by_id=False)
    if replica is None:
        answer.error_code = error
        return answer
    if not replica.log.config.is_deleted:
        answer.error_code = ErrorCode.POLICY_VIOLATION
        return answer
    offset = replica.high_watermark if wanted.offset == TO_HIGH_WATERMARK else wanted.offset
    if offset < 0 or offset > replica.high_watermark:
        answer.error_code = ErrorCode.OFFSET_OUT_OF_RANGE
        return answer
    try:
        replica.log.advance_log_start(offset)
    except StorageFailure as failure:
        broker.replicas.replica_failed(replica, failure)
        answer.error_code = ErrorCode.KAFKA_STORAGE_ERROR
        return answer
    except KafkaError as failure:
        answer.error_code = failure.code
        return answer
    broker.system.tell(replica.address, LogStartMoved(replica.log.log_start_offset))
    answer.low_watermark = replica.log.log_start_offset
    return answer
