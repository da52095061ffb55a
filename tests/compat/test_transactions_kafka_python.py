"""kafka-python's transactions: flexible versions of the old flow."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from committed import read
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from odradek import Cluster, wait_until

pytestmark = pytest.mark.compat


@contextmanager
def a_producer(cluster: Cluster, name: str | None = None) -> Iterator[KafkaProducer]:
    producer = KafkaProducer(
        bootstrap_servers=cluster.bootstrap.split(","),
        transactional_id=name or f"tx-{uuid.uuid4().hex[:10]}",
        enable_idempotence=True,
        acks="all",
    )
    try:
        producer.init_transactions()
        yield producer
    finally:
        producer.close(timeout=5)


def send(producer: KafkaProducer, topic: str, value: bytes, partition: int = 0) -> None:
    producer.send(topic, value, partition=partition)


def test_commit_and_abort(cluster: Cluster, topic: str) -> None:
    with a_producer(cluster) as producer:
        for number in range(6):
            producer.begin_transaction()
            for partition in range(3):
                send(producer, topic, b"%d" % number, partition)
            producer.flush()
            if number % 2:
                producer.abort_transaction()
            else:
                producer.commit_transaction()
    expected = [b"0", b"2", b"4"] * 3
    wait_until(lambda: read(cluster.bootstrap, topic, partitions=3) == expected, what="the committed ones")


def test_a_second_producer_fences_the_first(cluster: Cluster, topic: str) -> None:
    name = f"tx-{uuid.uuid4().hex[:10]}"
    with a_producer(cluster, name) as old:
        old.begin_transaction()
        send(old, topic, b"old")
        old.flush()
        with a_producer(cluster, name) as new:
            with pytest.raises(KafkaError):
                old.commit_transaction()
            new.begin_transaction()
            send(new, topic, b"new")
            new.commit_transaction()
    wait_until(lambda: read(cluster.bootstrap, topic) == [b"new"], what="the new one's record")


def test_its_own_read_committed_consumer(cluster: Cluster, topic: str) -> None:
    with a_producer(cluster) as producer:
        producer.begin_transaction()
        send(producer, topic, b"aborted")
        producer.flush()
        producer.abort_transaction()
        producer.begin_transaction()
        send(producer, topic, b"kept")
        producer.commit_transaction()
    consumer = KafkaConsumer(
        bootstrap_servers=cluster.bootstrap.split(","), isolation_level="read_committed", consumer_timeout_ms=20_000
    )
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    assert next(iter(consumer)).value == b"kept"
    consumer.close()


def test_offsets_travel_with_the_transaction(cluster: Cluster, topic: str) -> None:
    group, partition = f"g-{topic}", TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=cluster.bootstrap.split(","), group_id=group, enable_auto_commit=False)
    with a_producer(cluster) as producer:
        producer.begin_transaction()
        send(producer, topic, b"x")
        producer.commit_transaction()
        for is_commit in (False, True):
            producer.begin_transaction()
            producer.send_offsets_to_transaction({partition: OffsetAndMetadata(1, "", -1)}, group)
            if is_commit:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
                assert consumer.committed(partition) is None
    wait_until(lambda: consumer.committed(partition) == 1, what="the committed offset")
    consumer.close()
