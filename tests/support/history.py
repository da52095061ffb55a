"""What a producer sent and what was acknowledged, and the claims that must hold of it whatever was killed meanwhile."""

from __future__ import annotations

import threading
from collections import defaultdict
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition

from odradek import wait_until

KEYS = 40


class SteadyWriter:
    """An idempotent acks=all producer on a thread of its own: numbered values, each under one of 40 keys."""

    def __init__(self, bootstrap: str, topic: str, records_per_second: int = 2000) -> None:
        self.topic = topic
        self.sent = 0
        self.acked: dict[int, tuple[int, int]] = {}  # number -> (partition, offset)
        self.failed: dict[int, str] = {}
        self._pace_s = 1 / records_per_second
        self._enough = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 2,
                "message.timeout.ms": 300_000,
                "retry.backoff.ms": 20,
                "retry.backoff.max.ms": 100,
                "reconnect.backoff.ms": 10,
                "reconnect.backoff.max.ms": 100,
                "topic.metadata.refresh.fast.interval.ms": 20,
                "socket.timeout.ms": 5000,
                "log_level": 2,
            }
        )
        self._thread = threading.Thread(target=self._write, name="steady-writer")
        self._thread.start()

    def _write(self) -> None:
        while not self._enough.is_set():
            number = self.sent
            try:
                self._producer.produce(
                    self.topic, str(number), key=f"key-{number % KEYS}", on_delivery=self._on_delivery
                )
                self.sent += 1
            except BufferError:
                pass  # the queue is full while nobody leads: wait for acks
            self._producer.poll(self._pace_s)

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        number = int(message.value() or b"")
        if error is None:
            self.acked[number] = (message.partition() or 0, message.offset() or 0)
        else:
            self.failed[number] = str(error)

    def wait_for_new_acks(self, count: int = 200, timeout_s: float = 30.0) -> None:
        """Return once `count` more records than now are acknowledged. Raises ClusterFailed when writes stay stopped."""
        goal = len(self.acked) + count
        wait_until(lambda: len(self.acked) >= goal, timeout_s=timeout_s, what=f"{count} more acked writes")

    def stop(self) -> None:
        """Stop writing and wait until everything sent has its answer."""
        self._enough.set()
        self._thread.join()
        assert self._producer.flush(120) == 0, "records were never answered"


def read_all(bootstrap: str, topic: str, partitions: int) -> dict[int, list[tuple[int, bytes, bytes]]]:
    """Every record below the high watermark: partition → [(offset, key, value)]."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "checker", "enable.auto.commit": False})
    ends: dict[int, int] = {}
    for partition in range(partitions):
        ends[partition] = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)[1]
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
    found: dict[int, list[tuple[int, bytes, bytes]]] = {partition: [] for partition in range(partitions)}

    def all_read() -> bool:
        for message in consumer.consume(5000, timeout=0.2):
            assert message.error() is None, message.error()
            found[message.partition()].append((message.offset(), message.key(), message.value()))
        return all(not end or (found[p] and found[p][-1][0] >= end - 1) for p, end in ends.items())

    wait_until(all_read, timeout_s=120, what="the end of every partition")
    consumer.close()
    return found


def check_nothing_lost_doubled_or_reordered(
    writer: SteadyWriter, found: dict[int, list[tuple[int, bytes, bytes]]]
) -> None:
    """Every acked record is where its ack said, no record is there twice, each key's numbers rise."""
    at = {(partition, offset): int(value) for partition, rows in found.items() for offset, _, value in rows}
    lost = [number for number, place in writer.acked.items() if at.get(place) != number]
    if lost:
        real = {value: place for place, value in at.items()}
        first = [(n, writer.acked[n], at.get(writer.acked[n]), real.get(n)) for n in lost[:5]]
        ends = {partition: len(rows) and rows[-1][0] + 1 for partition, rows in found.items()}
        raise AssertionError(
            f"{len(lost)} of {writer.sent} records are not where their ack said, e.g. "
            f"(number, acked at, what is there, where it is) {first}; partitions end at {ends}"
        )
    assert len(at) == len(set(at.values())), "records are there twice"
    last: dict[bytes, int] = defaultdict(lambda: -1)
    for rows in found.values():
        assert [offset for offset, _, _ in rows] == sorted(offset for offset, _, _ in rows)
        for _, key, value in rows:
            assert int(value) > last[key], f"{key!r}: {int(value)} comes after {last[key]}"
            last[key] = int(value)


def log_bytes(partition_folder: Path, up_to: int) -> bytes:
    """The concatenated batches of one replica whose base offset is below `up_to`."""
    whole = b"".join(path.read_bytes() for path in sorted(partition_folder.glob("*.log")))
    position = 0
    while position + 12 <= len(whole) and int.from_bytes(whole[position : position + 8], "big") < up_to:
        position += 12 + int.from_bytes(whole[position + 8 : position + 12], "big")
    return whole[:position]


def check_replicas_are_identical(data_dir: Path, topic: str, high_watermarks: dict[int, int], replicas: int) -> None:
    """The logs of all replicas are byte for byte the same up to the high watermark."""
    for partition, high_watermark in high_watermarks.items():
        folders = sorted(data_dir.glob(f"**/{topic}-{partition}"))
        assert len(folders) == replicas, f"{topic}-{partition} has {len(folders)} replicas on disk"
        first, *others = [log_bytes(folder, high_watermark) for folder in folders]
        assert first, f"{topic}-{partition} is empty"
        for folder, other in zip(folders[1:], others, strict=True):
            assert other == first, f"{folder} differs from {folders[0]}"
