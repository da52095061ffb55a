"""Record batches: headers, CRC, patching in place, every codec, control markers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import CorruptMessage
from protocol.control_batches import control_batch, end_txn_marker
from protocol.records import (
    CODECS,
    HEADER_SIZE,
    Record,
    check_crc,
    decode_records,
    encode_batch,
    iter_batches,
    parse_header,
    patch,
)


def some_records(count: int = 3, offset: int = 0) -> list[Record]:
    return [Record(offset + n, 1_000 + n, b"k%d" % n, b"v" * 50, [("h", b"x"), ("n", None)]) for n in range(count)]


def test_a_batch_carries_what_it_was_given():
    batch = encode_batch(
        some_records(3, 40), base_offset=40, leader_epoch=5, producer_id=9, producer_epoch=2, base_sequence=7
    )
    header = parse_header(batch)
    assert (header.base_offset, header.last_offset, header.next_offset, header.record_count) == (40, 42, 43, 3)
    assert (header.leader_epoch, header.producer_id, header.producer_epoch) == (5, 9, 2)
    assert (header.base_sequence, header.last_sequence) == (7, 9)
    assert (header.base_timestamp, header.max_timestamp) == (1_000, 1_002)
    assert (header.size, header.magic, header.codec) == (len(batch), 2, "none")
    assert (header.timestamp_type, header.is_control, header.is_transactional) == ("CreateTime", False, False)


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_round_trips(codec):
    records = some_records(20, 100)
    batch = encode_batch(records, base_offset=100, codec=codec)
    header = parse_header(batch)
    check_crc(batch, header)
    assert header.codec == codec
    assert decode_records(batch, header) == records


def test_sequences_wrap_after_the_largest():
    header = parse_header(encode_batch(some_records(3), producer_id=1, producer_epoch=0, base_sequence=2**31 - 2))
    assert header.last_sequence == 0


def test_batches_follow_each_other_in_a_buffer():
    buffer = bytes(encode_batch(some_records(2))) + bytes(encode_batch(some_records(1), base_offset=0))
    first, second = iter_batches(buffer)
    assert (first.position, second.position, second.size) == (0, first.size, len(buffer) - first.size)


@pytest.mark.parametrize("cut", [1, HEADER_SIZE - 1, HEADER_SIZE, HEADER_SIZE + 5])
def test_a_batch_cut_short_is_refused(cut):
    with pytest.raises(CorruptMessage):
        list(iter_batches(encode_batch(some_records())[:cut]))


@pytest.mark.parametrize("length", [-1, 0, 48, 2**31 - 1])
def test_an_absurd_length_is_refused(length):
    batch = encode_batch(some_records())
    batch[8:12] = length.to_bytes(4, "big", signed=True)
    with pytest.raises(CorruptMessage):
        list(iter_batches(batch))


def test_another_magic_is_refused():
    batch = encode_batch(some_records())
    batch[16] = 1
    with pytest.raises(CorruptMessage, match="magic 1"):
        list(iter_batches(batch))


@given(st.data())
def test_one_flipped_bit_below_the_crc_is_noticed(data):
    batch = encode_batch(some_records())
    position = data.draw(st.integers(17, len(batch) - 1))
    batch[position] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CorruptMessage):
        check_crc(batch, parse_header(batch))


def test_offsets_and_epoch_are_patched_without_touching_the_crc():
    buffer = bytearray(10) + encode_batch(some_records())
    patch(memoryview(buffer), 10, 1_000, 7)
    header = parse_header(buffer, 10)
    check_crc(buffer, header)
    assert (header.base_offset, header.leader_epoch) == (1_000, 7)
    assert [record.offset for record in decode_records(buffer, header)] == [1_000, 1_001, 1_002]


def test_an_append_time_is_every_records_timestamp():
    batch = encode_batch(some_records())
    patch(batch, 0, 0, 1, append_time_ms=77_777)
    header = parse_header(batch)
    check_crc(batch, header)
    assert header.timestamp_type == "LogAppendTime"
    assert {record.timestamp for record in decode_records(batch, header)} == {77_777}


def test_records_may_be_numbered_by_the_encoder():
    batch = encode_batch([Record(-1, 5, None, b"a"), Record(-1, 5, None, b"b")], base_offset=30)
    assert [record.offset for record in decode_records(batch, parse_header(batch))] == [30, 31]


def test_a_compacted_batch_keeps_its_end():
    batch = encode_batch([Record(30, 5, b"k", b"a")], base_offset=30, last_offset_delta=9)
    header = parse_header(batch)
    check_crc(batch, header)
    assert (header.record_count, header.last_offset) == (1, 39)
    empty = encode_batch([], base_offset=30, last_offset_delta=9)
    check_crc(empty, parse_header(empty))
    assert decode_records(empty, parse_header(empty)) == []


@pytest.mark.parametrize("is_commit", [True, False])
def test_a_marker_ends_a_transaction(is_commit):
    batch = control_batch(is_commit=is_commit, producer_id=4, producer_epoch=1, coordinator_epoch=12, timestamp=99)
    header = parse_header(batch)
    check_crc(batch, header)
    assert header.is_control and header.is_transactional
    marker = end_txn_marker(batch, header)
    assert marker is not None and marker == (is_commit, 12)


@pytest.mark.parametrize("codec", ["none", "gzip", "lz4", "zstd", "snappy"])
def test_records_that_do_not_decode_are_corrupt(codec):
    batch = encode_batch(some_records(20), codec=codec)
    for position in range(HEADER_SIZE, len(batch)):
        batch[position] = 0xFF
    with pytest.raises(CorruptMessage):
        decode_records(batch, parse_header(batch))


def test_a_codec_without_a_name_is_corrupt():
    batch = encode_batch(some_records())
    batch[22] |= 7
    with pytest.raises(CorruptMessage, match="codec 7"):
        decode_records(batch, parse_header(batch))
