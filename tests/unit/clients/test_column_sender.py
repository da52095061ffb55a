"""Records that come as columns go into the same batches as those that come one by one."""

import pytest
from record_buffer import Buffer

from clients.column_sender import Columns, append_columns
from model.errors import MessageTooLarge
from protocol.records import decode_records, iter_batches


def columns(values, partitions=None, headers=None):
    count = len(values)
    return Columns(partitions or [0] * count, [b"k"] * count, values, [7] * count, headers)


def written(buffer, partition=0):
    queue = buffer.topic.queue(partition)
    batches = [*queue.ready, *([queue.open] if queue.open is not None else [])]
    encoded = [batch.encode() for batch in batches]
    return [[record for header in iter_batches(each) for record in decode_records(each, header)] for each in encoded]


def test_full_batches_are_closed_and_the_next_one_begins_with_the_record_that_did_not_fit():
    buffer = Buffer()
    given = columns([b"%03d" % number + b"x" * 97 for number in range(20)])
    assert append_columns(buffer.accumulator, buffer.topic, given)
    batches = written(buffer)
    assert len(batches) == 3
    assert [record.value[:3] for batch in batches for record in batch] == [b"%03d" % number for number in range(20)]
    assert given.last._row.offset == len(batches[-1]) - 1


def test_each_record_goes_to_its_partition_with_its_headers():
    buffer = Buffer()
    given = columns([b"a", b"b", b"c"], partitions=[0, 1, 0], headers=[[("h", b"1")], None, None])
    assert append_columns(buffer.accumulator, buffer.topic, given)
    ((a, c),), ((b,),) = written(buffer, 0), written(buffer, 1)
    assert (a.value, b.value, c.value) == (b"a", b"b", b"c")
    assert list(a.headers) == [("h", b"1")] and not c.headers


def test_a_full_buffer_takes_some_and_goes_on_where_it_stopped():
    buffer = Buffer(buffer_memory=2_000)
    given = columns([b"x" * 100] * 40)
    assert not append_columns(buffer.accumulator, buffer.topic, given)
    assert 0 < given.done < 40
    ready = buffer.ready()
    while given.done < 40:
        batches = list(ready)
        ready.clear()
        buffer.accumulator.finished(batches)
        append_columns(buffer.accumulator, buffer.topic, given)
        assert batches, "nothing was freed, and nothing taken"
    assert given.done == 40


def test_a_record_larger_than_a_request_is_refused_after_those_before_it():
    buffer = Buffer()
    given = columns([b"a", b"x" * 60_000, b"c"])
    with pytest.raises(MessageTooLarge):
        append_columns(buffer.accumulator, buffer.topic, given)
    assert given.done == 1
