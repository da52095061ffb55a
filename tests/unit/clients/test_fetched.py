"""What a consumer makes of fetched batches."""

import pytest

from clients.fetched import Chunk, Decoding, last_header_of
from model.errors import CorruptMessage
from protocol.control_batches import control_batch
from protocol.k01_fetch import AbortedTransaction
from protocol.records import Record, encode_batch


def batch(start, *values, **options):
    return encode_batch([Record(-1, 1_000 + n, b"k", value) for n, value in enumerate(values)],
                        base_offset=start, **options)  # fmt: skip


def a_chunk(*batches, start=0, aborted=(), committed=False, key=None, value=None, crcs=True):
    decoding = Decoding(key, value, checks_crcs=crcs, is_committed_only=committed)
    return Chunk(("t", 0), b"".join(batches), start, 1, aborted, decoding)


def values(records):
    return [record.value for record in records]


def test_records_come_in_order_as_many_as_asked_for():
    chunk = a_chunk(batch(0, b"a", b"b", b"c"), batch(3, b"d", b"e"))
    first, is_over = chunk.take(2)
    assert values(first) == [b"a", b"b"] and not is_over and chunk.position == 2
    second, is_over = chunk.take(2)
    assert values(second) == [b"c", b"d"] and not is_over and chunk.position == 4
    third, is_over = chunk.take(10)
    assert values(third) == [b"e"] and is_over and chunk.position == 5


def test_a_record_shows_everything():
    (record,), _ = a_chunk(
        encode_batch([Record(-1, 5, b"k", b"v", [("h", b"1")])], base_offset=9, leader_epoch=4)
    ).take(5)
    assert (record.topic, record.partition, record.offset, record.timestamp) == ("t", 0, 9, 5)
    assert (record.key, record.value, record.headers, record.header("h")) == (b"k", b"v", [("h", b"1")], b"1")
    assert (record.leader_epoch, record.timestamp_type, record.header("x")) == (4, "CreateTime", None)
    assert repr(record) == "<ConsumerRecord t-0@9>"


def test_what_lies_before_the_position_is_left_out():
    chunk = a_chunk(batch(0, b"a", b"b", b"c"), batch(3, b"d"), start=2)
    assert values(chunk.take(10)[0]) == [b"c", b"d"]


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_every_codec(codec):
    assert values(a_chunk(batch(0, b"a" * 100, b"b", codec=codec)).take(5)[0]) == [b"a" * 100, b"b"]


def test_a_batch_that_was_cut_short_is_left_for_the_next_fetch():
    whole, cut = batch(0, b"a"), batch(1, b"b")[:-5]
    assert values(a_chunk(whole, cut).take(5)[0]) == [b"a"]
    assert last_header_of(b"".join((whole, cut))).next_offset == 1
    assert last_header_of(cut) is None


def test_compaction_moves_the_position_past_what_is_gone():
    compacted = encode_batch([Record(2, 0, b"k", b"c")], base_offset=0, last_offset_delta=7)
    chunk = a_chunk(compacted)
    assert values(chunk.take(5)[0]) == [b"c"]
    assert chunk.position == 8


def test_aborted_records_are_left_out_when_only_committed_ones_are_wanted():
    log = [
        batch(0, b"x", transactional=True, producer_id=1, producer_epoch=0, base_sequence=0),
        batch(1, b"y", transactional=True, producer_id=2, producer_epoch=0, base_sequence=0),
        batch(2, b"plain"),
        control_batch(
            is_commit=False, producer_id=1, producer_epoch=0, coordinator_epoch=0, timestamp=0, base_offset=3
        ),
        batch(4, b"z", transactional=True, producer_id=1, producer_epoch=0, base_sequence=1),
        control_batch(is_commit=True, producer_id=1, producer_epoch=0, coordinator_epoch=0, timestamp=0, base_offset=5),
        control_batch(is_commit=True, producer_id=2, producer_epoch=0, coordinator_epoch=0, timestamp=0, base_offset=6),
    ]
    aborted = [AbortedTransaction(producer_id=1, first_offset=0)]
    committed = a_chunk(*log, aborted=aborted, committed=True)
    assert values(committed.take(10)[0]) == [b"y", b"plain", b"z"]
    assert committed.position == 7
    assert values(a_chunk(*log).take(10)[0]) == [b"x", b"y", b"plain", b"z"]


def test_a_corrupt_batch_is_an_error_but_not_before_what_is_whole():
    good, bad = batch(0, b"a"), batch(1, b"b")
    bad[-2] ^= 1
    chunk = a_chunk(good, bad, batch(2, b"c"))
    assert values(chunk.take(10)[0]) == [b"a"] and chunk.position == 1
    with pytest.raises(CorruptMessage):
        chunk.take(10)
    with pytest.raises(CorruptMessage):
        a_chunk(bad, start=1).take(10)
    assert len(a_chunk(bad, start=1, crcs=False).take(10)[0]) == 1


def test_deserializers_work_when_looked_at_and_once():
    calls = []

    def loud(raw):
        calls.append(raw)
        return raw.decode().upper()

    (record,), _ = a_chunk(batch(0, b"v"), value=loud).take(1)
    assert calls == []
    assert record.value == "V" and record.value == "V" and record.key == b"k"
    assert calls == [b"v"] and record.raw_value == b"v"


def test_a_tombstone_is_not_deserialized():
    (record,), _ = a_chunk(batch(0, None), value=bytes.decode).take(1)
    assert record.value is None
