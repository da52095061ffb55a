"""Two transactional copiers while brokers and copiers are killed every second: each record arrives exactly once.

Brokers die singly and in pairs, so that coordinators, leaders and the controller go down in every combination.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from committed import read
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from odradek import Cluster, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

COPIER = Path(__file__).parent.parent / "support" / "copier.py"
PARTITIONS = 3
RECORDS = 100_000
LEAST_KILLS = 20


class Copiers:
    """Two copiers of one group, each with its own transactional id; whoever dies is started again."""

    def __init__(self, cluster: Cluster, source: str, target: str, errors: Path) -> None:
        self.arguments = [cluster.bootstrap, source, target, f"group-{source}"]
        self.errors = errors.open("ab")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.deaths = 0
        self.look_after()

    def look_after(self) -> None:
        for name in ("copier-1", "copier-2"):
            process = self.processes.get(name)
            if process is None or process.poll() is not None:
                self.deaths += process is not None
                command = [sys.executable, str(COPIER), *self.arguments, name]
                self.processes[name] = subprocess.Popen(command, stderr=self.errors)

    def kill_one(self, choice: random.Random) -> None:
        self.processes[choice.choice(sorted(self.processes))].kill()

    def stop(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()
        self.errors.close()


def fill(cluster: Cluster, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 5})
    for number in range(count):
        producer.produce(topic, b"%d" % number, partition=number % PARTITIONS)
        if number % 10_000 == 0:
            producer.flush(30)
    producer.flush(30)


def end_offsets(cluster: Cluster, topic: str) -> int:
    """The sum over all partitions; 0 when a leader can't be asked just now."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "ends", "log_level": 0})
    try:
        return sum(
            consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)[1]
            for partition in range(PARTITIONS)
        )
    except KafkaException:
        return 0
    finally:
        consumer.close()


def test_every_record_is_copied_exactly_once(tmp_path: Path) -> None:
    choice = random.Random(7)
    with Cluster(brokers=3, configs={"default.replication.factor": "3"}, data_dir=tmp_path / "data") as cluster:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 2})
        topics = [NewTopic(name, PARTITIONS, 3, config={"min.insync.replicas": "2"}) for name in ("from", "to")]
        for future in admin.create_topics(topics).values():
            future.result(30)
        fill(cluster, "from", RECORDS)
        copiers = Copiers(cluster, "from", "to", tmp_path / "copiers.txt")
        try:
            kills = 0
            deadline = time.monotonic() + 400
            while kills < LEAST_KILLS or end_offsets(cluster, "to") < RECORDS:
                assert time.monotonic() < deadline, (tmp_path / "copiers.txt").read_text()[-3000:]
                time.sleep(1)
                if choice.random() < 0.3:
                    copiers.kill_one(choice)
                else:
                    cluster.wait_until_all_run(60)
                    for broker in choice.sample(sorted(cluster.pids()), choice.choice([1, 1, 2])):
                        cluster.kill(broker)
                kills += 1
                copiers.look_after()
            cluster.wait_until_all_run(60)

            def all_copied() -> bool:
                copiers.look_after()
                return len(read(cluster.bootstrap, "to", partitions=PARTITIONS)) >= RECORDS

            wait_until(all_copied, timeout_s=120, what="the last records", every_s=1)
        finally:
            copiers.stop()
        found = Counter(read(cluster.bootstrap, "to", partitions=PARTITIONS))
        assert len(found) == RECORDS, f"{RECORDS - len(found)} records are missing"
        assert max(found.values()) == 1, f"copied more than once: {[v for v, n in found.items() if n > 1][:10]}"
