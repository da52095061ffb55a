"""0 Produce, v3-13.

Appends record batches to the ends of partitions.

Versions 0-2 are advertised but not served: librdkafka before 2.1 takes their absence for "no compression here".
v3 brings batches of format 2 and transactions, v8 per-record errors, v10 the new leader as a hint,
v12 lets a transactional produce enrol its partitions by itself, v13 names topics by id.
"""

from __future__ import annotations

from protocol.codec import Int16, Int32, Int64, Message, Records, String, Struct, Uuid, field


class ProduceRequest(Message, key=0, versions="3-13", flexible="9+"):
    transactional_id: String | None = field("3+", nullable="3+", default=None)
    acks: Int16 = field("0+")
    timeout_ms: Int32 = field("0+")
    topic_data: list[TopicProduceData] = field("0+")


class TopicProduceData(Struct):
    name: String = field("0-12", ignorable=True)
    topic_id: Uuid = field("13+", ignorable=True)
    partition_data: list[PartitionProduceData] = field("0+")


class PartitionProduceData(Struct):
    index: Int32 = field("0+")
    records: Records | None = field("0+", nullable="0+")


class ProduceResponse(Message, key=0, versions="3-13", flexible="9+"):
    responses: list[TopicProduceResponse] = field("0+")
    throttle_time_ms: Int32 = field("1+", ignorable=True)
    node_endpoints: list[NodeEndpoint] = field("10+", tag=0)


class TopicProduceResponse(Struct):
    name: String = field("0-12", ignorable=True)
    topic_id: Uuid = field("13+", ignorable=True)
    partition_responses: list[PartitionProduceResponse] = field("0+")


class PartitionProduceResponse(Struct):
    index: Int32 = field("0+")
    error_code: Int16 = field("0+")
    base_offset: Int64 = field("0+")
    log_append_time_ms: Int64 = field("2+", default=-1, ignorable=True)
    log_start_offset: Int64 = field("5+", default=-1, ignorable=True)
    record_errors: list[BatchIndexAndErrorMessage] = field("8+", ignorable=True)
    error_message: String | None = field("8+", nullable="8+", default=None, ignorable=True)
    current_leader: LeaderIdAndEpoch = field("10+", tag=0)


class BatchIndexAndErrorMessage(Struct):
    batch_index: Int32 = field("8+")
    batch_index_error_message: String | None = field("8+", nullable="8+", default=None)


class LeaderIdAndEpoch(Struct):
    leader_id: Int32 = field("10+", default=-1)
    leader_epoch: Int32 = field("10+", default=-1)


class NodeEndpoint(Struct):
    node_id: Int32 = field("10+")
    host: String = field("10+")
    port: Int32 = field("10+")
    rack: String | None = field("10+", nullable="10+", default=None)
