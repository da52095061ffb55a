"""Frames come out as they went in, however the stream is cut, and a claimed length reserves nothing."""

import random
from struct import pack

import pytest

from transport.frame_cutter import SCRATCH_BYTES, BadFrameLength, FrameCutter

MAX_BYTES = 100 * 1024 * 1024


def a_cutter(max_bytes: int = MAX_BYTES) -> FrameCutter:
    return FrameCutter(max_bytes, bytearray(SCRATCH_BYTES))


def feed(cutter: FrameCutter, stream: bytes, most: int = 1 << 30) -> list[memoryview]:
    frames = []
    while stream:
        room = cutter.room()
        count = min(len(room), len(stream), most)
        room[:count] = stream[:count]
        room.release()
        frames += cutter.received(count)
        stream = stream[count:]
    return frames


def framed(*payloads: bytes) -> bytes:
    return b"".join(pack(">i", len(payload)) + payload for payload in payloads)


@pytest.mark.parametrize("most", [1, 2, 3, 5, 7, 64, 1000, 1 << 30])
def test_frames_survive_any_cut_of_the_stream(most):
    payloads = [b"", b"a", bytes(range(256)), b"x" * 5_000, b"", b"yz", b"q" * 70_000 if most > 7 else b"q"]

    assert [bytes(f) for f in feed(a_cutter(), framed(*payloads), most)] == payloads


def test_random_cuts_of_random_frames():
    chance = random.Random(7)
    payloads = [chance.randbytes(chance.choice([0, 3, 100, 3_000, 66_000, 300_000])) for _ in range(60)]
    stream, cutter, frames = framed(*payloads), a_cutter(), []
    while stream:
        count = chance.choice([1, 3, 4, 10, 1_000, 65_536, 200_000])
        frames += feed(cutter, stream[:count])
        stream = stream[count:]

    assert [bytes(f) for f in frames] == payloads


def test_two_connections_may_share_one_scratch_buffer():
    scratch = bytearray(SCRATCH_BYTES)
    one, two = FrameCutter(MAX_BYTES, scratch), FrameCutter(MAX_BYTES, scratch)

    assert feed(one, framed(b"hello")[:3]) == []  # three bytes of a length
    assert [bytes(f) for f in feed(two, framed(b"other"))] == [b"other"]
    assert [bytes(f) for f in feed(one, framed(b"hello")[3:])] == [b"hello"]


def test_a_frame_belongs_to_its_receiver_and_may_be_patched():
    cutter = a_cutter()
    first, second = feed(cutter, framed(b"abc", b"def"))
    first[0:1] = b"X"
    feed(cutter, framed(b"zzz" * 1000))

    assert (bytes(first), bytes(second)) == (b"Xbc", b"def")


@pytest.mark.parametrize("length", [-1, -(2**31), MAX_BYTES + 1, 2**31 - 1])
def test_an_absurd_length_ends_the_stream(length):
    with pytest.raises(BadFrameLength):
        feed(a_cutter(), pack(">i", length) + b"some bytes")


def test_a_large_claim_reserves_memory_only_as_bytes_come():
    cutter = a_cutter()
    feed(cutter, pack(">i", MAX_BYTES))
    assert cutter.bytes_held <= 64 * 1024
    sent = 0
    for _ in range(100):
        feed(cutter, bytes(10_000))
        sent += 10_000
        assert cutter.bytes_held <= max(64 * 1024, 2 * sent)


def test_a_peer_that_has_sent_large_frames_gets_its_next_one_in_one_piece():
    cutter = a_cutter()
    feed(cutter, framed(bytes(900_000)))
    feed(cutter, framed(bytes(900_000))[:100])

    assert cutter.bytes_held == 900_000


def test_a_loop_that_keeps_its_view_does_not_stop_a_frame_from_growing():
    cutter, payload = a_cutter(), random.Random(1).randbytes(500_000)
    stream, kept, frames = framed(payload), [], []
    while stream:
        room = cutter.room()
        kept.append(room)
        count = min(len(room), len(stream))
        room[:count] = stream[:count]
        frames += cutter.received(count)
        stream = stream[count:]

    assert [bytes(f) for f in frames] == [payload]
