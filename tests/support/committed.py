"""Reading with and without `isolation.level=read_committed`, for tests of transactions."""

from __future__ import annotations

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from odradek import wait_until


def read(
    bootstrap: str, topic: str, *, committed: bool = True, partitions: int = 1, timeout_s: float = 30.0
) -> list[bytes]:
    """Every value up to the last stable offset, or to the high watermark; in order within a partition."""
    isolation = "read_committed" if committed else "read_uncommitted"
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "committed-reader",
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
            "log_level": 2,
        }
    )
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in range(partitions)])
    found: list[tuple[int, bytes]] = []
    at_end: set[int] = set()

    def is_all_read() -> bool:
        for message in consumer.consume(10_000, timeout=0.1):
            error = message.error()
            if error is None:
                found.append((message.partition() or 0, message.value() or b""))
                at_end.discard(message.partition() or 0)
            elif error.name() == "_PARTITION_EOF":
                at_end.add(message.partition() or 0)
        return len(at_end) == partitions

    try:
        wait_until(is_all_read, timeout_s=timeout_s, what="the end of every partition")
    finally:
        consumer.close()
    return [value for _, value in sorted(found, key=lambda row: row[0])]
