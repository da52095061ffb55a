"""Kafka's own command line tools, from its jars: they drive the Java client and read our files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from confluent_kafka import Producer
from kafka_peer import tool_command

from odradek import Cluster

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(not (shutil.which("java") and shutil.which("mvn")), reason="java and mvn are not installed"),
]

TOPICS = "org.apache.kafka.tools.TopicCommand"
CONFIGS = "kafka.admin.ConfigCommand"
OFFSETS = "org.apache.kafka.tools.GetOffsetShell"
PERFORMANCE = "org.apache.kafka.tools.ProducerPerformance"
PRODUCER = "org.apache.kafka.tools.ConsoleProducer"
CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
DUMP = "org.apache.kafka.tools.DumpLogSegments"
COMPLAINTS = ("Exception", "mismatch", "Mismatch", "isvalid: false", "corrupt", "Non-consecutive", "Misplaced")


def tool(main_class: str, *arguments: str, stdin: str = "") -> str:
    """What the tool printed. Fails the test when it exits with an error."""
    command = tool_command(main_class, *arguments)
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_topics_are_created_described_altered_and_deleted(cluster: Cluster, topic: str) -> None:
    server = ("--bootstrap-server", cluster.bootstrap)
    create = ("--create", "--partitions", "3", "--replication-factor", "3", "--config", "retention.ms=100000")
    tool(TOPICS, *server, "--topic", topic, *create)
    tool(TOPICS, *server, "--topic", topic, "--alter", "--partitions", "5")
    described = tool(TOPICS, *server, "--topic", topic, "--describe")
    assert "PartitionCount: 5" in described and "ReplicationFactor: 3" in described
    assert "retention.ms=100000" in described
    assert topic in tool(TOPICS, *server, "--list").split()
    tool(TOPICS, *server, "--topic", topic, "--delete")
    assert topic not in tool(TOPICS, *server, "--list").split()


def test_configs_are_altered_and_described(cluster: Cluster, topic: str) -> None:
    server = ("--bootstrap-server", cluster.bootstrap)
    tool(TOPICS, *server, "--create", "--topic", topic, "--partitions", "1", "--replication-factor", "3")
    of_topic = ("--entity-type", "topics", "--entity-name", topic)
    tool(CONFIGS, *server, "--alter", *of_topic, "--add-config", "segment.bytes=2000000")
    assert "segment.bytes=2000000" in tool(CONFIGS, *server, "--describe", *of_topic)
    every = tool(CONFIGS, *server, "--describe", "--all", "--entity-type", "brokers", "--entity-name", "1")
    assert "default.replication.factor=3" in every


def test_the_java_producer_and_consumer_round_trip(cluster: Cluster, topic: str) -> None:
    server = ("--bootstrap-server", cluster.bootstrap)
    tool(TOPICS, *server, "--create", "--topic", topic, "--partitions", "1", "--replication-factor", "3")
    lines = [f"line {i}" for i in range(1000)]
    tool(PRODUCER, *server, "--topic", topic, "--compression-codec", "zstd", stdin="\n".join(lines) + "\n")
    where = ("--topic", topic, "--partition", "0", "--offset", "earliest", "--max-messages", "1000")
    assert tool(CONSUMER, *server, *where, "--timeout-ms", "30000").splitlines() == lines


def test_producer_performance_and_get_offsets(cluster: Cluster, topic: str) -> None:
    server = ("--bootstrap-server", cluster.bootstrap)
    tool(TOPICS, *server, "--create", "--topic", topic, "--partitions", "2", "--replication-factor", "3")
    properties = ("--producer-props", f"bootstrap.servers={cluster.bootstrap}", "acks=all")
    load = ("--num-records", "20000", "--record-size", "200", "--throughput", "-1")
    assert "20000 records sent" in tool(PERFORMANCE, "--topic", topic, *load, *properties)
    offsets = tool(OFFSETS, *server, "--topic", topic)
    assert sum(int(line.rsplit(":", 1)[1]) for line in offsets.split()) == 20_000


def test_dump_log_segments_reads_every_file_we_write(tmp_path: Path, topic: str) -> None:
    """Segments, indexes and producer snapshots of a topic that rolled a few times."""
    with Cluster(brokers=1, data_dir=tmp_path / "data", configs={"log.segment.bytes": "1048576"}) as cluster:
        producer = Producer({"bootstrap.servers": cluster.bootstrap, "enable.idempotence": True, "linger.ms": 1})
        for i in range(4000):
            producer.produce(topic, bytes(1000), key=str(i % 7), partition=0, timestamp=1_700_000_000_000 + i)
            if i % 50 == 0:
                producer.flush(30)
        assert producer.flush(30) == 0
        cluster.stop()
        (folder,) = cluster.data_dir.glob(f"**/{topic}-0")
        segments, indexes = sorted(folder.glob("*.log")), sorted(folder.glob("*.*index"))
        assert len(segments) >= 3
        for files, options in ((segments, ("--deep-iteration",)), (indexes, ("--index-sanity-check",))):
            said = tool(DUMP, *options, "--files", ",".join(map(str, files)))
            assert not [line for line in said.splitlines() if any(word in line for word in COMPLAINTS)]
        snapshots = sorted(folder.glob("*.snapshot"))
        assert snapshots
        assert "producerId" in tool(DUMP, "--files", str(snapshots[-1]))
