"""A group's coordinator is killed again and again: commits go on at once, and what was committed stays committed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from actors.api.k10_find_coordinator import partition_for
from odradek import Cluster, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

KILLS = 20
OFFSETS = "__consumer_offsets"


@pytest.fixture(scope="module")
def own_cluster() -> Iterator[Cluster]:
    with Cluster(brokers=3) as cluster:
        yield cluster


class Committer:
    """A consumer that commits 1, 2, 3, ... as fast as it can, from a thread of its own."""

    def __init__(self, cluster: Cluster, topic: str, group: str) -> None:
        self.partition = TopicPartition(topic, 0)
        self.group = group
        self.bootstrap = cluster.bootstrap
        self.acked: list[tuple[float, int]] = []  # when, what
        self.failures: list[str] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": self.group,
                "enable.auto.commit": False,
                "retry.backoff.ms": 20,
                "retry.backoff.max.ms": 100,
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 100,
                "log_level": 0,
            }
        )
        consumer.subscribe([self.partition.topic])
        while not consumer.assignment() and not self._is_over.is_set():
            consumer.poll(0.05)
        offset = 0
        while not self._is_over.is_set():
            offset += 1
            try:
                consumer.commit(offsets=[TopicPartition(self.partition.topic, 0, offset)], asynchronous=False)
                self.acked.append((time.monotonic(), offset))
            except KafkaException as error:
                self.failures.append(str(error.args[0]))
            consumer.poll(0)
        consumer.close()

    def wait_for_next(self, timeout_s: float = 30) -> float:
        """When the next commit was acknowledged that began after this call."""
        seen = len(self.acked)
        wait_until(lambda: len(self.acked) > seen + 1, timeout_s=timeout_s, what="the next commit", every_s=0.002)
        return self.acked[seen + 1][0]

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join(60)


def coordinator_of(admin: AdminClient, group: str) -> int:
    partitions = admin.list_topics(OFFSETS, timeout=30).topics[OFFSETS].partitions
    return int(partitions[partition_for(group, len(partitions))].leader)


def committed(cluster: Cluster, group: str, topic: str) -> int:
    reader = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": group, "log_level": 0})
    try:
        return int(reader.committed([TopicPartition(topic, 0)], timeout=30)[0].offset)
    finally:
        reader.close()


@pytest.mark.timeout(300)
def test_commits_go_on_after_every_kill(own_cluster: Cluster, topic: str) -> None:
    """The time to the next successful commit is printed; what is asserted of it holds on a busy machine, too.

    The client's own backoffs are set low. With its defaults it may ask the dead broker for the coordinator and
    reconnect to it later and later, whatever the others could tell it.
    """
    cluster, group = own_cluster, f"g-{topic}"
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(topic, 1, 3)])[topic].result(30)
    committer = Committer(cluster, topic, group)
    gaps: list[float] = []
    try:
        committer.wait_for_next()
        for _ in range(KILLS):
            wait_until(lambda: has_full_isr(admin, group), timeout_s=60, what="three replicas in sync")
            victim = coordinator_of(admin, group)
            committer.wait_for_next()
            killed = time.monotonic()
            cluster.kill(victim)
            gaps.append(committer.wait_for_next() - killed)
            last = committer.acked[-1][1]
            assert committed(cluster, group, topic) >= last, "a commit went back"
            cluster.wait_until_all_run(60)
    finally:
        committer.stop()
    print("kill -> next commit, ms:", sorted(round(gap * 1000) for gap in gaps), committer.failures[:3])
    assert committed(cluster, group, topic) == committer.acked[-1][1]
    assert sorted(gaps)[KILLS // 2] < 3, gaps  # 0.1 s where nobody else wants the processors


def has_full_isr(admin: AdminClient, group: str) -> bool:
    partitions = admin.list_topics(OFFSETS, timeout=30).topics[OFFSETS].partitions
    return len(partitions[partition_for(group, len(partitions))].isrs) == 3
