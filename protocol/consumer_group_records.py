"""Records in `__consumer_offsets` for groups of the newer protocol (KIP-848).

Keys start with their record type, values with their version, as in `internal_topics.py`.
"""

from __future__ import annotations

from protocol.codec import Bytes, Int8, Int32, Int64, Message, String, Struct, Uuid, field


class ConsumerGroupMetadataKey(Message, key=3, versions="0"):
    group_id: String = field("0")


class ConsumerGroupMetadataValue(Message, key=3, versions="0", flexible="0+"):
    epoch: Int32 = field("0+")
    metadata_hash: Int64 = field("0+", tag=0)


class ConsumerGroupMemberMetadataKey(Message, key=5, versions="0"):
    group_id: String = field("0")
    member_id: String = field("0")


class ConsumerGroupMemberMetadataValue(Message, key=5, versions="0", flexible="0+"):
    instance_id: String | None = field("0+", nullable="0+")
    rack_id: String | None = field("0+", nullable="0+")
    client_id: String = field("0+")
    client_host: String = field("0+")
    subscribed_topic_names: list[String] = field("0+")
    subscribed_topic_regex: String | None = field("0+", nullable="0+")
    rebalance_timeout_ms: Int32 = field("0+", default=-1)
    server_assignor: String | None = field("0+", nullable="0+")
    classic_member_metadata: ClassicMemberMetadata | None = field("0+", nullable="0+", default=None, tag=0)


class ClassicMemberMetadata(Struct):
    session_timeout_ms: Int32 = field("0+")
    supported_protocols: list[ClassicProtocol] = field("0+")


class ClassicProtocol(Struct):
    name: String = field("0+")
    metadata: Bytes = field("0+")


class ConsumerGroupTargetAssignmentMetadataKey(Message, key=6, versions="0"):
    group_id: String = field("0")


class ConsumerGroupTargetAssignmentMetadataValue(Message, key=6, versions="0", flexible="0+"):
    assignment_epoch: Int32 = field("0+")
    assignment_timestamp: Int64 = field("0+", tag=0, ignorable=True)


class ConsumerGroupTargetAssignmentMemberKey(Message, key=7, versions="0"):
    group_id: String = field("0")
    member_id: String = field("0")


class ConsumerGroupTargetAssignmentMemberValue(Message, key=7, versions="0", flexible="0+"):
    topic_partitions: list[TargetTopicPartitions] = field("0+")


class TargetTopicPartitions(Struct):
    topic_id: Uuid = field("0+")
    partitions: list[Int32] = field("0+")


class ConsumerGroupCurrentMemberAssignmentKey(Message, key=8, versions="0"):
    group_id: String = field("0")
    member_id: String = field("0")


class ConsumerGroupCurrentMemberAssignmentValue(Message, key=8, versions="0", flexible="0+"):
    member_epoch: Int32 = field("0+")
    previous_member_epoch: Int32 = field("0+")
    state: Int8 = field("0+")
    assigned_partitions: list[CurrentTopicPartitions] = field("0+")
    partitions_pending_revocation: list[CurrentTopicPartitions] = field("0+")


class CurrentTopicPartitions(Struct):
    topic_id: Uuid = field("0+")
    partitions: list[Int32] = field("0+")
    assignment_epochs: list[Int32] | None = field("0+", nullable="0+", default=None, tag=0)


class ConsumerGroupRegularExpressionKey(Message, key=16, versions="0"):
    group_id: String = field("0")
    regular_expression: String = field("0")


class ConsumerGroupRegularExpressionValue(Message, key=16, versions="0", flexible="0+"):
    topics: list[String] = field("0+")
    version: Int64 = field("0+")
    timestamp: Int64 = field("0+")


CONSUMER_GROUP_KEY_TYPES: dict[int, type[Message]] = {
    cls.api_key: cls
    for cls in (
        ConsumerGroupMetadataKey,
        ConsumerGroupMemberMetadataKey,
        ConsumerGroupTargetAssignmentMetadataKey,
        ConsumerGroupTargetAssignmentMemberKey,
        ConsumerGroupCurrentMemberAssignmentKey,
        ConsumerGroupRegularExpressionKey,
    )
}
"""For `decode_record_key`, beside `OFFSETS_KEY_TYPES`."""
