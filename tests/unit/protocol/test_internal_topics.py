"""Values with a version in front, keys with a record type: consumer protocol and internal topics."""

from __future__ import annotations

import pytest
from random_messages import RandomMessages

from protocol import consumer_group_records, consumer_protocol, internal_topics
from protocol.codec import MalformedMessage, Message
from protocol.consumer_protocol import ConsumerProtocolSubscription, OwnedTopic
from protocol.internal_topics import (
    OFFSETS_KEY_TYPES,
    TRANSACTION_KEY_TYPES,
    GroupMetadataKey,
    OffsetCommitKey,
    OffsetCommitValue,
    TransactionLogKey,
    TransactionLogValue,
)
from protocol.version_prefix import decode_record_key, decode_with_version, encode_record_key, encode_with_version

VERSIONS = [
    pytest.param(cls, version, id=f"{cls.__name__}-v{version}")
    for room in (consumer_protocol, internal_topics, consumer_group_records)
    for cls in vars(room).values()
    if isinstance(cls, type) and issubclass(cls, Message) and cls is not Message
    for version in cls.versions
]


@pytest.mark.parametrize(("cls", "version"), VERSIONS)
def test_round_trip(cls: type[Message], version: int) -> None:
    for round_number in range(4):
        message = RandomMessages(f"{cls.__name__} {version} {round_number}").message(cls, version)
        assert decode_with_version(cls, encode_with_version(message, version)) == message


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_a_subscription_is_what_kafka_python_reads(version: int) -> None:
    from kafka.protocol.consumer.metadata import ConsumerProtocolSubscription as Theirs

    ours = ConsumerProtocolSubscription(topics=["a", "b"], user_data=b"u", generation_id=4, rack_id="r")
    ours.owned_partitions = [OwnedTopic(topic="a", partitions=[0, 2])]
    encoded = encode_with_version(ours, version)
    theirs = Theirs.decode(encoded)
    assert (theirs.version, theirs.topics, theirs.user_data) == (version, ["a", "b"], b"u")
    if version >= 1:
        assert [(each.topic, each.partitions) for each in theirs.owned_partitions] == [("a", [0, 2])]
    assert theirs.encode() == encoded


def test_a_later_version_is_read_as_our_latest() -> None:
    encoded = encode_with_version(ConsumerProtocolSubscription(topics=["a"], rack_id="r"), 3)
    later = b"\0\x09" + encoded[2:] + b"fields of version 9"
    assert decode_with_version(ConsumerProtocolSubscription, later).rack_id == "r"


def test_keys_carry_their_record_type() -> None:
    key = OffsetCommitKey(group="g", topic="t", partition=2)
    assert encode_record_key(key) == b"\0\1" + b"\0\1g" + b"\0\1t" + b"\0\0\0\2"
    for each in (key, GroupMetadataKey(group="g")):
        assert decode_record_key(OFFSETS_KEY_TYPES, encode_record_key(each)) == each
    assert decode_record_key(OFFSETS_KEY_TYPES, b"\0\0" + encode_record_key(key)[2:]) == key
    transaction = TransactionLogKey(transactional_id="tx")
    assert decode_record_key(TRANSACTION_KEY_TYPES, encode_record_key(transaction)) == transaction
    assert decode_record_key(OFFSETS_KEY_TYPES, b"\0\x63whatever") is None


def test_an_offset_value_by_hand() -> None:
    value = OffsetCommitValue(offset=42, leader_epoch=3, metadata="m", commit_timestamp=7)
    assert encode_with_version(value, 3) == (
        b"\0\3" + (42).to_bytes(8, "big") + b"\0\0\0\3" + b"\0\1m" + (7).to_bytes(8, "big")
    )


@pytest.mark.parametrize("buffer", [b"", b"\0", b"\xff\xff\0\0", b"\0\0\0"])
def test_damaged_values_are_malformed(buffer: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_with_version(TransactionLogValue, buffer)
