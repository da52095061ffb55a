"""Our consumer: where it begins, how it seeks, and what wakes it."""

from __future__ import annotations

import threading

import pytest
from own_clients import a_consumer, admin, made, places, read, where

from clients.errors import IllegalUse, NoOffset, WokenUp
from odradek import Admin, Producer, TopicPartition

__all__ = ["admin", "made", "where"]

pytestmark = pytest.mark.compat


def test_seeking_pausing_and_lag(where: str, made: str) -> None:
    place, other = places(made)[:2]
    with Producer(bootstrap_servers=where) as producer:
        for number in range(100):
            producer.send(made, b"%d" % number, partition=0, timestamp_ms=1_700_000_000_000 + number * 1_000)
        producer.send(made, b"other", partition=1)
    with a_consumer(where) as consumer:
        consumer.assign([place, other])
        assert consumer.beginning_offsets([place]) == {place: 0} and consumer.end_offsets([place]) == {place: 100}
        found = consumer.offsets_for_times({place: 1_700_000_030_000, other: 9_999_999_999_999})
        assert found[place] is not None and found[place].offset == 30 and found[other] is None
        consumer.pause([other])
        consumer.seek(place, 97)
        assert [record.value for record in read(consumer, 3)] == [b"97", b"98", b"99"]
        assert consumer.position(place) == 100 and consumer.lag(place) == 0
        consumer.seek_to_time(1_700_000_098_000, [place])
        assert read(consumer, 2)[0].value == b"98"
        consumer.seek_to_beginning([place])
        assert consumer.position(place) == 0
        assert consumer.poll(10_000, max_records=1)[0].value == b"0"
        consumer.seek_to_end([place])
        assert consumer.position(place) == 100
        assert consumer.paused() == {other}
        consumer.resume([other])
        assert read(consumer, 1)[0].value == b"other"
        batches = consumer.poll_batches(0)
        assert batches == {}


def test_where_reading_begins_without_an_offset(where: str, made: str) -> None:
    with Producer(bootstrap_servers=where) as producer:
        producer.send(made, b"old", partition=0).result(30)
        with a_consumer(where, auto_offset_reset="latest") as consumer:
            consumer.assign(places(made, 1))
            assert consumer.position(places(made)[0]) == 1
            producer.send(made, b"new", partition=0).result(30)
            assert read(consumer, 1)[0].value == b"new"
        with a_consumer(where, auto_offset_reset="none") as consumer:
            consumer.assign(places(made, 1))
            with pytest.raises(NoOffset):
                consumer.poll(10_000)
            consumer.seek(places(made)[0], 1)
            assert read(consumer, 1)[0].value == b"new"


def test_an_offset_out_of_range_is_reset(where: str, made: str, admin: Admin) -> None:
    with Producer(bootstrap_servers=where) as producer:
        for number in range(10):
            producer.send(made, b"%d" % number, partition=0)
    assert admin.delete_records({places(made)[0]: 6}) == {places(made)[0]: 6}
    with a_consumer(where) as consumer:
        consumer.assign(places(made, 1))
        consumer.seek(places(made)[0], 2)
        assert [record.value for record in read(consumer, 4)] == [b"6", b"7", b"8", b"9"]


def test_another_thread_wakes_a_poll(where: str, made: str) -> None:
    with a_consumer(where) as consumer:
        consumer.assign(places(made))
        threading.Timer(0.2, consumer.wakeup).start()
        with pytest.raises(WokenUp):
            consumer.poll(3_600_000)  # longer than a test may take
        assert consumer.poll(0) == []


def test_calls_in_an_order_that_makes_no_sense(where: str, made: str) -> None:
    with a_consumer(where) as consumer:
        with pytest.raises(IllegalUse, match=r"group\.id"):
            consumer.subscribe([made])
        with pytest.raises(IllegalUse, match="not assigned"):
            consumer.seek(TopicPartition(made, 0), 0)
        with pytest.raises(IllegalUse, match=r"group\.id"):
            consumer.commit({TopicPartition(made, 0): 1})
    with a_consumer(where, group_id="g") as consumer:
        consumer.subscribe([made])
        with pytest.raises(IllegalUse, match="subscribed"):
            consumer.assign(places(made))
