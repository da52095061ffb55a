"""79 ShareAcknowledge, v1-2.

Accepts, releases or rejects records of a share group.
"""

from __future__ import annotations

from protocol.codec import Bool, Int8, Int16, Int32, Int64, Message, String, Struct, Uuid, field


class ShareAcknowledgeRequest(Message, key=79, versions="1-2", flexible="0+"):
    group_id: String | None = field("0+", nullable="0+", default=None)
    member_id: String | None = field("0+", nullable="0+")
    share_session_epoch: Int32 = field("0+")
    is_renew_ack: Bool = field("2+")
    topics: list[AcknowledgeTopic] = field("0+")


class AcknowledgeTopic(Struct):
    topic_id: Uuid = field("0+")
    partitions: list[AcknowledgePartition] = field("0+")


class AcknowledgePartition(Struct):
    partition_index: Int32 = field("0+")
    acknowledgement_batches: list[AcknowledgementBatch] = field("0+")


class AcknowledgementBatch(Struct):
    first_offset: Int64 = field("0+")
    last_offset: Int64 = field("0+")
    acknowledge_types: list[Int8] = field("0+")


class ShareAcknowledgeResponse(Message, key=79, versions="1-2", flexible="0+"):
    throttle_time_ms: Int32 = field("0+")
    error_code: Int16 = field("0+")
    error_message: String | None = field("0+", nullable="0+", default=None)
    acquisition_lock_timeout_ms: Int32 = field("2+", ignorable=True)
    responses: list[ShareAcknowledgeTopicResponse] = field("0+")
    node_endpoints: list[NodeEndpoint] = field("0+")


class ShareAcknowledgeTopicResponse(Struct):
    topic_id: Uuid = field("0+")
    partitions: list[PartitionData] = field("0+")


class PartitionData(Struct):
    partition_index: Int32 = field("0+")
    error_code: Int16 = field("0+")
    error_message: String | None = field("0+", nullable="0+", default=None)
    current_leader: LeaderIdAndEpoch = field("0+")


class LeaderIdAndEpoch(Struct):
    leader_id: Int32 = field("0+")
    leader_epoch: Int32 = field("0+")


class NodeEndpoint(Struct):
    node_id: Int32 = field("0+")
    host: String = field("0+")
    port: Int32 = field("0+")
    rack: String | None = field("0+", nullable="0+", default=None)
