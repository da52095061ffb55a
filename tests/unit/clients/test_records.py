"""What a consumer hands out: views on the records of a batch."""

import gc

import pytest

from clients.records import ConsumerRecord, DeserializedRecord, Source, by_partition
from protocol.records import Record, encode_batch, parse_header


def views(*records, partition=1, key=None, value=None, record_class=ConsumerRecord, **options):
    batch = bytes(encode_batch(records, **options))
    return Source("t", partition, batch, parse_header(batch), key, value).views(record_class)


def test_what_is_not_in_the_view_is_found_in_the_batch():
    compacted = [Record(offset, 1_000 + offset, b"k", b"v", [("h", b"%d" % offset)]) for offset in (0, 3, 4, 9)]
    found = views(*compacted, base_offset=0)
    assert [view.offset for view in found] == [0, 3, 4, 9]
    assert [view.timestamp for view in found] == [1_000, 1_003, 1_004, 1_009]
    assert [view.headers for view in found] == [[("h", b"0")], [("h", b"3")], [("h", b"4")], [("h", b"9")]]


def test_reading_values_keys_and_offsets_opens_no_batch_twice():
    found = views(*(Record(-1, 5, b"k", b"%d" % n) for n in range(300)))
    assert [(view.key, view.value, view.offset) for view in found] == [(b"k", b"%d" % n, n) for n in range(300)]
    assert found[0]._source._opened is None
    assert found[299].timestamp == 5 and found[0]._source._opened is not None


def test_views_are_none_of_the_garbage_collectors_business():
    found = views(Record(-1, 5, b"k", b"v"), Record(-1, 5, None, None))
    assert not any(map(gc.is_tracked, found))


def test_the_last_header_of_a_name_counts():
    (record,) = views(Record(-1, 5, None, b"v", [("h", b"1"), ("h", b"2"), ("n", None)]))
    assert (record.header("h"), record.header("n"), record.header("x")) == (b"2", None, None)


def test_only_what_is_looked_at_is_deserialized_and_only_once():
    seen = []

    def deserialize(data):
        seen.append(data)
        return data.decode()

    (record,) = views(Record(-1, 5, b"k", b"v"), key=deserialize, value=deserialize, record_class=DeserializedRecord)
    assert seen == []
    assert (record.value, record.value, seen) == ("v", "v", [b"v"])
    assert (record.raw_key, record.raw_value, seen) == (b"k", b"v", [b"v"])
    assert (record.key, seen) == ("k", [b"v", b"k"])


def test_what_a_deserializer_raises_is_raised_where_the_record_is_looked_at():
    record, tombstone = views(
        Record(-1, 5, b"k", b"\xff"), Record(-1, 5, b"k", None),
        value=lambda data: data.decode(), record_class=DeserializedRecord,
    )  # fmt: skip
    assert record.key == b"k" and tombstone.value is None
    with pytest.raises(UnicodeDecodeError):
        _ = record.value


def test_two_records_are_never_the_same():
    first, second = views(Record(-1, 5, b"k", b"v"), Record(-1, 5, b"k", b"v"))
    assert first != second and len({first, second}) == 2


def test_records_are_gathered_by_partition_in_their_order():
    first, second = views(Record(-1, 5, None, b"1"), Record(-1, 5, None, b"2")), views(Record(-1, 5, None, b"3"))
    other = views(Record(-1, 5, None, b"x"), partition=2)
    found = by_partition([*first, *other, *second])
    assert {place: [view.value for view in these] for place, these in found.items()} == {
        ("t", 1): [b"1", b"2", b"3"], ("t", 2): [b"x"],
    }  # fmt: skip
