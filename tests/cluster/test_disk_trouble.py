"""A disk that takes no more bytes, under one broker of three: RLIMIT_FSIZE, set on a live process.

Writes beyond the limit fail with EFBIG as they would with ENOSPC on a full disk, also halfway through a batch. Only the
partition that grows that far suffers.
"""

from __future__ import annotations

import resource
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from history import check_replicas_are_identical, read_all

from model.errors import ErrorCode
from odradek import Cluster, wait_until
from protocol.frames import parse_response_header, request_frame
from protocol.k03_metadata import MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponsePartition
from protocol.k35_describe_log_dirs import DescribeLogDirsRequest, DescribeLogDirsResponse

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

LIMIT_BYTES = 1_000_003  # amid a batch
RECORDS = 4_000


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(brokers=3, data_dir=tmp_path / "data") as running:
        yield running


def ask(cluster: Cluster, broker: int, request: MetadataRequest | DescribeLogDirsRequest, version: int) -> memoryview:
    """The body of the answer to one request, on a connection of its own."""
    row = cluster.brokers()[broker]
    with socket.create_connection((row["host"], row["port"]), timeout=10) as connection:
        connection.sendall(b"".join(request_frame(request, version, 1, "test")))
        stream = connection.makefile("rb")
        frame = memoryview(stream.read(int.from_bytes(stream.read(4), "big")))
    return frame[parse_response_header(frame, request.api_key, version)[1] :]


def partition_row(cluster: Cluster, broker: int, topic: str) -> MetadataResponsePartition:
    request = MetadataRequest(topics=[MetadataRequestTopic(name=topic)], allow_auto_topic_creation=False)
    return MetadataResponse.decode(ask(cluster, broker, request, 9), 9).topics[0].partitions[0]


class Writer:
    """Idempotent, acks=all; every record must be acknowledged in the end."""

    def __init__(self, cluster: Cluster, topic: str) -> None:
        self.topic = topic
        self.acked: dict[int, int] = {}
        self.failed: list[str] = []
        self.sent = 0
        self._producer = Producer(
            {"bootstrap.servers": cluster.bootstrap, "enable.idempotence": True, "retry.backoff.ms": 20, "log_level": 2}
        )

    def write(self, count: int, size: int = 1_000) -> None:
        for number in range(self.sent, self.sent + count):
            value = f"{number} ".encode().ljust(size, b".")
            self._producer.produce(self.topic, value, on_delivery=self._on_delivery)
            self._producer.poll(0)
        self.sent += count
        assert self._producer.flush(60) == 0, "records were never answered"

    def _on_delivery(self, error: object, message: object) -> None:
        if error is not None:
            self.failed.append(str(error))
        else:
            self.acked[int(message.value().split()[0])] = message.offset()  # type: ignore[attr-defined]

    def check(self, cluster: Cluster) -> int:
        """Everything sent is there once, where its acknowledgement said; the log's end."""
        assert not self.failed and len(self.acked) == self.sent, self.failed[:3]
        rows = read_all(cluster.bootstrap, self.topic, 1)[0]
        assert {int(value.split()[0]): offset for offset, _, value in rows} == self.acked
        assert len(rows) == self.sent
        return int(rows[-1][0]) + 1


@pytest.mark.parametrize("victim", ["leader", "follower"])
def test_a_full_disk_costs_its_broker_that_partition_and_nobody_a_record(
    cluster: Cluster, victim: str, topic: str
) -> None:
    heavy, light = f"{topic}-heavy", f"{topic}-light"
    broker, others = (1, [2, 3]) if victim == "leader" else (2, [1, 3])
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 2})
    for name, replicas in ((heavy, [1, 2, 3]), (light, [broker, *others])):
        new = NewTopic(name, 1, replica_assignment=[replicas], config={"min.insync.replicas": "2"})
        admin.create_topics([new])[name].result(20)
    heavy_writer, light_writer = Writer(cluster, heavy), Writer(cluster, light)
    heavy_writer.write(100)
    light_writer.write(100)
    resource.prlimit(cluster.pids()[broker], resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES))

    heavy_writer.write(RECORDS)
    light_writer.write(200)

    row = partition_row(cluster, others[0], heavy)
    assert row.leader_id in others and sorted(row.isr_nodes) == sorted(others)
    assert row.offline_replicas == [broker]
    row = partition_row(cluster, others[0], light)
    assert row.leader_id == broker and len(row.isr_nodes) == 3 and not row.offline_replicas
    log_file = next(cluster.data_dir.rglob(f"broker-{broker}.log"))
    assert f"{heavy}-0 goes offline on broker {broker}: cannot write" in log_file.read_text()
    dirs = DescribeLogDirsResponse.decode(ask(cluster, broker, DescribeLogDirsRequest(topics=None), 2), 2)
    names = {result.error_code: [t.name for t in result.topics] for result in dirs.results}
    assert names == {ErrorCode.NONE: [light], ErrorCode.KAFKA_STORAGE_ERROR: [heavy]}

    cluster.kill(broker)  # the next incarnation has no limit
    cluster.wait_until_all_run(60)
    for name in (heavy, light):
        wait_until(
            lambda name=name: len(partition_row(cluster, others[0], name).isr_nodes) == 3,  # type: ignore[misc]
            what="the ISR to grow back",
        )
    assert not partition_row(cluster, others[0], heavy).offline_replicas
    heavy_writer.write(50)
    ends = {heavy: heavy_writer.check(cluster), light: light_writer.check(cluster)}
    cluster.stop()
    for name, end in ends.items():
        check_replicas_are_identical(cluster.data_dir, name, {0: end}, replicas=3)


def test_the_last_replica_in_the_isr_waits_for_its_disk_and_loses_nothing(cluster: Cluster, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 2})
    admin.create_topics([NewTopic(topic, 1, replica_assignment=[[1]])])[topic].result(20)
    writer = Writer(cluster, topic)
    writer.write(100)
    resource.prlimit(cluster.pids()[1], resource.RLIMIT_FSIZE, (LIMIT_BYTES, LIMIT_BYTES))
    doomed = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "log_level": 2, "message.timeout.ms": 1})
    while partition_row(cluster, 2, topic).leader_id == 1:
        doomed.produce(topic, b"100000 ".ljust(100_000, b"."))
        doomed.flush(1)
    row = partition_row(cluster, 2, topic)
    assert (row.leader_id, row.isr_nodes, row.offline_replicas) == (-1, [1], [1])
    cluster.kill(1)
    cluster.wait_until_all_run(60)
    wait_until(lambda: partition_row(cluster, 2, topic).leader_id == 1, what="the partition to be led again")
    writer.write(50)
    assert not writer.failed
    found = {int(v.split()[0]): offset for offset, _, v in read_all(cluster.bootstrap, topic, 1)[0]}
    assert {number: found.get(number) for number in writer.acked} == writer.acked
