"""Records by column: what goes in comes out, however the batches and the polls fall."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from clients.murmur2 import murmur2
from clients.record_columns import columns_of
from model.errors import MessageTooLarge
from odradek import Admin, Cluster, Consumer, NewTopic, Producer, TopicPartition

PARTITIONS = 2
COUNT = 3_000


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    with Cluster(brokers=1, in_process=True) as cluster:
        with Admin(bootstrap_servers=cluster.bootstrap) as admin:
            admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in ("plain", "headers", "large")])
        yield cluster.bootstrap


def read(bootstrap: str, topic: str, at_once: int) -> dict[int, list[tuple[Any, ...]]]:
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    found: dict[int, list[tuple[Any, ...]]] = {number: [] for number in range(PARTITIONS)}
    with Consumer({"bootstrap.servers": bootstrap}) as consumer:
        consumer.assign(places)
        consumer.seek_to_beginning(places)
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < end for place, end in ends.items()):
            for place, records in consumer.poll_batches(500, at_once).items():
                columns = columns_of(records)
                assert columns.timestamps == [record.timestamp for record in records]
                found[place.partition] += zip(*columns, strict=True)
    return found


@pytest.mark.parametrize("topic", ["plain", "headers"])
def test_every_record_arrives_in_order_in_the_partition_of_its_key(bootstrap: str, topic: str) -> None:
    keys = [b"k%d" % (number % 50) for number in range(COUNT)]
    values = [None if number % 7 == 0 else b"v%d" % number * 20 for number in range(COUNT)]
    timestamps = [1_000 + number * 3 for number in range(COUNT)]
    headers = None if topic == "plain" else [(("n", b"%d" % number),) if number % 2 else () for number in range(COUNT)]
    small = {"bootstrap.servers": bootstrap, "buffer.memory": 60_000, "batch.size": 4_096}  # it must wait for room
    with Producer(small) as producer:
        last = producer.send_columns(topic, keys, values, timestamps, headers=headers)
        assert last is not None
        assert producer.flush()
        assert last.result().timestamp == timestamps[-1]
    found = read(bootstrap, topic, 7)
    for partition in range(PARTITIONS):
        mine = [n for n in range(COUNT) if (murmur2(keys[n]) & 0x7FFFFFFF) % PARTITIONS == partition]
        expected = [(at, timestamps[n], keys[n], values[n], headers[n] if headers else ()) for at, n in enumerate(mine)]
        assert found[partition] == expected


def test_a_record_that_no_batch_can_hold_is_refused(bootstrap: str) -> None:
    with Producer({"bootstrap.servers": bootstrap, "max.request.size": 10_000}) as producer:
        with pytest.raises(MessageTooLarge):
            producer.send_columns("large", [b"b", b"a"], [b"x" * 20_000, b"x"], [1, 2], partition=1)
        producer.flush()
    assert read(bootstrap, "large", 100)[1] == []
