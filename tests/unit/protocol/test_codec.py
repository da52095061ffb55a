"""The codec on its own: layouts by hand, defaults, versions that lack a field, record batches, hostile bytes."""

from __future__ import annotations

import random
import tracemalloc

import pytest
from random_messages import RandomMessages

from model.errors import UnsupportedVersion
from protocol.api_keys import API_KEYS
from protocol.codec import Int32, MalformedMessage, Message, String, Struct, UnencodableMessage, field
from protocol.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from protocol.k01_fetch import FetchableTopicResponse, FetchRequest, FetchResponse, PartitionData
from protocol.k03_metadata import MetadataRequest, MetadataRequestTopic
from protocol.k12_heartbeat import HeartbeatRequest
from protocol.k18_api_versions import ApiVersionsResponse, SupportedFeatureKey
from protocol.spec import version_range
from protocol.varint import read_unsigned_varint, unsigned_varint

MESSAGES = [cls for row in API_KEYS.values() for cls in (row.request, row.response)]
VERSIONS = [pytest.param(cls, version, id=f"{cls.__name__}-v{version}") for cls in MESSAGES for version in cls.versions]


def a_produce(records: object, version: int = 9) -> ProduceRequest:
    topic = TopicProduceData(partition_data=[PartitionProduceData(index=3, records=records)])
    if version < 13:
        topic.name = "flights"
    return ProduceRequest(acks=-1, timeout_ms=1500, topic_data=[topic])


def test_a_non_flexible_message_is_laid_out_with_fixed_lengths() -> None:
    request = HeartbeatRequest(group_id="g", generation_id=7, member_id="mé", group_instance_id=None)
    assert request.encode(3) == b"\0\1g" + b"\0\0\0\7" + b"\0\3m\xc3\xa9" + b"\xff\xff"


def test_a_flexible_message_is_laid_out_with_compact_lengths_and_tagged_fields() -> None:
    request = HeartbeatRequest(group_id="g", generation_id=7, member_id="mé", group_instance_id=None)
    assert request.encode(4) == b"\2g" + b"\0\0\0\7" + b"\4m\xc3\xa9" + b"\0" + b"\0"


def test_a_tagged_field_is_written_only_when_it_is_set() -> None:
    response = ApiVersionsResponse(finalized_features_epoch=5)
    without = ApiVersionsResponse().encode(3)
    assert without.endswith(b"\0") and len(without) == 8
    # one tagged field: tag 1, eight bytes
    assert response.encode(3) == without[:-1] + b"\1" + b"\1\x08" + b"\0\0\0\0\0\0\0\5"
    assert response.encode(2) == ApiVersionsResponse().encode(2)  # ignorable


def test_unknown_tagged_fields_are_passed_over() -> None:
    encoded = HeartbeatRequest(group_id="g").encode(4)
    strange = encoded[:-1] + b"\2" + b"\x05\1x" + b"\xc8\1\2yz"
    assert HeartbeatRequest.decode(strange, 4) == HeartbeatRequest(group_id="g")


def test_constructor_defaults_are_kafkas_and_are_not_shared() -> None:
    one, other = FetchRequest(), FetchRequest()
    assert (one.max_bytes, one.session_epoch, one.topics) == (0x7FFFFFFF, -1, [])
    one.topics.append("x")  # type: ignore[arg-type]
    one.replica_state.replica_id = 4
    assert other.topics == [] and other.replica_state.replica_id == -1
    with pytest.raises(TypeError):
        FetchRequest(no_such_field=1)  # type: ignore[call-arg]


def test_equality_and_repr_follow_the_fields() -> None:
    assert HeartbeatRequest(group_id="a") == HeartbeatRequest(group_id="a") != HeartbeatRequest(group_id="b")
    assert HeartbeatRequest() != MetadataRequest()
    assert "group_id='a'" in repr(HeartbeatRequest(group_id="a"))
    assert "<5000 bytes>" in repr(a_produce(bytes(5000)))
    with pytest.raises(AttributeError):
        HeartbeatRequest().group = "typo"  # type: ignore[attr-defined]


def test_a_field_that_a_version_lacks_is_dropped_if_ignorable_and_refused_if_not() -> None:
    assert FetchRequest(rack_id="r1").encode(10) == FetchRequest().encode(10)
    with pytest.raises(UnsupportedVersion, match="group_instance_id"):
        HeartbeatRequest(group_instance_id="static-1").encode(2)
    with pytest.raises(UnsupportedVersion, match="no version 5"):
        HeartbeatRequest().encode(5)
    with pytest.raises(UnsupportedVersion):
        HeartbeatRequest.decode(b"", 5)


def test_null_is_refused_where_a_version_has_no_null() -> None:
    assert MetadataRequest(topics=None).encode(1)[:4] == b"\xff\xff\xff\xff"
    with pytest.raises(UnencodableMessage):
        MetadataRequest(topics=None).encode(0)
    with pytest.raises(UnencodableMessage):
        MetadataRequest(topics=[MetadataRequestTopic(name=None)]).encode(5)
    with pytest.raises(MalformedMessage):
        MetadataRequest.decode(b"\xff\xff\xff\xff", 0)


@pytest.mark.parametrize("value", ["x", None, 1 << 31, 1.5])
def test_a_value_of_the_wrong_type_is_a_named_error(value: object) -> None:
    with pytest.raises(UnencodableMessage, match="HeartbeatRequest v1"):
        HeartbeatRequest(generation_id=value).encode(1)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", [3, 8, 9, 12, 13])
@pytest.mark.parametrize("buffer_type", [bytes, bytearray, memoryview])
def test_records_are_decoded_as_views_on_the_frame(version: int, buffer_type: type) -> None:
    batch = random.Random(1).randbytes(70_000)
    frame = bytearray(b"head" + a_produce(batch, version).encode(version))
    decoded = ProduceRequest.decode(buffer_type(frame), version, 4)
    records = decoded.topic_data[0].partition_data[0].records
    assert type(records) is memoryview and records == batch
    if buffer_type is not bytes:
        records[0] ^= 0xFF  # an owner may patch its frame in place
        assert (frame if buffer_type is memoryview else records.obj).count(bytes(records[:40])) == 1


@pytest.mark.parametrize("version", [4, 12, 13])
def test_long_batches_are_chunks_of_their_own_and_never_copied(version: int) -> None:
    long_batch, short_batch, pieces = bytearray(5000), b"short", [memoryview(bytes(6000)), b"tail", bytes(4096)]
    response = FetchResponse(
        responses=[
            FetchableTopicResponse(
                partitions=[
                    PartitionData(partition_index=0, records=long_batch),
                    PartitionData(partition_index=1, records=short_batch),
                    PartitionData(partition_index=2, records=pieces),
                    PartitionData(partition_index=3, records=None),
                ]
            )
        ]
    )
    chunks = response.encode_chunks(version)
    assert [id(chunk) for chunk in chunks if len(chunk) >= 4096] == [id(long_batch), id(pieces[0]), id(pieces[2])]
    assert b"".join(chunks) == response.encode(version)
    decoded = FetchResponse.decode(response.encode(version), version).responses[0].partitions
    assert [each.records for each in decoded] == [long_batch, short_batch, b"".join(pieces), None]


def test_other_bytes_are_copied_so_that_they_outlive_their_frame() -> None:
    from protocol.k14_sync_group import SyncGroupResponse

    frame = bytearray(SyncGroupResponse(assignment=b"abc").encode(5))
    decoded = SyncGroupResponse.decode(frame, 5)
    frame[:] = bytes(len(frame))
    assert decoded.assignment == b"abc" and type(decoded.assignment) is bytes


def test_bytes_after_the_message_are_left_alone() -> None:
    assert HeartbeatRequest.decode(HeartbeatRequest(group_id="g").encode(3) + b"more", 3).group_id == "g"


@pytest.mark.parametrize(("text", "expected"), [("3-13", (3, 14)), ("9+", (9, 32768)), ("2", (2, 3)), ("none", (0, 0))])
def test_version_ranges(text: str, expected: tuple[int, int]) -> None:
    assert (version_range(text).start, version_range(text).stop) == expected


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 16383, 16384, 2**31 - 1, 2**32 - 1])
def test_varints(value: int) -> None:
    encoded = unsigned_varint(value)
    assert read_unsigned_varint(b"x" + encoded + b"y", 1) == (value, 1 + len(encoded))


def test_a_varint_that_never_ends_is_malformed() -> None:
    with pytest.raises(MalformedMessage):
        read_unsigned_varint(b"\xff" * 100, 0)


def test_a_message_may_be_declared_anywhere() -> None:
    point = Point(x=1, label="here", neighbours=[Neighbour(distance=2), Neighbour(distance=3)])
    assert Point.decode(point.encode(1), 1) == point


class Neighbour(Struct):
    distance: Int32 = field("0+", default=-1)


class Point(Message, versions="0-1", flexible="1+"):
    x: Int32 = field("0+")
    label: String | None = field("1+", nullable="1+", default=None, tag=3)
    neighbours: list[Neighbour] = field("0+")


@pytest.mark.parametrize(("cls", "version"), VERSIONS)
def test_a_message_cut_short_anywhere_is_malformed(cls: type[Message], version: int) -> None:
    encoded = RandomMessages(f"cut {cls.__name__} {version}").message(cls, version).encode(version)
    for length in range(0, len(encoded), 1 + len(encoded) // 300):
        with pytest.raises(MalformedMessage):
            cls.decode(encoded[:length], version)


@pytest.mark.parametrize(("cls", "version"), VERSIONS)
def test_a_damaged_message_is_malformed_or_another_message(cls: type[Message], version: int) -> None:
    dice = random.Random(f"damage {cls.__name__} {version}")
    encoded = RandomMessages(f"damage {cls.__name__} {version}").message(cls, version).encode(version)
    for _ in range(40 if encoded else 0):
        damaged = bytearray(encoded)
        for _ in range(dice.randrange(1, 4)):
            damaged[dice.randrange(len(damaged))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
        try:
            cls.decode(damaged, version)
        except MalformedMessage:
            pass


@pytest.mark.parametrize(
    ("cls", "version", "encoded"),
    [
        pytest.param(MetadataRequest, 1, b"\x7f\xff\xff\xff", id="array"),
        pytest.param(MetadataRequest, 9, b"\xff\xff\xff\xff\x07\0\0\0", id="compact array"),
        pytest.param(HeartbeatRequest, 4, b"\xff\xff\xff\xff\x07abc", id="compact string"),
        pytest.param(HeartbeatRequest, 0, b"\x7f\xffabc", id="string"),
        pytest.param(HeartbeatRequest, 0, b"\x80\0abc", id="negative string"),
        pytest.param(ProduceRequest, 3, a_produce(b"", 3).encode(3)[:-4] + b"\x7f\xff\xff\xff", id="records"),
        pytest.param(ApiVersionsResponse, 0, b"\0\0\x40\0\0\0" + bytes(64), id="array of structs"),
        pytest.param(HeartbeatRequest, 4, b"\2g\0\0\0\0\2m\0" + b"\xff\xff\xff\xff\x07\0\0", id="tagged fields"),
        pytest.param(HeartbeatRequest, 4, b"\2g\0\0\0\0\2m\0\1\x09\xff\xff\xff\xff\x07\0", id="tagged field"),
    ],
)
def test_a_forged_length_allocates_nothing(cls: type[Message], version: int, encoded: bytes) -> None:
    with pytest.raises(MalformedMessage):  # compiled before we measure
        cls.decode(encoded, version)
    tracemalloc.start()
    try:
        with pytest.raises(MalformedMessage):
            cls.decode(encoded, version)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_text_that_is_no_utf8_is_malformed() -> None:
    with pytest.raises(MalformedMessage, match="utf-8"):
        HeartbeatRequest.decode(b"\0\2\xff\xfe\0\0\0\0\0\0", 0)


def test_a_known_tag_whose_size_lies_is_malformed() -> None:
    encoded = ApiVersionsResponse(supported_features=[SupportedFeatureKey(name="f")]).encode(3)
    size_position = len(ApiVersionsResponse().encode(3)) + 1
    damaged = bytearray(encoded)
    damaged[size_position] -= 1
    with pytest.raises(MalformedMessage):
        ApiVersionsResponse.decode(damaged, 3)
