"""Headers, byte for byte those of kafka-python, and what happens to damaged ones."""

from __future__ import annotations

import pytest
from kafka.protocol.api_header import RequestHeader as TheirRequestHeader
from kafka.protocol.api_header import ResponseHeader as TheirResponseHeader

from protocol import frames
from protocol.api_keys import API_KEYS
from protocol.codec import MalformedMessage
from protocol.k01_fetch import FetchableTopicResponse, FetchResponse, PartitionData

KEYS_AND_VERSIONS = [
    pytest.param(row.key, version, id=f"{row.name}-v{version}")
    for row in API_KEYS.values()
    for version in row.request.versions
]


@pytest.mark.parametrize(("key", "version"), KEYS_AND_VERSIONS)
@pytest.mark.parametrize("client_id", [None, "", "a-client-é"])
def test_request_headers_are_kafka_pythons(key: int, version: int, client_id: str | None) -> None:
    request = API_KEYS[key].request()
    frame = b"".join(frames.request_frame(request, version, 77, client_id))
    header = TheirRequestHeader(
        request_api_key=key, request_api_version=version, correlation_id=77, client_id=client_id
    ).encode(flexible=request.is_flexible(version))
    body = request.encode(version)
    assert frame == len(header + body).to_bytes(4, "big") + header + body
    parsed = frames.parse_request_header(memoryview(frame)[4:])
    assert parsed == (key, version, 77, client_id, len(header))


@pytest.mark.parametrize(("key", "version"), KEYS_AND_VERSIONS)
def test_response_headers_are_kafka_pythons(key: int, version: int) -> None:
    response = API_KEYS[key].response()
    flexible = response.is_flexible(version) and key != 18
    header = TheirResponseHeader(correlation_id=-5).encode(flexible=flexible)
    body = response.encode(version)
    assert frames.response_header(key, version, -5) == header
    frame = b"".join(frames.response_frame(key, version, -5, response))
    assert frame == len(header + body).to_bytes(4, "big") + header + body
    assert frames.parse_response_header(memoryview(frame)[4:], key, version) == (-5, len(header))
    assert frames.response_correlation_id(frame[4:]) == -5


def test_a_header_of_an_unknown_version_or_key_is_read_all_the_same() -> None:
    future = b"\0\x12\0\x63" + b"\0\0\0\1" + b"\0\1c"
    for whatever in (b"\0whatever", b"\xff" * 40, b""):
        assert frames.parse_request_header(future + whatever)[:4] == (18, 99, 1, "c")
    unknown = b"\x03\xe8\0\1" + b"\0\0\0\1" + b"\xff\xff"
    assert frames.parse_request_header(unknown)[:4] == (1000, 1, 1, None)


def test_tagged_fields_in_a_header_are_passed_over() -> None:
    head = b"\0\3\0\x0c" + b"\0\0\0\1" + b"\0\1c" + b"\2" + b"\0\3abc" + b"\7\0"
    assert frames.parse_request_header(head + b"body").body_offset == len(head)
    assert frames.parse_response_header(b"\0\0\0\1" + b"\1\0\2ab" + b"body", 3, 12) == (1, 9)


@pytest.mark.parametrize("version", [3, 4])
def test_a_request_header_cut_short_is_malformed(version: int) -> None:
    head = b"\0\x0c" + version.to_bytes(2, "big") + b"\0\0\0\1" + b"\0\5hello" + (b"\1\0\3abc" if version == 4 else b"")
    assert frames.parse_request_header(head).body_offset == len(head)
    for length in range(len(head)):
        with pytest.raises(MalformedMessage):
            frames.parse_request_header(head[:length])


def test_a_response_header_cut_short_is_malformed() -> None:
    head = b"\0\0\0\1" + b"\1\0\3abc"
    for length in range(len(head)):
        with pytest.raises(MalformedMessage):
            frames.parse_response_header(head[:length], 3, 12)


def test_a_client_id_that_is_no_utf8_is_malformed() -> None:
    with pytest.raises(MalformedMessage):
        frames.parse_request_header(b"\0\x0c\0\0" + b"\0\0\0\1" + b"\0\1\xff")


def test_a_response_frame_does_not_copy_long_batches() -> None:
    batch = bytes(10_000)
    topic = FetchableTopicResponse(topic="t", partitions=[PartitionData(records=batch)])
    chunks = frames.response_frame(1, 12, 9, FetchResponse(responses=[topic]))
    assert any(chunk is batch for chunk in chunks)
    assert int.from_bytes(chunks[0][:4], "big") == sum(map(len, chunks)) - 4
