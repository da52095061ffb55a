"""One log: what goes in comes out, in order, across segments."""

from __future__ import annotations

import pytest
from log_builders import NOW_MS, a_batch, a_log, offsets_in

from model.errors import (
    CorruptMessage,
    InvalidRecord,
    InvalidTimestamp,
    MessageTooLarge,
    OffsetOutOfRange,
    OutOfOrderSequenceNumber,
    RecordListTooLarge,
)
from protocol.control_batches import control_batch
from protocol.records import decode_records, iter_batches, parse_header


def test_a_new_log_makes_only_its_directory(tmp_path):
    log = a_log(tmp_path)
    assert (log.log_start_offset, log.log_end_offset, log.last_epoch) == (0, 0, -1)
    assert list((tmp_path / "events-0").iterdir()) == []
    assert log.read(0, 1000, up_to=0) == b""
    log.check()


def test_a_new_log_with_a_topic_id_writes_partition_metadata(tmp_path):
    a_log(tmp_path, topic_id=b"\x01" * 16)
    text = (tmp_path / "events-0" / "partition.metadata").read_text()
    assert text.startswith("version: 0\ntopic_id: AQEB")


def test_the_leader_assigns_offsets_and_epoch(tmp_path):
    log = a_log(tmp_path)
    log.append_as_leader(a_batch(3), 5, NOW_MS)
    info = log.append_as_leader(a_batch(2) + a_batch(4), 5, NOW_MS)
    assert (info.first_offset, info.last_offset, info.record_count, info.log_append_time_ms) == (3, 8, 6, -1)
    assert [header.base_offset for header in iter_batches(info.batches)] == [3, 5]
    assert {header.leader_epoch for header in iter_batches(log.read(0, 9_999, up_to=9))} == {5}
    assert (log.log_end_offset, log.last_epoch) == (9, 5)
    assert log.leader_epochs.entries == [(5, 0)]
    assert offsets_in(log) == list(range(9))


def test_a_read_only_buffer_is_not_patched(tmp_path):
    log = a_log(tmp_path)
    log.append_as_leader(a_batch(), 1, NOW_MS)
    batch = bytes(a_batch())
    assert parse_header(log.append_as_leader(batch, 1, NOW_MS).batches).base_offset == 1
    assert parse_header(batch).base_offset == 0


def test_a_writable_buffer_is_patched_in_place(tmp_path):
    log = a_log(tmp_path)
    log.append_as_leader(a_batch(), 1, NOW_MS)
    batch = a_batch()
    log.append_as_leader(memoryview(batch), 1, NOW_MS)
    assert parse_header(batch).base_offset == 1


def test_log_append_time_replaces_the_clients(tmp_path):
    log = a_log(tmp_path, message_timestamp_type="LogAppendTime")
    info = log.append_as_leader(a_batch(2, timestamp=5), 1, NOW_MS)
    assert (info.log_append_time_ms, info.max_timestamp) == (NOW_MS, NOW_MS)
    chunk = log.read(0, 9_999, up_to=2)
    assert {record.timestamp for record in decode_records(chunk, parse_header(chunk))} == {NOW_MS}


def test_a_follower_keeps_offsets_and_learns_epochs(tmp_path):
    leader, follower = a_log(tmp_path / "1"), a_log(tmp_path / "2")
    for epoch in (1, 1, 4):
        follower.append_as_follower(leader.append_as_leader(a_batch(2), epoch, NOW_MS).batches)
    assert follower.leader_epochs.entries == leader.leader_epochs.entries == [(1, 0), (4, 4)]
    assert follower.read(0, 9_999, up_to=6) == leader.read(0, 9_999, up_to=6)


@pytest.mark.parametrize("base_offset", [0, 1, 3, 9])
def test_a_follower_refuses_offsets_that_do_not_go_on(tmp_path, base_offset):
    log = a_log(tmp_path)
    log.append_as_leader(a_batch(2), 1, NOW_MS)
    with pytest.raises(InvalidRecord):
        log.append_as_follower(a_batch(2, base_offset=base_offset))
    assert log.log_end_offset == 2


def test_a_follower_of_a_compacted_log_accepts_holes(tmp_path):
    log = a_log(tmp_path, is_compacted=True)
    log.append_as_follower(a_batch(2, base_offset=5))
    log.append_as_follower(a_batch(2, base_offset=50))
    assert offsets_in(log) == [5, 6, 50, 51]
    assert parse_header(log.read(7, 9_999, up_to=52)).base_offset == 50


# --- What is refused, whole and without a trace ---------------------------------------------------------------------


def corrupt(batch: bytearray) -> bytearray:
    batch[-1] ^= 1
    return batch


REFUSED = {
    "empty": (b"", InvalidRecord),
    "bad crc": (corrupt(a_batch()), CorruptMessage),
    "cut short": (a_batch()[:-1], CorruptMessage),
    "second batch corrupt": (a_batch() + corrupt(a_batch()), CorruptMessage),
    "too large": (a_batch(value=b"x" * 2_000), MessageTooLarge),
    "more than a segment": (a_batch(value=b"x" * 900) * 6, RecordListTooLarge),
    "control": (
        control_batch(is_commit=True, producer_id=1, producer_epoch=0, coordinator_epoch=0, timestamp=1),
        InvalidRecord,
    ),
    "producer without sequence": (a_batch(producer_id=3, producer_epoch=0), InvalidRecord),
    "transaction without producer": (a_batch(transactional=True), InvalidRecord),
    "offset delta": (a_batch(2, last_offset_delta=5), InvalidRecord),
    "from the future": (a_batch(timestamp=NOW_MS + 3_700_000), InvalidTimestamp),
    "log append time": (a_batch(append_time_ms=NOW_MS), InvalidTimestamp),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_leader_refuses_leaves_no_trace(tmp_path, name):
    batches, error = REFUSED[name]
    log = a_log(tmp_path, max_message_bytes=1_500, segment_bytes=5_000)
    with pytest.raises(error):
        log.append_as_leader(batches, 1, NOW_MS)
    assert (log.log_end_offset, log.size_bytes, len(log.producers)) == (0, 0, 0)
    assert not log.is_failed


def test_a_compacted_topic_wants_keys(tmp_path):
    from protocol.records import Record, encode_batch

    log = a_log(tmp_path, is_compacted=True)
    log.append_as_leader(a_batch(), 1, NOW_MS)
    with pytest.raises(InvalidRecord):
        log.append_as_leader(encode_batch([Record(-1, NOW_MS, None, b"x")]), 1, NOW_MS)


@pytest.mark.parametrize("asked,written", [("gzip", "gzip"), ("zstd", "zstd"), ("uncompressed", "none")])
def test_a_topic_may_ask_for_a_codec(tmp_path, asked, written):
    log = a_log(tmp_path, compression_type=asked)
    log.append_as_leader(a_batch(20, codec="lz4", producer_id=1, producer_epoch=0, base_sequence=0), 1, NOW_MS)
    log.append_as_leader(a_batch(20, producer_id=1, producer_epoch=0, base_sequence=20), 1, NOW_MS)
    assert [header.codec for header in iter_batches(log.read(0, 9_999, up_to=40))] == [written] * 2
    assert offsets_in(log) == list(range(40))


# --- Idempotent producers -------------------------------------------------------------------------------------------


def from_producer(sequence: int, count: int = 2) -> bytearray:
    return a_batch(count, producer_id=7, producer_epoch=0, base_sequence=sequence)


def test_a_retry_is_answered_with_the_first_offsets(tmp_path):
    log = a_log(tmp_path)
    log.append_as_leader(a_batch(5), 1, NOW_MS)
    log.append_as_leader(from_producer(0), 1, NOW_MS)
    log.append_as_leader(from_producer(2), 1, NOW_MS)
    info = log.append_as_leader(from_producer(0), 1, NOW_MS)
    assert (info.is_duplicate, info.first_offset, info.last_offset) == (True, 5, 6)
    assert log.log_end_offset == 9


def test_a_gap_in_sequences_is_refused(tmp_path):
    log = a_log(tmp_path)
    log.append_as_leader(from_producer(0), 1, NOW_MS)
    with pytest.raises(OutOfOrderSequenceNumber):
        log.append_as_leader(from_producer(4), 1, NOW_MS)
    assert log.log_end_offset == 2


def test_two_batches_of_a_producer_in_one_append(tmp_path):
    log = a_log(tmp_path)
    log.append_as_leader(from_producer(0) + from_producer(2), 1, NOW_MS)
    with pytest.raises(OutOfOrderSequenceNumber):
        log.append_as_leader(from_producer(4) + from_producer(9), 1, NOW_MS)
    info = log.append_as_leader(from_producer(0) + from_producer(2), 1, NOW_MS)
    assert (info.is_duplicate, info.first_offset, info.last_offset, log.log_end_offset) == (True, 0, 3, 4)


def test_sequences_survive_rolls_and_restarts(tmp_path):
    log = a_log(tmp_path, segment_bytes=300)
    for sequence in range(0, 20, 2):
        log.append_as_leader(from_producer(sequence), 1, NOW_MS)
    assert len(log.segments) > 3
    log.close()
    for was_clean in (True, False):
        again = a_log(tmp_path, was_clean=was_clean)
        assert again.append_as_leader(from_producer(18), 1, NOW_MS).is_duplicate
        with pytest.raises(OutOfOrderSequenceNumber):
            again.append_as_leader(from_producer(30), 1, NOW_MS)


def test_aborted_transactions_are_found_by_fetches(tmp_path):
    log = a_log(tmp_path, segment_bytes=400)
    log.append_as_leader(a_batch(producer_id=7, producer_epoch=0, base_sequence=0, transactional=True), 1, NOW_MS)
    for _ in range(5):
        log.append_as_leader(a_batch(2), 1, NOW_MS)
    assert log.producers.first_undecided_offset == 0
    marker = control_batch(is_commit=False, producer_id=7, producer_epoch=0, coordinator_epoch=0, timestamp=NOW_MS)
    log.append_as_leader(marker, 1, NOW_MS, from_client=False)
    assert log.producers.first_undecided_offset is None
    expected = [(7, 0, 11, 12)]
    assert log.aborted_transactions(0, 5) == log.aborted_transactions(0, 12) == expected
    log.flush()
    again = a_log(tmp_path, was_clean=False)
    assert again.aborted_transactions(0, 12) == expected


# --- Reading --------------------------------------------------------------------------------------------------------


def test_reads_end_below_up_to_and_within_max_bytes(tmp_path):
    log = a_log(tmp_path)
    sizes = [len(log.append_as_leader(a_batch(2), 1, NOW_MS).batches) for _ in range(5)]
    assert len(log.read(0, 10**6, up_to=10)) == sum(sizes)
    assert len(log.read(0, 10**6, up_to=4)) == sum(sizes[:2])
    assert len(log.read(3, 10**6, up_to=5)) == sum(sizes[1:3])
    assert len(log.read(2, sizes[0] * 2 + 1, up_to=10)) == sizes[0] * 2
    assert len(log.read(2, 1, up_to=10)) == sizes[0]
    assert log.read(2, 1, up_to=10, at_least_one=False) == b""
    assert log.read(10, 100, up_to=10) == b""
    assert log.read(4, 100, up_to=4) == b""


@pytest.mark.parametrize("offset", [-1, 4, 100])
def test_reads_outside_the_log_are_out_of_range(tmp_path, offset):
    log = a_log(tmp_path)
    log.append_as_leader(a_batch(3), 1, NOW_MS)
    with pytest.raises(OffsetOutOfRange):
        log.read(offset, 100, up_to=3)


@pytest.mark.parametrize("forget_positions", [False, True])
@pytest.mark.parametrize("value_bytes", [10, 300, 90_000])
def test_every_offset_is_found_with_and_without_memory(tmp_path, forget_positions, value_bytes):
    log = a_log(tmp_path, segment_bytes=400_000, index_interval_bytes=1_000)
    for _ in range(60):
        log.append_as_leader(a_batch(3, value=b"x" * (value_bytes // 3)), 1, NOW_MS)
    if forget_positions:
        log.close()
        log = a_log(tmp_path, index_interval_bytes=1_000)
        for segment in log.segments:
            segment.positions.clear()
    for offset in range(180):
        header = parse_header(log.read(offset, 70_000, up_to=180))
        assert header.base_offset <= offset <= header.last_offset
        small = log.read(offset, 70_000, up_to=offset + 1)
        assert len(small) == parse_header(small).size
    assert offsets_in(log) == list(range(180))


# --- Rolling --------------------------------------------------------------------------------------------------------


def test_segments_roll_by_size(tmp_path):
    log = a_log(tmp_path, segment_bytes=1_000)
    for _ in range(30):
        log.append_as_leader(a_batch(2), 1, NOW_MS)
    assert len(log.segments) > 3
    assert all(segment.size <= 1_000 for segment in log.segments)
    names = sorted(path.name for path in (tmp_path / "events-0").glob("*.log"))
    assert names == [f"{segment.base_offset:020d}.log" for segment in log.segments]


def test_segments_roll_by_the_first_batchs_timestamp(tmp_path):
    log = a_log(tmp_path, segment_ms=1_000)
    for timestamp in (NOW_MS, NOW_MS + 1_000, NOW_MS + 1_001, NOW_MS + 1_500):
        log.append_as_leader(a_batch(timestamp=timestamp), 1, NOW_MS + 1_500)
    assert [segment.base_offset for segment in log.segments] == [0, 2]


def test_segments_roll_when_an_index_is_full(tmp_path):
    log = a_log(tmp_path, segment_index_bytes=32, index_interval_bytes=1)
    for _ in range(12):
        log.append_as_leader(a_batch(), 1, NOW_MS)
    assert len(log.segments) > 1
    assert all(segment.offset_index.size_bytes() <= 32 for segment in log.segments)


def test_segments_roll_before_relative_offsets_overflow(tmp_path):
    log = a_log(tmp_path, is_compacted=True)
    log.append_as_follower(a_batch(base_offset=0))
    log.append_as_follower(a_batch(base_offset=2**31 - 1))
    log.append_as_follower(a_batch(base_offset=2**31))
    assert [segment.base_offset for segment in log.segments] == [0, 2**31]
    assert offsets_in(log) == [0, 2**31 - 1, 2**31]


def test_a_roll_asked_for_keeps_the_log_end_over_a_restart(tmp_path):
    log = a_log(tmp_path)
    log.append_as_leader(a_batch(4), 1, NOW_MS)
    log.roll(NOW_MS)
    log.roll(NOW_MS)
    log.close()
    assert [segment.base_offset for segment in log.segments] == [0, 4]
    assert a_log(tmp_path).log_end_offset == 4


# --- Timestamps and epochs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_offsets_are_found_by_timestamp(tmp_path, codec):
    log = a_log(tmp_path, segment_bytes=2_000, index_interval_bytes=200)
    for n in range(40):
        log.append_as_leader(a_batch(5, timestamp=1_000 + 10 * n, codec=codec), n // 10, NOW_MS)
    for n in range(40):
        assert log.offset_for_timestamp(1_000 + 10 * n + 3, 200) == (5 * n + 3, 1_000 + 10 * n + 3, n // 10)
        if n < 39:
            assert log.offset_for_timestamp(1_000 + 10 * n + 7, 200) == (5 * n + 5, 1_010 + 10 * n, (n + 1) // 10)
    assert log.offset_for_timestamp(0, 200) == (0, 1_000, 0)
    assert log.offset_for_timestamp(5_000, 200) is None
    assert log.offset_for_timestamp(1_050, 25) is None
    assert log.max_timestamp_offset() == (199, 1_394, 3)
    assert log.max_timestamp_offset(12) == (11, 1_021, 0)
    log.advance_log_start(12)
    assert log.offset_for_timestamp(0, 200) == (12, 1_022, 0)


def test_the_largest_timestamp_need_not_be_the_last(tmp_path):
    log = a_log(tmp_path)
    for timestamp in (10, 99, 20):
        log.append_as_leader(a_batch(timestamp=timestamp), 1, NOW_MS)
    assert log.max_timestamp_offset() == (1, 99, 1)
    assert log.max_timestamp_offset(1) == (0, 10, 1)
    assert a_log(tmp_path / "empty").max_timestamp_offset() is None


def test_epochs_answer_where_they_ended(tmp_path):
    log = a_log(tmp_path)
    for epoch in (2, 2, 5):
        log.append_as_leader(a_batch(3), epoch, NOW_MS)
    assert log.end_offset_for_epoch(2) == (2, 6)
    assert log.end_offset_for_epoch(4) == (2, 6)
    assert log.end_offset_for_epoch(5) == (5, 9)
    assert log.end_offset_for_epoch(6) == (-1, -1)
    log.start_epoch(8, 9)
    assert (log.last_epoch, log.end_offset_for_epoch(5)) == (8, (5, 9))
