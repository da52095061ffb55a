"""Thirty SIGKILLs under an idempotent acks=all producer: nothing acked is lost, doubled or reordered.

After each kill writes must go on, and before the next one every replica must be back in the ISR.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from history import SteadyWriter, check_nothing_lost_doubled_or_reordered, check_replicas_are_identical, read_all

from odradek import Cluster, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

PARTITIONS = 6
KILLS = ["leader", "controller", "leader and controller", "follower"] * 7 + ["supervisor"] * 2


class Victims:
    """Finds whom to kill through the eyes of a client."""

    def __init__(self, cluster: Cluster, topic: str) -> None:
        self.cluster = cluster
        self.topic = topic
        self.admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 2})

    def leader(self) -> int:
        return int(self.admin.list_topics(self.topic, timeout=30).topics[self.topic].partitions[0].leader)

    def follower(self) -> int:
        leader = self.leader()
        return next(broker for broker in self.cluster.pids() if broker != leader)

    def controller(self) -> int:
        return int(wait_until(lambda: self.cluster.controller_id, what="a controller"))

    def choose(self, kind: str) -> set[int]:
        leader = self.leader()
        if kind == "leader":
            return {leader}
        if kind == "controller":
            return {self.controller()}
        if kind == "leader and controller":
            # When both are one broker, a follower makes it two deaths at once.
            return {leader, self.controller() if self.controller() != leader else self.follower()}
        return {self.follower()}

    def wait_until_healed(self) -> None:
        """Every broker runs, every partition is led and has all replicas in its ISR."""
        self.cluster.wait_until_all_run(60)

        def healed() -> bool:
            partitions = self.admin.list_topics(self.topic, timeout=30).topics[self.topic].partitions.values()
            return all(p.leader > 0 and len(p.isrs) == 3 for p in partitions) and len(partitions) == PARTITIONS

        wait_until(healed, timeout_s=60, what="the ISR to grow back")


@pytest.mark.timeout(600)
def test_thirty_kills_lose_nothing(tmp_path: Path, topic: str) -> None:
    order = KILLS.copy()
    random.Random(20130101).shuffle(order)
    with Cluster(brokers=3, data_dir=tmp_path / "data") as cluster:
        victims = Victims(cluster, topic)
        new = NewTopic(topic, PARTITIONS, 3, config={"min.insync.replicas": "2"})
        victims.admin.create_topics([new])[topic].result(20)
        writer = SteadyWriter(cluster.bootstrap, topic)
        try:
            for kind in order:
                writer.wait_for_new_acks()
                victims.wait_until_healed()
                if kind == "supervisor":
                    cluster.kill_supervisor()
                    cluster.start()
                else:
                    for broker in victims.choose(kind):
                        cluster.kill(broker)
                writer.wait_for_new_acks()
        finally:
            writer.stop()
        victims.wait_until_healed()
        found = read_all(cluster.bootstrap, topic, PARTITIONS)
        assert not writer.failed, f"{len(writer.failed)} records failed: {list(writer.failed.items())[:3]}"
        assert len(writer.acked) == writer.sent
        check_nothing_lost_doubled_or_reordered(writer, found)
        cluster.stop()
        ends = {partition: rows[-1][0] + 1 for partition, rows in found.items()}
        check_replicas_are_identical(cluster.data_dir, topic, ends, replicas=3)
