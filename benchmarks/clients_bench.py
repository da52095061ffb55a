"""Python clients side by side: ours over ipc and TCP, aiokafka, kafka-python, confluent-kafka; one broker, RF 1, 100 B.

    python benchmarks/clients_bench.py                a cluster of one broker, medians of three rounds
    python benchmarks/clients_bench.py --quick        a look, not a measurement
    python benchmarks/clients_bench.py --only tcp,confluent-kafka

Counted from the first acknowledgement or record to the last, and what was produced is checked to be there. Every client
has acks=all, lingers 5 ms, fills batches of 256 KB and checks CRCs as it does by default; all consumers read one topic.
The clients take turns, so that what else the machine does hits all alike.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import statistics
import time
import uuid
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.table import Table

from odradek import Cluster, Consumer, NewTopic, Producer, TopicPartition

VALUE = b"x" * 100
BATCH, LINGER_MS = 262_144, 5
MAX_POLL = 5_000
console = Console(highlight=False)


class Clock:
    """Runs from the first acknowledgement, or the first records, to the last: without making and closing clients."""

    def __init__(self) -> None:
        self.began = self.seconds = 0.0
        self.before = 0  # records that came with the first poll

    def start(self, before: int = 0) -> None:
        self.before = before
        self.began = time.perf_counter()

    def stop(self) -> None:
        self.seconds = time.perf_counter() - self.began


def ours_produce(clock: Clock, where: str, topic: str, count: int) -> None:
    with Producer({"bootstrap.servers": where, "batch.size": BATCH, "linger.ms": LINGER_MS}) as producer:
        producer.send(topic, VALUE).result(30)
        clock.start()
        send = producer.send
        for _ in range(count):
            send(topic, VALUE)
        producer.flush()
        clock.stop()


def ours_produce_many(clock: Clock, where: str, topic: str, count: int) -> None:
    with Producer({"bootstrap.servers": where, "batch.size": BATCH, "linger.ms": LINGER_MS}) as producer:
        producer.send(topic, VALUE).result(30)
        clock.start()
        values = [VALUE] * 1_000
        for _ in range(count // 1_000):
            producer.send_many(topic, values)
        producer.flush()
        clock.stop()


def ours_consume(clock: Clock, where: str, topic: str, count: int) -> None:
    configs = {"bootstrap.servers": where, "auto.offset.reset": "earliest", "max.poll.records": MAX_POLL}
    with Consumer(configs) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        seen = len(consumer.poll(30_000))
        clock.start(seen)
        while seen < count:
            for record in consumer.poll(1_000):
                seen += record.value is not None
        clock.stop()


def aiokafka_produce(clock: Clock, where: str, topic: str, count: int) -> None:
    from aiokafka import AIOKafkaProducer

    async def produce() -> None:
        options: dict[str, Any] = dict(acks="all", linger_ms=LINGER_MS, max_batch_size=BATCH, enable_idempotence=True)
        async with AIOKafkaProducer(bootstrap_servers=where, **options) as producer:
            await producer.send_and_wait(topic, VALUE)
            clock.start()
            for _ in range(count):
                await producer.send(topic, VALUE)
            await producer.flush()
            clock.stop()

    asyncio.run(produce())


def aiokafka_consume(clock: Clock, where: str, topic: str, count: int) -> None:
    from aiokafka import AIOKafkaConsumer
    from aiokafka import TopicPartition as Place

    async def consume() -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers=where, auto_offset_reset="earliest")
        async with consumer:
            consumer.assign([Place(topic, 0)])
            seen = 0
            while seen < count:
                for records in (await consumer.getmany(timeout_ms=1_000, max_records=MAX_POLL)).values():
                    for record in records:
                        seen += record.value is not None
                if not clock.began:
                    clock.start(seen)
            clock.stop()

    asyncio.run(consume())


def kafka_python_produce(clock: Clock, where: str, topic: str, count: int) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=where, acks="all", linger_ms=LINGER_MS, batch_size=BATCH)
    producer.send(topic, VALUE).get(30)
    clock.start()
    for _ in range(count):
        producer.send(topic, VALUE)
    producer.flush()
    clock.stop()
    producer.close()


def kafka_python_consume(clock: Clock, where: str, topic: str, count: int) -> None:
    from kafka import KafkaConsumer
    from kafka import TopicPartition as Place

    consumer = KafkaConsumer(bootstrap_servers=where, auto_offset_reset="earliest", max_poll_records=MAX_POLL)
    consumer.assign([Place(topic, 0)])
    seen = 0
    while seen < count:
        for records in consumer.poll(1_000).values():
            for record in records:
                seen += record.value is not None
        if seen and not clock.began:
            clock.start(seen)
    clock.stop()
    consumer.close()


def confluent_produce(clock: Clock, where: str, topic: str, count: int) -> None:
    from confluent_kafka import Producer as Confluent

    producer = Confluent(
        {"bootstrap.servers": where, "linger.ms": LINGER_MS, "batch.size": BATCH, "enable.idempotence": True,
         "queue.buffering.max.messages": 1_000_000}
    )  # fmt: skip
    producer.produce(topic, VALUE)
    producer.flush()
    clock.start()
    produce = producer.produce
    for _ in range(count):
        while True:
            try:
                produce(topic, VALUE)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()
    clock.stop()


def confluent_consume(clock: Clock, where: str, topic: str, count: int) -> None:
    from confluent_kafka import OFFSET_BEGINNING
    from confluent_kafka import Consumer as Confluent
    from confluent_kafka import TopicPartition as Place

    # By default it stops fetching for a second whenever its queue is full, and is ten times slower here.
    configs = {"fetch.queue.backoff.ms": 5, "group.id": "bench", "enable.auto.commit": False}
    consumer = Confluent({"bootstrap.servers": where, **configs})
    consumer.assign([Place(topic, 0, OFFSET_BEGINNING)])
    seen = len(consumer.consume(1, 30.0))
    clock.start(seen)
    while seen < count:
        for message in consumer.consume(1_000, 0.05):  # it waits for all of them, or this long
            seen += message.value() is not None
    clock.stop()
    consumer.close()


Work = Callable[[Clock, str, str, int], None]
CLIENTS: dict[str, tuple[str, Work | None, Work | None, int]] = {
    "ipc": ("odradek, ZeroMQ ipc", ours_produce, ours_consume, 1_000_000),
    "tcp": ("odradek, TCP", ours_produce, ours_consume, 1_000_000),
    "ipc-many": ("odradek, ZeroMQ ipc, send_many", ours_produce_many, None, 2_000_000),
    "tcp-many": ("odradek, TCP, send_many", ours_produce_many, None, 2_000_000),
    "confluent-kafka": ("confluent-kafka", confluent_produce, confluent_consume, 1_000_000),
    "aiokafka": ("aiokafka", aiokafka_produce, aiokafka_consume, 200_000),
    "kafka-python": ("kafka-python", kafka_python_produce, kafka_python_consume, 80_000),
}
"""Key → its name, what produces, what consumes, and how many records take it about a second."""


def measure(work: Work, where: str, topic: str, count: int) -> float:
    """Records a second."""
    clock = Clock()
    work(clock, where, topic, count)
    return (count - clock.before) / clock.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="", help="comma separated: " + ", ".join(CLIENTS))
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    chosen = [key for key in CLIENTS if not options.only or key in options.only.split(",")]
    rounds, scale = (1, 0.25) if options.quick else (options.rounds, 1.0)
    figures: dict[tuple[str, str], list[float]] = {}
    with Cluster(brokers=1, configs={"offsets.topic.replication.factor": "1"}) as cluster:

        def new_topic() -> str:
            topic = f"bench-{uuid.uuid4().hex[:8]}"
            cluster.admin.create_topics([NewTopic(topic, 1, 1)])
            return topic

        def check(topic: str, count: int) -> None:
            """What a producer claims to have written is there."""
            end = cluster.admin.list_offsets({TopicPartition(topic, 0): -1})[TopicPartition(topic, 0)].offset
            if end != count + 1:
                raise SystemExit(f"{topic} has {end} records, not {count + 1}")

        filled = new_topic()
        ours_produce_many(Clock(), cluster.bootstrap, filled, 1_000_000)
        check(filled, 1_000_000)
        for _ in range(rounds):
            for key in chosen:
                _, produce, consume, count = CLIENTS[key]
                where = f"zmq://{cluster.data_dir}" if key.startswith("ipc") else cluster.bootstrap
                number = int(count * scale) // 1_000 * 1_000
                if produce is not None:
                    topic = new_topic()
                    figures.setdefault((key, "produce"), []).append(measure(produce, where, topic, number))
                    check(topic, number)
                if consume is not None:
                    figures.setdefault((key, "consume"), []).append(measure(consume, where, filled, number))
    table = Table(title=f"100 B, RF 1, one broker, Python {platform.python_version()}, k records/s (median)")
    table.add_column("client")
    for verb in ("produce", "consume"):
        table.add_column(verb, justify="right")
    for key in chosen:
        cells = [figures.get((key, verb)) for verb in ("produce", "consume")]
        table.add_row(CLIENTS[key][0], *(f"{statistics.median(cell) / 1000:.0f}" if cell else "–" for cell in cells))
    console.print(table)


if __name__ == "__main__":
    main()
