"""55 DescribeQuorum, v0-2.

Shows who votes on the cluster's metadata, and how far each has come.
"""

from __future__ import annotations

from protocol.codec import Int16, Int32, Int64, Message, String, Struct, Uint16, Uuid, field


class DescribeQuorumRequest(Message, key=55, versions="0-2", flexible="0+"):
    topics: list[TopicData] = field("0+")


class TopicData(Struct):
    topic_name: String = field("0+")
    partitions: list[PartitionData] = field("0+")


class PartitionData(Struct):
    partition_index: Int32 = field("0+")


class DescribeQuorumResponse(Message, key=55, versions="0-2", flexible="0+"):
    error_code: Int16 = field("0+")
    error_message: String | None = field("2+", nullable="2+", ignorable=True)
    topics: list[AnsweredTopicData] = field("0+")
    nodes: list[Node] = field("2+")


class AnsweredTopicData(Struct):
    topic_name: String = field("0+")
    partitions: list[AnsweredPartitionData] = field("0+")


class AnsweredPartitionData(Struct):
    partition_index: Int32 = field("0+")
    error_code: Int16 = field("0+")
    error_message: String | None = field("2+", nullable="2+", ignorable=True)
    leader_id: Int32 = field("0+")
    leader_epoch: Int32 = field("0+")
    high_watermark: Int64 = field("0+")
    current_voters: list[ReplicaState] = field("0+")
    observers: list[ReplicaState] = field("0+")


class ReplicaState(Struct):
    replica_id: Int32 = field("0+")
    replica_directory_id: Uuid = field("2+")
    log_end_offset: Int64 = field("0+")
    last_fetch_timestamp: Int64 = field("1+", default=-1, ignorable=True)
    last_caught_up_timestamp: Int64 = field("1+", default=-1, ignorable=True)


class Node(Struct):
    node_id: Int32 = field("2+")
    listeners: list[Listener] = field("2+")


class Listener(Struct):
    name: String = field("2+")
    host: String = field("2+")
    port: Uint16 = field("2+")
