"""How long writes stop when the leader dies (SIGKILL) or freezes (SIGSTOP), seen by a steady acks=all producer."""

from __future__ import annotations

import itertools
import signal
import time
from typing import Any

from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient
from measures import is_whole, new_topic

from odradek import wait_until


class SteadyProducer:
    """About 500 records a second, one at a time; the moments of all acks are kept."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.topic = topic
        self.acks: list[float] = []
        self.errors = 0
        self._producer = Producer({
            "bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 0, "enable.idempotence": True,
            "retry.backoff.ms": 20, "retry.backoff.max.ms": 50, "reconnect.backoff.ms": 10,
            "reconnect.backoff.max.ms": 50, "topic.metadata.refresh.fast.interval.ms": 20,
            "on_delivery": self._on_delivery, "log_level": 2,
        })  # fmt: skip

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.acks.append(time.perf_counter())
        else:
            self.errors += 1

    def run_until(self, moment: float) -> None:
        while time.perf_counter() < moment:
            self._producer.produce(self.topic, b"x")
            self._producer.poll(0.002)

    def finish(self) -> None:
        self._producer.flush(60)


def outages_ms(cluster: Any, number: signal.Signals, times: int, limit_s: float = 150.0) -> list[float]:
    """Strike the leader `times` times; each time the longest gap between acks around it, sorted.

    Before each strike the ISR is whole. Raises RuntimeError when writes do not go on within `limit_s`.
    """
    topic = new_topic(cluster.bootstrap, partitions=1, min_insync_replicas="2")
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 2})
    producer = SteadyProducer(cluster.bootstrap, topic)
    producer.run_until(time.perf_counter() + 1)
    gaps = []
    for _ in range(times):
        wait_until(lambda: is_whole(admin, topic, 1), timeout_s=120, what="the ISR", every_s=0.1)
        producer.run_until(time.perf_counter() + 0.5)
        leader = admin.list_topics(topic, timeout=10).topics[topic].partitions[0].leader
        struck = time.perf_counter()
        cluster.signal(leader, number)
        while not acks_flow(producer, struck):
            producer.run_until(time.perf_counter() + 0.05)
            if time.perf_counter() - struck > limit_s:
                raise RuntimeError(f"no write was acknowledged within {limit_s:g} s")
        gaps.append(longest_gap(producer, struck) * 1000)
        if hasattr(cluster, "revive"):
            cluster.revive(leader)
    producer.finish()
    if producer.errors:
        raise RuntimeError(f"{producer.errors} writes failed")
    return sorted(gaps)


def acks_flow(producer: SteadyProducer, struck: float) -> bool:
    """Whether writes have recovered: at least a second has passed, and the last half of it was full of acks."""
    now = time.perf_counter()
    return now - struck > 1.0 and sum(moment > now - 0.5 for moment in producer.acks[-500:]) > 50


def longest_gap(producer: SteadyProducer, struck: float) -> float:
    """Seconds between two neighbouring acks since just before the strike; the time since the last one counts too."""
    around = [moment for moment in producer.acks[-20_000:] if moment > struck - 0.1]
    return max((b - a for a, b in itertools.pairwise([*around, time.perf_counter()])), default=0.0)
