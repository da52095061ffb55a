"""The response that refuses a group request as a whole: every kind puts the error in another place."""

from __future__ import annotations

from machines.group_events import DeleteGroup, FetchOffsets
from model.error_codes import ErrorCode
from protocol.codec import Struct
from protocol.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)
from protocol.k09_offset_fetch import OffsetFetchResponseGroup
from protocol.k11_join_group import JoinGroupRequest, JoinGroupResponse
from protocol.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from protocol.k13_leave_group import LeaveGroupRequest, LeaveGroupResponse
from protocol.k14_sync_group import SyncGroupRequest, SyncGroupResponse
from protocol.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)
from protocol.k47_offset_delete import OffsetDeleteRequest, OffsetDeleteResponse
from protocol.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse

NULL_PROTOCOL_FROM = 7  # JoinGroup: "no protocol" is null, and "" before


def refusal(body: object, version: int, error: ErrorCode) -> Struct | ErrorCode:
    """What to answer a `GroupRequest.body` of this version with. Raises AssertionError for any other body."""
    match body:
        case JoinGroupRequest():
            protocol = None if version >= NULL_PROTOCOL_FROM else ""
            return JoinGroupResponse(
                error_code=error, protocol_name=protocol, leader="", member_id=body.member_id, members=[]
            )
        case SyncGroupRequest():
            return SyncGroupResponse(error_code=error, assignment=b"")
        case HeartbeatRequest():
            return HeartbeatResponse(error_code=error)
        case ConsumerGroupHeartbeatRequest():
            return ConsumerGroupHeartbeatResponse(error_code=error)
        case LeaveGroupRequest():
            return LeaveGroupResponse(error_code=error)
        case OffsetCommitRequest():
            return _refuse_commit(body, error)
        case TxnOffsetCommitRequest():
            return _refuse_commit_in_transaction(body, error)
        case OffsetDeleteRequest():
            return OffsetDeleteResponse(error_code=error)
        case FetchOffsets():
            return OffsetFetchResponseGroup(topics=[], error_code=error)
        case DeleteGroup():
            return error
        case _:
            raise AssertionError(f"not for a group: {type(body).__name__}")


def _refuse_commit(body: OffsetCommitRequest, error: ErrorCode) -> OffsetCommitResponse:
    topics = [
        OffsetCommitResponseTopic(
            name=topic.name,
            topic_id=topic.topic_id,
            partitions=[
                OffsetCommitResponsePartition(partition_index=row.partition_index, error_code=error)
                for row in topic.partitions
            ],
        )
        for topic in body.topics
    ]
    return OffsetCommitResponse(topics=topics)


def _refuse_commit_in_transaction(body: TxnOffsetCommitRequest, error: ErrorCode) -> TxnOffsetCommitResponse:
    topics = [
        TxnOffsetCommitResponseTopic(
            name=topic.name,
            topic_id=topic.topic_id,
            partitions=[
                TxnOffsetCommitResponsePartition(partition_index=row.partition_index, error_code=error)
                for row in topic.partitions
            ],
        )
        for topic in body.topics
    ]
    return TxnOffsetCommitResponse(topics=topics)
