"""Envelopes survive the wire; anything else is refused."""

import msgspec
import pytest

from transport.envelope import HEADER_BYTES, TELL, MalformedEnvelope, decode, encode, read_header


class Append(msgspec.Struct, tag="Append", array_like=True, frozen=True, gc=False):
    topic: str
    offset: int


decoder = msgspec.msgpack.Decoder(Append).decode


def a_frame(payload: bytes = b"", address: bytes = b"replica/topic-0") -> bytes:
    return encode(TELL, 2, address, 3, 2**40, 7, -1, 2**63, 99, payload)


def test_an_envelope_comes_out_as_it_went_in():
    frame = a_frame(msgspec.msgpack.encode(Append("topic", 5)))
    header = read_header(frame)
    envelope = decode(header, frame, [memoryview(b"batch")], decoder)

    assert (header.kind, header.buffers, header.position) == (TELL, 2, 99)
    assert (envelope.sender, envelope.incarnation, envelope.to_incarnation) == (3, 2**40, 7)
    assert (envelope.address, envelope.leader_epoch, envelope.trace_id) == ("replica/topic-0", -1, 2**63)
    assert (envelope.message, envelope.buffers) == (Append("topic", 5), [b"batch"])
    assert "replica/topic-0" in repr(envelope)


@pytest.mark.parametrize("frame", [b"", b"x" * (HEADER_BYTES - 1), b"x" * 200, b"\xd1\x09" + b"x" * 200])
def test_what_is_no_header_is_malformed(frame):
    with pytest.raises(MalformedEnvelope):
        read_header(frame)


@pytest.mark.parametrize("frame", [a_frame(b"\xc1"), a_frame(b""), a_frame(msgspec.msgpack.encode(["Other", 1]))])
def test_what_is_no_message_of_ours_is_malformed(frame):
    with pytest.raises(MalformedEnvelope):
        decode(read_header(frame), frame, [], decoder)


def test_an_address_that_is_no_text_is_malformed():
    frame = a_frame(msgspec.msgpack.encode(Append("topic", 5)), address=b"\xff\xfe")
    with pytest.raises(MalformedEnvelope):
        decode(read_header(frame), frame, [], decoder)


def test_a_small_buffer_travels_within_the_first_frame():
    payload = msgspec.msgpack.encode(Append("topic", 5))
    for content in (b"", b"batch"):
        frame = encode(TELL, 0, b"a", 3, 1, 7, -1, 0, 99, payload, content)
        envelope = decode(read_header(frame), frame, [], decoder)
        assert (envelope.message, envelope.buffers) == (Append("topic", 5), [content])


def test_a_buffer_longer_than_its_frame_is_malformed():
    frame = encode(TELL, 0, b"a", 3, 1, 7, -1, 0, 99, msgspec.msgpack.encode(Append("topic", 5)), b"batch")
    header = read_header(frame)._replace(inline_bytes=len(frame))
    with pytest.raises(MalformedEnvelope):
        decode(header, frame, [], decoder)
