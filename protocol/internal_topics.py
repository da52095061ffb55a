"""Keys and values of the records in `__consumer_offsets` and `__transaction_state`, as Kafka writes them.

A key starts with its record type (`key=` below) instead of a version, a value with its version; a record without a
value deletes what its key names. See `version_prefix.py` for both. Kafka writes OffsetCommitValue v3 (v4 where topic
ids are wanted), GroupMetadataValue v3 and TransactionLogValue v1 (v0 where transaction.version is 0).
The records of the newer group protocol are in `consumer_group_records.py`.
"""

from __future__ import annotations

from protocol.codec import Bytes, Int8, Int16, Int32, Int64, Message, String, Struct, Uuid, field


class OffsetCommitKey(Message, key=1, versions="0"):
    group: String = field("0")
    topic: String = field("0")
    partition: Int32 = field("0")


class OffsetCommitValue(Message, key=1, versions="0-4", flexible="4+"):
    offset: Int64 = field("0+")
    leader_epoch: Int32 = field("3+", default=-1, ignorable=True)
    metadata: String = field("0+")
    commit_timestamp: Int64 = field("0+")
    expire_timestamp: Int64 = field("1", default=-1, ignorable=True)
    topic_id: Uuid = field("4+", tag=0, ignorable=True)


class GroupMetadataKey(Message, key=2, versions="0"):
    group: String = field("0")


class GroupMetadataValue(Message, key=2, versions="0-4", flexible="4+"):
    protocol_type: String = field("0+")
    generation: Int32 = field("0+")
    protocol: String | None = field("0+", nullable="0+")
    leader: String | None = field("0+", nullable="0+")
    current_state_timestamp: Int64 = field("2+", default=-1, ignorable=True)
    members: list[MemberMetadata] = field("0+")


class MemberMetadata(Struct):
    member_id: String = field("0+")
    group_instance_id: String | None = field("3+", nullable="3+", default=None, ignorable=True)
    client_id: String = field("0+")
    client_host: String = field("0+")
    rebalance_timeout: Int32 = field("1+", default=-1, ignorable=True)
    session_timeout: Int32 = field("0+")
    subscription: Bytes = field("0+")
    assignment: Bytes = field("0+")


class TransactionLogKey(Message, key=0, versions="0"):
    transactional_id: String = field("0")


class TransactionLogValue(Message, key=0, versions="0-1", flexible="1+"):
    producer_id: Int64 = field("0+")
    previous_producer_id: Int64 = field("1+", default=-1, tag=0)
    next_producer_id: Int64 = field("1+", default=-1, tag=1)
    producer_epoch: Int16 = field("0+")
    next_producer_epoch: Int16 = field("1+", default=-1, tag=3)
    transaction_timeout_ms: Int32 = field("0+")
    transaction_status: Int8 = field("0+")
    transaction_partitions: list[TransactionPartitions] | None = field("0+", nullable="0+")
    transaction_last_update_timestamp_ms: Int64 = field("0+")
    transaction_start_timestamp_ms: Int64 = field("0+")
    client_transaction_version: Int16 = field("1+", tag=2)


class TransactionPartitions(Struct):
    topic: String = field("0+")
    partition_ids: list[Int32] = field("0+")


OFFSETS_KEY_TYPES: dict[int, type[Message]] = {cls.api_key: cls for cls in (OffsetCommitKey, GroupMetadataKey)}
OFFSETS_KEY_TYPES[0] = OffsetCommitKey  # how older brokers marked the same key
"""For `decode_record_key` on `__consumer_offsets`."""

TRANSACTION_KEY_TYPES: dict[int, type[Message]] = {TransactionLogKey.api_key: TransactionLogKey}
"""For `decode_record_key` on `__transaction_state`."""
