"""librdkafka's transactions: the flow of old, AddPartitionsToTxn and EndTxn v1."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from committed import read
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from odradek import Cluster, wait_until

pytestmark = pytest.mark.compat


def create(cluster: Cluster, topic: str, partitions: int = 1) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 2})
    admin.create_topics([NewTopic(topic, partitions, 3)])[topic].result(30)


def a_producer(cluster: Cluster, name: str | None = None, **conf: Any) -> Producer:
    producer = Producer(
        {
            "bootstrap.servers": cluster.bootstrap,
            "transactional.id": name or f"tx-{uuid.uuid4().hex[:10]}",
            "linger.ms": 1,
            "log_level": 0,
            **{key.replace("_", "."): value for key, value in conf.items()},
        }
    )
    producer.init_transactions(30)
    return producer


def send(producer: Producer, topic: str, *values: bytes, partition: int = 0) -> None:
    for value in values:
        producer.produce(topic, value, partition=partition)
    producer.flush(30)


def test_what_is_committed_is_read_and_what_is_aborted_is_not(cluster: Cluster, topic: str) -> None:
    create(cluster, topic, 3)
    producer = a_producer(cluster)
    for number in range(6):
        producer.begin_transaction()
        for partition in range(3):
            send(producer, topic, b"%d" % number, partition=partition)
        if number % 2:
            producer.abort_transaction(30)
        else:
            producer.commit_transaction(30)
    assert read(cluster.bootstrap, topic, partitions=3) == [b"0", b"2", b"4"] * 3
    every = read(cluster.bootstrap, topic, partitions=3, committed=False)
    assert every == [b"0", b"1", b"2", b"3", b"4", b"5"] * 3


def test_an_open_transaction_holds_back_what_comes_after_it(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    slow, quick = a_producer(cluster), a_producer(cluster)
    slow.begin_transaction()
    send(slow, topic, b"slow")
    quick.begin_transaction()
    send(quick, topic, b"quick")
    quick.commit_transaction(30)
    assert read(cluster.bootstrap, topic) == []
    assert read(cluster.bootstrap, topic, committed=False) == [b"slow", b"quick"]
    slow.commit_transaction(30)
    wait_until(lambda: read(cluster.bootstrap, topic) == [b"slow", b"quick"], what="both transactions")


def test_an_abort_in_the_middle_of_others_leaves_them_alone(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    producers = [a_producer(cluster) for _ in range(3)]
    for producer in producers:
        producer.begin_transaction()
    for turn in range(20):
        for number, producer in enumerate(producers):
            send(producer, topic, b"%d-%d" % (number, turn))
    producers[0].commit_transaction(30)
    producers[1].abort_transaction(30)
    producers[2].commit_transaction(30)
    expected = [b"%d-%d" % (number, turn) for turn in range(20) for number in (0, 2)]
    wait_until(lambda: read(cluster.bootstrap, topic) == expected, what="the committed ones")


def test_of_two_producers_with_one_id_the_older_is_fenced(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    name = f"tx-{uuid.uuid4().hex[:10]}"
    old = a_producer(cluster, name)
    old.begin_transaction()
    send(old, topic, b"old")
    new = a_producer(cluster, name)
    with pytest.raises(KafkaException) as caught:
        old.commit_transaction(30)
    assert caught.value.args[0].code() == KafkaError._FENCED
    assert caught.value.args[0].fatal()
    new.begin_transaction()
    send(new, topic, b"new")
    new.commit_transaction(30)
    assert read(cluster.bootstrap, topic) == [b"new"]


def test_a_transaction_that_nobody_ends_is_aborted_after_its_timeout(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    lost = a_producer(cluster, transaction_timeout_ms=1500, message_timeout_ms=1500)
    lost.begin_transaction()
    send(lost, topic, b"lost")
    other = Producer({"bootstrap.servers": cluster.bootstrap})
    other.produce(topic, b"plain", partition=0)
    other.flush(30)
    assert read(cluster.bootstrap, topic) == []
    wait_until(lambda: read(cluster.bootstrap, topic) == [b"plain"], what="the timeout", every_s=0.2)
    with pytest.raises(KafkaException):
        lost.commit_transaction(30)


def test_a_restarted_producer_goes_on_where_it_was(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    name = f"tx-{uuid.uuid4().hex[:10]}"
    for number in range(4):
        producer = a_producer(cluster, name)
        producer.begin_transaction()
        send(producer, topic, b"%d" % number)
        if number % 2 == 0:
            producer.commit_transaction(30)
        # else it vanishes with its transaction open: the next one aborts it
    a_producer(cluster, name)
    assert read(cluster.bootstrap, topic) == [b"0", b"2"]


def test_a_big_transaction_over_many_partitions(cluster: Cluster, topic: str) -> None:
    create(cluster, topic, 20)
    producer = a_producer(cluster, compression_type="lz4")
    producer.begin_transaction()
    for number in range(5_000):
        producer.produce(topic, b"%d" % number * 10, partition=number % 20)
    producer.commit_transaction(60)
    assert len(read(cluster.bootstrap, topic, partitions=20)) == 5_000


def test_offsets_are_committed_with_the_transaction_or_not_at_all(cluster: Cluster, topic: str) -> None:
    """The read-process-write loop."""
    source, target = topic, f"{topic}-out"
    create(cluster, source)
    create(cluster, target)
    plain = Producer({"bootstrap.servers": cluster.bootstrap})
    for number in range(40):
        plain.produce(source, b"%d" % number, partition=0)
    plain.flush(30)
    group = f"g-{topic}"

    def a_consumer() -> Consumer:
        consumer = Consumer(
            {
                "bootstrap.servers": cluster.bootstrap,
                "group.id": group,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
            }
        )
        consumer.subscribe([source])
        return consumer

    producer = a_producer(cluster)
    for attempt in range(40):  # a slow machine may hand out fewer than ten at a time
        consumer = a_consumer()
        values = [message.value() for message in consumer.consume(10, timeout=20)]
        assert values, f"attempt {attempt} got nothing"
        producer.begin_transaction()
        for value in values:
            producer.produce(target, value, partition=0)
        producer.flush(30)  # an abort throws away what has not been sent: then there would be nothing to hide
        position = consumer.position([TopicPartition(source, 0)])
        producer.send_offsets_to_transaction(position, consumer.consumer_group_metadata(), 30)
        if attempt % 2:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
        consumer.close()
        if len(read(cluster.bootstrap, target)) >= 40:
            break
    assert read(cluster.bootstrap, target) == [b"%d" % number for number in range(40)]
    assert read(cluster.bootstrap, target, committed=False) != read(cluster.bootstrap, target)
