"""19 CreateTopics, v2-7.

Creates topics.

v5 returns the configs of the new topic (never null, Java clients trip over that), v7 its id.
"""

from __future__ import annotations

from protocol.codec import Bool, Int8, Int16, Int32, Message, String, Struct, Uuid, field


class CreateTopicsRequest(Message, key=19, versions="2-7", flexible="5+"):
    topics: list[CreatableTopic] = field("0+")
    timeout_ms: Int32 = field("0+", default=60000)
    validate_only: Bool = field("1+")


class CreatableTopic(Struct):
    name: String = field("0+")
    num_partitions: Int32 = field("0+")
    replication_factor: Int16 = field("0+")
    assignments: list[CreatableReplicaAssignment] = field("0+")
    configs: list[CreatableTopicConfig] = field("0+")


class CreatableReplicaAssignment(Struct):
    partition_index: Int32 = field("0+")
    broker_ids: list[Int32] = field("0+")


class CreatableTopicConfig(Struct):
    name: String = field("0+")
    value: String | None = field("0+", nullable="0+")


class CreateTopicsResponse(Message, key=19, versions="2-7", flexible="5+"):
    throttle_time_ms: Int32 = field("2+", ignorable=True)
    topics: list[CreatableTopicResult] = field("0+")


class CreatableTopicResult(Struct):
    name: String = field("0+")
    topic_id: Uuid = field("7+", ignorable=True)
    error_code: Int16 = field("0+")
    error_message: String | None = field("1+", nullable="0+", ignorable=True)
    topic_config_error_code: Int16 = field("5+", tag=0, ignorable=True)
    num_partitions: Int32 = field("5+", default=-1, ignorable=True)
    replication_factor: Int16 = field("5+", default=-1, ignorable=True)
    configs: list[CreatableTopicConfigs] | None = field("5+", nullable="5+", ignorable=True)


class CreatableTopicConfigs(Struct):
    name: String = field("5+")
    value: String | None = field("5+", nullable="5+")
    read_only: Bool = field("5+")
    config_source: Int8 = field("5+", default=-1, ignorable=True)
    is_sensitive: Bool = field("5+")
