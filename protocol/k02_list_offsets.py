"""2 ListOffsets, v1-11.

Finds the offset for a timestamp, or the first, last or newest one.

Special timestamps: -1 latest, -2 earliest, -3 the record with the largest timestamp (v7), -4 and -5 for tiers.
"""

from __future__ import annotations

from protocol.codec import Int8, Int16, Int32, Int64, Message, String, Struct, field


class ListOffsetsRequest(Message, key=2, versions="1-11", flexible="6+"):
    replica_id: Int32 = field("0+")
    isolation_level: Int8 = field("2+")
    topics: list[ListOffsetsTopic] = field("0+")
    timeout_ms: Int32 = field("10+", ignorable=True)


class ListOffsetsTopic(Struct):
    name: String = field("0+")
    partitions: list[ListOffsetsPartition] = field("0+")


class ListOffsetsPartition(Struct):
    partition_index: Int32 = field("0+")
    current_leader_epoch: Int32 = field("4+", default=-1, ignorable=True)
    timestamp: Int64 = field("0+")


class ListOffsetsResponse(Message, key=2, versions="1-11", flexible="6+"):
    throttle_time_ms: Int32 = field("2+", ignorable=True)
    topics: list[ListOffsetsTopicResponse] = field("0+")


class ListOffsetsTopicResponse(Struct):
    name: String = field("0+")
    partitions: list[ListOffsetsPartitionResponse] = field("0+")


class ListOffsetsPartitionResponse(Struct):
    partition_index: Int32 = field("0+")
    error_code: Int16 = field("0+")
    timestamp: Int64 = field("1+", default=-1)
    offset: Int64 = field("1+", default=-1)
    leader_epoch: Int32 = field("4+", default=-1)
