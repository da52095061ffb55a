"""Our own producer and group consumer while each of three brokers is killed once: nothing lost, doubled or reordered.

Over TCP, over ZeroMQ's ipc sockets, and over ZeroMQ on TCP.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from neighbouring_ports import free_ports

from odradek import Cluster, Consumer, NewTopic, Producer, TopicPartition, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

PARTITIONS = 3
KEYS = 20
QUICK = {
    "retry.backoff.ms": 20, "retry.backoff.max.ms": 100, "reconnect.backoff.ms": 10, "reconnect.backoff.max.ms": 100,
    "request.timeout.ms": 5_000,
}  # fmt: skip


class Writer(threading.Thread):
    """Numbered values under one of 20 keys, idempotent with acks=all, until told to stop."""

    def __init__(self, where: str, topic: str) -> None:
        super().__init__(name="writer")
        self.topic = topic
        self.sent = 0
        self.acked: dict[int, tuple[int, int]] = {}
        self.failed: list[BaseException] = []
        self._enough = threading.Event()
        self._producer = Producer({"bootstrap.servers": where, "linger.ms": 2, **QUICK})

    def run(self) -> None:
        while not self._enough.wait(0.001):
            number = self.sent
            self._producer.send(self.topic, b"%d" % number, b"key-%d" % (number % KEYS), on_delivery=self._told(number))
            self.sent += 1

    def _told(self, number: int) -> Any:
        def on_delivery(metadata: Any, error: BaseException | None) -> None:
            if error is None:
                self.acked[number] = (metadata.partition, metadata.offset)
            else:
                self.failed.append(error)

        return on_delivery

    def wait_for_new_acks(self, count: int = 100) -> None:
        goal = len(self.acked) + count
        wait_until(lambda: len(self.acked) >= goal, timeout_s=30, what=f"{count} more acks")

    def stop(self) -> None:
        self._enough.set()
        self.join()
        self._producer.close(60)


class Reader(threading.Thread):
    """One member of the group; `seen` is shared by all: partition -> [(offset, key, value)] as they came."""

    def __init__(self, where: str, topic: str, seen: dict[int, list[tuple[int, bytes, int]]]) -> None:
        super().__init__(name="reader")
        self.seen = seen
        self.error: BaseException | None = None
        self.enough = threading.Event()
        self._topic = topic
        self._consumer = Consumer(
            {"bootstrap.servers": where, "group.id": "readers", "auto.offset.reset": "earliest",
             "heartbeat.interval.ms": 300, "enable.auto.commit": False, **QUICK}
        )  # fmt: skip

    def run(self) -> None:
        try:
            with self._consumer as consumer:
                consumer.subscribe([self._topic])
                while not self.enough.is_set():
                    records = consumer.poll(100)
                    for record in records:
                        self.seen[record.partition].append((record.offset, record.key, int(record.value)))
                    if records:
                        consumer.commit()
        except BaseException as error:
            self.error = error
            raise


@pytest.mark.parametrize("door", ["tcp", "zmq-ipc", "zmq-tcp"])
def test_each_broker_dies_once(tmp_path: Path, door: str) -> None:
    configs = {"default.replication.factor": "3", "min.insync.replicas": "2", "offsets.topic.num.partitions": "3"}
    if door == "zmq-tcp":
        configs["zmq.port"] = str(free_ports(3))
    with Cluster(brokers=3, configs=configs, data_dir=tmp_path / "data") as cluster:
        where = cluster.bootstrap if door == "tcp" else f"zmq://{cluster.data_dir}"
        cluster.admin.create_topics([NewTopic("t", PARTITIONS, 3)])
        seen: dict[int, list[tuple[int, bytes, int]]] = defaultdict(list)
        writer, reader = Writer(where, "t"), Reader(where, "t", seen)
        writer.start()
        reader.start()
        try:
            for victim in (1, 2, 3):
                writer.wait_for_new_acks()
                so_far = _count(seen)
                wait_until(lambda so_far=so_far: _count(seen) > so_far, timeout_s=30, what="the reader to go on")
                cluster.kill(victim)
                wait_until(
                    lambda victim=victim: victim not in [cluster.leader("t", n) for n in range(PARTITIONS)],
                    timeout_s=30,
                    what="others to lead",
                )
                writer.wait_for_new_acks()
                cluster.wait_until_all_run(30)
                for partition in range(PARTITIONS):
                    cluster.wait_isr("t", partition)
        finally:
            writer.stop()
            try:
                wait_until(lambda: _count(seen) >= writer.sent or reader.error, timeout_s=30, what="the last records")
            finally:
                reader.enough.set()
                reader.join()
        assert not writer.failed and not reader.error
        assert len(writer.acked) == writer.sent
        check(writer.acked, seen)
        with Consumer({"bootstrap.servers": where, "group.id": "readers"}) as consumer:
            places = [TopicPartition("t", number) for number in range(PARTITIONS)]
            committed = consumer.committed(places)
        assert {place.partition: row.offset for place, row in committed.items() if row} == {
            partition: rows[-1][0] + 1 for partition, rows in seen.items()
        }


def _count(seen: dict[int, list[tuple[int, bytes, int]]]) -> int:
    return sum(len(rows) for rows in seen.values())


def check(acked: dict[int, tuple[int, int]], seen: dict[int, list[tuple[int, bytes, int]]]) -> None:
    """Read once each, where the ack said, in order of offsets and, for each key, in the order of sending."""
    found = {(partition, offset): value for partition, rows in seen.items() for offset, _, value in rows}
    assert {place: number for number, place in acked.items()} == found
    last: dict[bytes, int] = defaultdict(lambda: -1)
    for rows in seen.values():
        offsets = [offset for offset, _, _ in rows]
        assert offsets == list(range(len(offsets))), "a record was handed out twice, or left out"
        for _, key, value in rows:
            assert value > last[key], f"{key!r}: {value} after {last[key]}"
            last[key] = value
