"""How records gather in batches."""

import pytest
from record_buffer import Buffer

from clients.errors import BufferFull
from model.errors import MessageTooLarge
from protocol.records import decode_records, iter_batches


def test_records_share_a_batch_until_it_is_full():
    buffer = Buffer()
    deliveries = [buffer.append(b"x" * 100) for _ in range(20)]
    sizes = [batch.count for batch in buffer.ready()]
    assert sizes == [8, 8] and buffer.topic.queue(0).open.count == 4
    assert [d._row.offset for d in deliveries] == [*range(8), *range(8), *range(4)]
    assert buffer.woken >= 3  # for each batch begun, at least


def test_what_was_appended_is_in_the_batch():
    buffer = Buffer()
    buffer.append(b"v", key=b"k", headers=[("h", b"1")], timestamp=123)
    buffer.append(None, key=b"gone")
    batch = buffer.topic.queue(0).open
    encoded = batch.encode()
    (header,) = iter_batches(encoded)
    first, second = decode_records(encoded, header)
    assert (first.key, first.value, first.timestamp, list(first.headers)) == (b"k", b"v", 123, [("h", b"1")])
    assert (second.offset, second.key, second.value) == (1, b"gone", None)


def test_a_stamp_can_be_changed_without_encoding_again():
    from protocol.records import check_crc, parse_header

    buffer = Buffer(codec="gzip")
    buffer.append(b"v" * 50)
    batch = buffer.topic.queue(0).open
    for stamp, sequence in (((5, 1), 10), ((5, 2), 0)):
        batch.stamp, batch.sequence = stamp, sequence
        header = parse_header(batch.stamped())
        assert (header.producer_id, header.producer_epoch, header.base_sequence) == (*stamp, sequence)
        check_crc(batch.stamped(), header)


def test_a_record_larger_than_a_batch_gets_one_of_its_own():
    buffer = Buffer()
    buffer.append(b"small")
    buffer.append(b"x" * 5_000)
    assert [batch.count for batch in buffer.ready()] == [1]
    assert buffer.topic.queue(0).open.count == 1


def test_a_record_larger_than_a_request_is_refused():
    with pytest.raises(MessageTooLarge, match=r"max\.request\.size"):
        Buffer().append(b"x" * 60_000)


def test_records_without_a_partition_stay_together_and_then_move_on():
    buffer = Buffer()
    partitions = [buffer.append(b"x" * 100, partition=-1).partition for _ in range(24)]
    runs = [partitions[start : start + 8] for start in (0, 8, 16)]
    assert all(len(set(run)) == 1 for run in runs)
    assert partitions[0] != partitions[8] != partitions[16]


def test_memory_runs_out_and_comes_back():
    buffer = Buffer(buffer_memory=3_000)
    with pytest.raises(BufferFull):
        for _ in range(100):
            buffer.append(b"x" * 100)
    assert buffer.accumulator.is_full
    buffer.accumulator.finished(list(buffer.ready()))
    assert not buffer.accumulator.is_full
    buffer.append(b"x")


def test_many_values_at_once():
    buffer = Buffer()
    values = [b"%d" % n * 30 for n in range(100)]
    taken, deliveries = buffer.accumulator.append_many(buffer.topic, 1, 7, b"k", values)
    batches = [*buffer.ready(1), buffer.topic.queue(1).open]
    assert taken == 100 and [d._batch for d in deliveries] == batches
    assert [d._row.offset + 1 for d in deliveries] == [batch.count for batch in batches]
    found = []
    for batch in batches:
        encoded = batch.encode()
        found += decode_records(encoded, next(iter_batches(encoded)))
    assert [record.value for record in found] == values


def test_many_values_stop_when_memory_is_used_up():
    buffer = Buffer(buffer_memory=3_000)
    taken, deliveries = buffer.accumulator.append_many(buffer.topic, -1, 7, None, [b"x" * 100] * 100)
    assert 20 < taken < 40 and sum(delivery._batch.count for delivery in deliveries) == taken


def test_a_batch_closes_when_it_has_lingered_or_is_hurried():
    buffer = Buffer()
    buffer.append(b"x")
    queue = buffer.topic.queue(0)
    created = queue.open.created
    buffer.accumulator.close_due(queue, created - 1, at_once=False)
    assert queue.open is not None
    buffer.accumulator.close_due(queue, created, at_once=False)
    assert queue.open is None and len(queue.ready) == 1
    buffer.append(b"y")
    buffer.accumulator.hurry()
    buffer.accumulator.close_due(queue, 0, at_once=False)
    assert len(queue.ready) == 2


def test_a_value_that_is_no_bytes_spoils_nothing():
    buffer = Buffer()
    with pytest.raises(TypeError):
        buffer.append("text")
    buffer.append(b"bytes")
    assert buffer.topic.queue(0).open.count == 1
