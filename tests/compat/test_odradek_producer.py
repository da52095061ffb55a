"""Our producer: what it sends arrives as it was, once and in order, or says why not."""

from __future__ import annotations

from typing import Any

import pytest
from own_clients import REPLICAS, a_consumer, admin, made, places, read, read_topic, where

from clients.errors import BufferFull
from clients.interceptors import OutgoingRecord, ProducerInterceptor
from model.errors import MessageTooLarge, UnknownTopicOrPartition
from odradek import Admin, NewTopic, Producer, wait_until

__all__ = ["admin", "made", "where"]

pytestmark = pytest.mark.compat


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_records_round_trip_with_all_they_carry(where: str, made: str, codec: str) -> None:
    with Producer(bootstrap_servers=where, compression_type=codec) as producer:
        metadata = producer.send(
            made, b"value" * 50, b"key", partition=1, timestamp_ms=1_700_000_000_000, headers=[("h", b"1"), ("n", None)]
        ).result(30)
        assert metadata == (made, 1, 0, 1_700_000_000_000)
        producer.send(made, None, b"tombstone", partition=1)
    first, second = read_topic(where, made, 2)
    assert (first.topic, first.partition, first.offset, first.timestamp) == (made, 1, 0, 1_700_000_000_000)
    assert (first.key, first.value, first.headers) == (b"key", b"value" * 50, [("h", b"1"), ("n", None)])
    assert (second.key, second.value, second.offset) == (b"tombstone", None, 1)


@pytest.mark.parametrize("configs", [{}, {"acks": 1}, {"acks": 0}, {"enable_idempotence": False}, {"linger_ms": 0}])
def test_many_records_arrive_once_and_in_order(where: str, made: str, configs: dict[str, Any]) -> None:
    told: list[Any] = []
    with Producer(bootstrap_servers=where, batch_size=2_000, **configs) as producer:
        for number in range(3_000):
            producer.send(made, b"%d" % number, b"%d" % (number % 7), on_delivery=lambda m, e: told.append((m, e)))
    assert len(told) == 3_000 and all(error is None for _, error in told)
    records = read_topic(where, made, 3_000)
    for partition in range(3):
        numbers = [int(record.value) for record in records if record.partition == partition]
        assert numbers == sorted(numbers)
    assert sorted(int(record.value) for record in records) == list(range(3_000))


def test_send_many(where: str, made: str) -> None:
    with Producer(bootstrap_servers=where, buffer_memory=200_000, batch_size=20_000) as producer:
        deliveries = producer.send_many(made, [b"%07d" % n for n in range(50_000)])
        assert all(delivery.result(30).offset >= 0 for delivery in deliveries)
    assert len({record.value for record in read_topic(where, made, 50_000, max_poll_records=5_000)}) == 50_000


def test_serializers_partitioner_and_interceptors(where: str, made: str) -> None:
    class Stamp(ProducerInterceptor):
        acknowledged = 0

        def on_send(self, record: OutgoingRecord) -> OutgoingRecord:
            return record._replace(headers=[*record.headers, ("seen", b"1")])

        def on_acknowledgement(self, metadata: Any, error: BaseException | None) -> None:
            self.acknowledged += 1

    stamp = Stamp()
    with Producer(
        bootstrap_servers=where,
        key_serializer=str.encode,
        value_serializer=lambda number: str(number).encode(),
        partitioner=lambda topic, key, value, partitions: len(key) % partitions,
        interceptors=[stamp],
    ) as producer:
        producer.send(made, 42, "kk")
    with a_consumer(where, key_deserializer=bytes.decode, value_deserializer=int) as consumer:
        consumer.assign(places(made))
        (record,) = read(consumer, 1)
    assert (record.partition, record.key, record.value, record.header("seen")) == (2, "kk", 42, b"1")
    assert stamp.acknowledged == 1


def test_a_full_buffer_blocks_or_raises(where: str, made: str) -> None:
    with Producer(bootstrap_servers=where, buffer_memory=50_000, linger_ms=1_000, max_block_ms=0) as impatient:
        wait_until(lambda: _is_known(impatient, made))
        with pytest.raises(BufferFull):
            for _ in range(100_000):
                impatient.send(made, b"x" * 1_000)
    with Producer(bootstrap_servers=where, buffer_memory=50_000) as patient:
        for _ in range(1_000):
            patient.send(made, b"x" * 1_000)
        assert patient.flush(30)
        assert patient.metrics()["record-send-total"] == 1_000


def _is_known(producer: Producer, topic: str) -> bool:
    try:
        producer.send(topic, b"x")
    except UnknownTopicOrPartition:
        return False
    return True


def test_what_can_not_be_sent_says_so(where: str, made: str) -> None:
    with Producer(bootstrap_servers=where, max_block_ms=2_000) as producer:
        with pytest.raises(MessageTooLarge):
            producer.send(made, b"x" * 2_000_000)
        with pytest.raises(UnknownTopicOrPartition, match="has 3 partitions"):
            producer.send(made, b"x", partition=7)
        with pytest.raises(TypeError):
            producer.send(made, "text")
        assert producer.send(made, b"still works").result(30).offset >= 0


def test_a_batch_too_large_for_its_topic_is_split(where: str, admin: Admin, topic: str) -> None:
    admin.create_topics([NewTopic(topic, 1, REPLICAS, configs={"max.message.bytes": "5000"})])
    with Producer(bootstrap_servers=where, linger_ms=100) as producer:
        deliveries = [producer.send(topic, b"%04d" % n * 250) for n in range(40)]
        assert [delivery.result(30).offset for delivery in deliveries] == list(range(40))
        with pytest.raises(MessageTooLarge):
            producer.send(topic, b"x" * 6_000).result(30)
        assert producer.send(topic, b"after").result(30).offset == 40
    with a_consumer(where) as consumer:
        consumer.assign(places(topic, 1))
        assert [record.value[:4] for record in read(consumer, 41)][:40] == [b"%04d" % n for n in range(40)]
