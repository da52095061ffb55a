"""Groups and transactions as a client sees them: librdkafka (and, where its own waits are most of it, our client)."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import measures
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from group_wire import coordinators

from odradek import Consumer as OwnConsumer
from odradek import wait_until

RECORDS = 600
OWN_WAITS = 5


def filled_topic(bootstrap: str) -> str:
    topic = measures.new_topic(bootstrap)
    producer = Producer({"bootstrap.servers": bootstrap, "log_level": 2})
    for number in range(RECORDS):
        producer.produce(topic, str(number), key=str(number))
    producer.flush(30)
    return topic


def member(bootstrap: str, group: str, **more: Any) -> Consumer:
    return Consumer({
        "bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest",
        "enable.auto.commit": False, "log_level": 2, **more,
    })  # fmt: skip


def first_record_ms(bootstrap: str, topic: str, protocol: str) -> list[float]:
    """From a librdkafka consumer's making to the first record of a group that nobody knew, sorted."""
    times = []
    for _ in range(OWN_WAITS):
        started = time.perf_counter()
        consumer = member(bootstrap, uuid.uuid4().hex, **{"group.protocol": protocol})
        consumer.subscribe([topic])
        message = consumer.poll(30)
        if message is None or message.error():
            raise RuntimeError(f"no record: {message and message.error()}")
        times.append((time.perf_counter() - started) * 1000)
        consumer.close()
    return sorted(times)


def own_first_record_ms(bootstrap: str, topic: str, protocol: str) -> list[float]:
    """The same with our own client, which waits for nothing but answers."""
    times = []
    for _ in range(OWN_WAITS):
        started = time.perf_counter()
        configs = {"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
        with OwnConsumer({**configs, "enable.auto.commit": False, "group.protocol": protocol}) as consumer:
            consumer.subscribe([topic])
            if not consumer.poll(30_000):
                raise RuntimeError("no record")
            times.append((time.perf_counter() - started) * 1000)
    return sorted(times)


def sync_commits_per_s(bootstrap: str, topic: str, count: int) -> tuple[float, float]:
    """Commits a second, one at a time, and the milliseconds until a second member of the group has its share."""
    group, assigned = uuid.uuid4().hex, []
    first = member(bootstrap, group)
    first.subscribe([topic], on_assign=lambda _, partitions: assigned.append(partitions))
    wait_until(lambda: first.poll(0.05) is not None or bool(assigned), what="an assignment", every_s=0)
    started = time.perf_counter()
    for number in range(count):
        first.commit(offsets=[TopicPartition(topic, number % measures.PARTITIONS, number + 1)], asynchronous=False)
    per_s = count / (time.perf_counter() - started)
    second, moments = member(bootstrap, group), []
    started = time.perf_counter()
    second.subscribe([topic], on_assign=lambda *_: moments.append(time.perf_counter()))

    def has_its_share() -> bool:
        first.poll(0.01)
        second.poll(0.01)
        return bool(moments)

    wait_until(has_its_share, timeout_s=60, what="the second member's share", every_s=0)
    first.close()
    second.close()
    return per_s, (moments[0] - started) * 1000


def transactions_per_s(bootstrap: str, topic: str, count: int) -> float:
    """Transactions of 100 records of 1 KB, one after the other."""
    producer = Producer({
        "bootstrap.servers": bootstrap, "transactional.id": uuid.uuid4().hex, "linger.ms": 0, "log_level": 2,
    })  # fmt: skip
    producer.init_transactions(60)
    started = time.perf_counter()
    for _ in range(count):
        producer.begin_transaction()
        for number in range(100):
            producer.produce(topic, bytes(1000), partition=number % measures.PARTITIONS)
        producer.commit_transaction(60)
    return count / (time.perf_counter() - started)


class Committer:
    """A consumer that commits 1, 2, 3, ... as fast as it can, from a thread of its own; its backoffs are low."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.group = uuid.uuid4().hex
        self.topic = topic
        self.acked: list[float] = []
        self.is_over = False
        self._consumer = member(bootstrap, self.group, **{
            "retry.backoff.ms": 20, "retry.backoff.max.ms": 100, "reconnect.backoff.ms": 10,
            "reconnect.backoff.max.ms": 100, "log_level": 0,
        })  # fmt: skip
        self._consumer.subscribe([topic])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._consumer.assignment() and not self.is_over:
            self._consumer.poll(0.05)
        for offset in itertools.count(1):
            if self.is_over:
                return
            try:
                self._consumer.commit(offsets=[TopicPartition(self.topic, 0, offset)], asynchronous=False)
                self.acked.append(time.perf_counter())
            except KafkaException:
                pass
            self._consumer.poll(0)

    def after(self, moment: float, limit_s: float) -> float:
        """When the first commit was acknowledged that began after `moment` (the one under way counts for nothing)."""

        def next_two() -> list[float]:
            return [t for t in self.acked[-10_000:] if t > moment][:2]

        wait_until(lambda: len(next_two()) == 2, timeout_s=limit_s, what="the next commit", every_s=0.002)
        return next_two()[1]

    def close(self) -> None:
        self.is_over = True
        self._thread.join(60)
        self._consumer.close()


def commit_outages_ms(cluster: Any, times: int, is_whole: Callable[[], bool], limit_s: float = 150.0) -> list[float]:
    """kill -9 of the group's coordinator to the next commit that succeeds, sorted."""
    committer = Committer(cluster.bootstrap, measures.new_topic(cluster.bootstrap, partitions=1))
    gaps = []
    try:
        committer.after(time.perf_counter(), limit_s)
        for _ in range(times):
            wait_until(is_whole, timeout_s=120, what="three replicas in sync", every_s=0.1)
            victim = asyncio.run(coordinators(cluster.bootstrap, [committer.group]))[committer.group][0]
            committer.after(time.perf_counter(), limit_s)
            killed = time.perf_counter()
            cluster.kill(victim)
            gaps.append((committer.after(killed, limit_s) - killed) * 1000)
            if hasattr(cluster, "revive"):
                cluster.revive(victim)
            else:
                cluster.wait_until_all_run(60)
    finally:
        committer.close()
    return sorted(gaps)


def median(times: list[float]) -> str:
    return f"{statistics.median(times):.0f} ms"
