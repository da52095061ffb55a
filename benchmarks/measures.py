"""What is measured, the same way for every cluster: librdkafka's producer and consumer against a bootstrap address."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any

import psutil
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from odradek import wait_until

PARTITIONS = 6


@dataclass
class Throughput:
    records: int
    record_bytes: int
    seconds: float

    @property
    def mb_s(self) -> float:
        return self.records * self.record_bytes / self.seconds / 1e6

    @property
    def records_s(self) -> float:
        return self.records / self.seconds


def new_topic(bootstrap: str, partitions: int = PARTITIONS, **configs: str) -> str:
    """A fresh topic with three replicas, all of them in sync."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    dotted = {name.replace("_", "."): value for name, value in configs.items()}
    admin.create_topics([NewTopic(topic, partitions, 3, config=dotted)])[topic].result(60)
    wait_until(lambda: is_whole(admin, topic, partitions), timeout_s=60, what="the new topic's ISR", every_s=0.05)
    return topic


def is_whole(admin: AdminClient, topic: str, partitions: int) -> bool:
    found = admin.list_topics(topic, timeout=10).topics[topic].partitions
    return len(found) == partitions and all(p.leader > 0 and len(p.isrs) == 3 for p in found.values())


def produce(bootstrap: str, record_bytes: int, megabytes: float) -> tuple[str, Throughput]:
    """Fill a fresh topic with acks=all; returns the topic and how fast it went, from first call to last ack."""
    topic = new_topic(bootstrap)
    errors: list[KafkaError] = []

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            errors.append(error)

    producer = Producer({
        "bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 5, "batch.size": 131_072,
        "queue.buffering.max.messages": 2_000_000, "queue.buffering.max.kbytes": 512 * 1024, "on_delivery": on_delivery,
    })  # fmt: skip
    count, value = int(megabytes * 1_000_000 / record_bytes), bytes(record_bytes)
    producer.produce(topic, value)
    producer.flush(30)  # connections and metadata are there before the clock starts
    started = time.perf_counter()
    for i in range(count):
        while True:
            try:
                producer.produce(topic, value)
                break
            except BufferError:
                producer.poll(0.01)
        if not i & 1023:
            producer.poll(0)
    if producer.flush(180) or errors:
        raise RuntimeError(f"producing failed: {errors[:1] or 'not all was acknowledged'}")
    return topic, Throughput(count, record_bytes, time.perf_counter() - started)


def consume(bootstrap: str, topic: str, written: Throughput) -> Throughput:
    """Read the whole topic once, from the assignment to the last record."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": f"g-{topic}", "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "fetch.wait.max.ms": 100, "queued.max.messages.kbytes": 1_048_576,
        "queued.min.messages": 1_000_000, "fetch.queue.backoff.ms": 5,
    })  # fmt: skip
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
    got, started = 0, time.perf_counter()
    while got < written.records:
        got += sum(message.error() is None for message in consumer.consume(10_000, timeout=0.05))
        if time.perf_counter() - started > 180:
            raise RuntimeError(f"read only {got} of {written.records} records in three minutes")
    took = time.perf_counter() - started
    consumer.close()
    return Throughput(got, written.record_bytes, took)


def sync_latency_ms(bootstrap: str, acks: str, count: int = 2000) -> list[float]:
    """Sorted times of one 100-byte record at a time, from produce to its ack."""
    topic = new_topic(bootstrap, partitions=1)
    producer = Producer({"bootstrap.servers": bootstrap, "acks": acks, "linger.ms": 0})
    for _ in range(50):
        producer.produce(topic, bytes(100))
        producer.flush(30)
    times = []
    for _ in range(count):
        started = time.perf_counter()
        producer.produce(topic, bytes(100))
        producer.flush(30)
        times.append((time.perf_counter() - started) * 1000)
    return sorted(times)


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def processes(cluster: Any) -> list[psutil.Process]:
    """Every process of the cluster: its roots and all that descend from them."""
    roots = [psutil.Process(pid) for pid in cluster.root_pids()]
    return roots + [child for root in roots for child in root.children(recursive=True)]


def memory_mb(cluster: Any) -> float:
    """Memory of all processes together, with pages that several share counted once (PSS)."""
    return float(sum(process.memory_full_info().pss for process in processes(cluster)) / 1e6)


def cpu_percent(cluster: Any, seconds: float) -> float:
    """CPU of all processes together over `seconds`, as a share of one core."""

    def used() -> float:
        return float(sum(sum(process.cpu_times()[:2]) for process in processes(cluster)))

    before, started = used(), time.perf_counter()
    time.sleep(seconds)
    return (used() - before) / (time.perf_counter() - started) * 100
