"""A compacted topic under a live cluster: every replica shrinks to the last value of each key, also through kills."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from history import read_all

from odradek import Cluster, wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

KEYS, UPDATES, SEGMENT_BYTES = 200, 20_000, 200_000


def sizes(cluster: Cluster, topic: str) -> list[int]:
    """Bytes of the log on each broker."""
    found: dict[Path, int] = {}
    for path in cluster.data_dir.rglob(f"{topic}-0/*.log"):
        found[path.parent] = found.get(path.parent, 0) + path.stat().st_size
    return list(found.values())


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_the_last_value_of_each_key_is_what_stays(tmp_path: Path, topic: str, compression: str) -> None:
    source = random.Random(7)
    configs = {"log.cleaner.backoff.ms": "100"}
    with Cluster(brokers=3, data_dir=tmp_path / "data", configs=configs) as cluster:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 2})
        topic_configs = {
            "cleanup.policy": "compact",
            "internal.segment.bytes": str(SEGMENT_BYTES),
            "min.cleanable.dirty.ratio": "0.1",
            "delete.retention.ms": "0",
        }
        admin.create_topics([NewTopic(topic, 1, 3, config=topic_configs)])[topic].result(20)
        producer = Producer(
            {
                "bootstrap.servers": cluster.bootstrap,
                "enable.idempotence": True,
                "compression.type": compression,
                "batch.num.messages": 100,
                "retry.backoff.ms": 20,
                "log_level": 2,
            }
        )
        failed: list[str] = []

        def on_delivery(error: object, _: object) -> None:
            if error is not None:
                failed.append(str(error))

        expected: dict[bytes, bytes | None] = {}
        for number in range(UPDATES):
            key = b"key-%d" % source.randrange(KEYS)
            value = None if source.random() < 0.05 else b"%d " % number + source.randbytes(40).hex().encode()
            producer.produce(topic, value, key, on_delivery=on_delivery)
            producer.poll(0)
            expected[key] = value
            if number % 5_000 == 4_999:
                assert producer.flush(60) == 0
                cluster.kill(source.choice([1, 2, 3]))
                cluster.wait_until_all_run(30)
        assert producer.flush(60) == 0 and not failed, failed[:3]
        wait_until(
            lambda: len(sizes(cluster, topic)) == 3 and max(sizes(cluster, topic)) < 3 * SEGMENT_BYTES,
            what="every replica to be compacted",
        )
        rows: list[tuple[int, bytes, bytes | None]] = []

        def are_few() -> bool:
            rows[:] = read_all(cluster.bootstrap, topic, 1)[0]
            return len(rows) < UPDATES / 4

        # three small segments hold more of what compresses well: the cleaner may have one of them still to do
        wait_until(are_few, what="few rows to be left", every_s=0.5)
        last = {key: value for _, key, value in rows}
        assert {k: v for k, v in last.items() if v is not None} == {k: v for k, v in expected.items() if v is not None}
        checkpoints = list(cluster.data_dir.rglob("cleaner-offset-checkpoint"))
        assert len(checkpoints) == 3 and all(f"{topic} 0 " in path.read_text() for path in checkpoints)
        assert "Traceback" not in cluster.output()
