"""Records of `__consumer_offsets`: from the machines' messages to batches, and back in a replay."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from machines.group_events import GroupRecord
from protocol.codec import MalformedMessage, Message
from protocol.consumer_group_records import (
    CONSUMER_GROUP_KEY_TYPES,
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
)
from protocol.internal_topics import (
    OFFSETS_KEY_TYPES,
    GroupMetadataKey,
    GroupMetadataValue,
    OffsetCommitKey,
    OffsetCommitValue,
)
from protocol.records import BatchHeader, Buffer, Record, decode_records, encode_batch
from protocol.version_prefix import decode_record_key, decode_with_version, encode_record_key, encode_with_version

logger = logging.getLogger(__name__)

KEY_TYPES = OFFSETS_KEY_TYPES | CONSUMER_GROUP_KEY_TYPES
VALUE_TYPES: dict[type[Message], type[Message]] = {
    OffsetCommitKey: OffsetCommitValue,
    GroupMetadataKey: GroupMetadataValue,
    ConsumerGroupMetadataKey: ConsumerGroupMetadataValue,
    ConsumerGroupMemberMetadataKey: ConsumerGroupMemberMetadataValue,
    ConsumerGroupTargetAssignmentMetadataKey: ConsumerGroupTargetAssignmentMetadataValue,
    ConsumerGroupTargetAssignmentMemberKey: ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupCurrentMemberAssignmentKey: ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupRegularExpressionKey: ConsumerGroupRegularExpressionValue,
}


class ReplayedRecord(NamedTuple):
    """A record as a group's `apply` takes it."""

    group_id: str
    key: Message
    value: Message | None


def encode(
    records: Sequence[GroupRecord], wall_ms: int, producer_id: int = -1, producer_epoch: int = -1
) -> bytearray:
    """One batch; of a producer's transaction when one is given."""
    rows = [
        Record(
            -1,
            wall_ms,
            encode_record_key(record.key),
            None if record.value is None else encode_with_version(record.value, record.version),
        )
        for record in records
    ]
    return encode_batch(
        rows, producer_id=producer_id, producer_epoch=producer_epoch, transactional=producer_id >= 0
    )


def decode(buffer: Buffer, header: BatchHeader) -> Iterator[ReplayedRecord]:
    """The records of a batch that are ours; unreadable ones are logged and left out, unknown kinds passed over."""
    for record in decode_records(buffer, header):
        try:
            key = None if record.key is None else decode_record_key(KEY_TYPES, record.key)
            value_type = VALUE_TYPES.get(type(key)) if key is not None else None
            if key is None or value_type is None:
                continue
            value = None if record.value is None else decode_with_version(value_type, record.value)
        except MalformedMessage as error:
            logger.error("the record at offset %d of a __consumer_offsets partition: %s", record.offset, error)
            continue
        yield ReplayedRecord(group_of(key), key, value)


def group_of(key: Message) -> str:
    """The group that a key belongs to."""
    name: str = getattr(key, "group", "") or getattr(key, "group_id", "")
    return name
