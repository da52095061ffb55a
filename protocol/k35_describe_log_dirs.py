"""35 DescribeLogDirs, v1-5.

Shows how large the replicas in each log directory are.
"""

from __future__ import annotations

from protocol.codec import Bool, Int16, Int32, Int64, Message, String, Struct, field


class DescribeLogDirsRequest(Message, key=35, versions="1-5", flexible="2+"):
    topics: list[DescribableLogDirTopic] | None = field("0+", nullable="0+")


class DescribableLogDirTopic(Struct):
    topic: String = field("0+")
    partitions: list[Int32] = field("0+")


class DescribeLogDirsResponse(Message, key=35, versions="1-5", flexible="2+"):
    throttle_time_ms: Int32 = field("0+")
    error_code: Int16 = field("3+", ignorable=True)
    results: list[DescribeLogDirsResult] = field("0+")


class DescribeLogDirsResult(Struct):
    error_code: Int16 = field("0+")
    log_dir: String = field("0+")
    topics: list[DescribeLogDirsTopic] = field("0+")
    total_bytes: Int64 = field("4+", default=-1, ignorable=True)
    usable_bytes: Int64 = field("4+", default=-1, ignorable=True)
    is_cordoned: Bool = field("5+", ignorable=True)


class DescribeLogDirsTopic(Struct):
    name: String = field("0+")
    partitions: list[DescribeLogDirsPartition] = field("0+")


class DescribeLogDirsPartition(Struct):
    partition_index: Int32 = field("0+")
    partition_size: Int64 = field("0+")
    offset_lag: Int64 = field("0+")
    is_future_key: Bool = field("0+")
