"""The Java client's transactions (transaction.version 2, KIP-890), and kafka-transactions, the operator's tool."""

from __future__ import annotations

import shutil
import subprocess
import uuid

import pytest
from committed import read
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka_peer import tool_command

from odradek import Cluster

pytestmark = [
    pytest.mark.java,
    pytest.mark.skipif(not (shutil.which("java") and shutil.which("mvn")), reason="java and mvn are not installed"),
]

PERFORMANCE = "org.apache.kafka.tools.ProducerPerformance"
TRANSACTIONS = "org.apache.kafka.tools.TransactionsCommand"
CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
DUMP = "org.apache.kafka.tools.DumpLogSegments"
FEATURES = "org.apache.kafka.tools.FeatureCommand"


def tool(main_class: str, *arguments: str) -> str:
    """What the tool printed. Fails the test when it exits with an error."""
    done = subprocess.run(tool_command(main_class, *arguments), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def create(cluster: Cluster, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 2})
    admin.create_topics([NewTopic(topic, 3, 3)])[topic].result(30)


def an_open_transaction(cluster: Cluster, topic: str) -> tuple[str, Producer]:
    name = f"tx-{uuid.uuid4().hex[:10]}"
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "transactional.id": name, "log_level": 0})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"open", partition=0)
    producer.flush(30)
    return name, producer


def test_the_java_producer_commits_in_many_transactions(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    load = ("--topic", topic, "--num-records", "3000", "--record-size", "100", "--throughput", "3000")
    transactions = ("--transactional-id", f"tx-{topic}", "--transaction-duration-ms", "20")
    printed = tool(PERFORMANCE, "--bootstrap-server", cluster.bootstrap, *load, *transactions)
    assert "3000 records sent" in printed
    assert len(read(cluster.bootstrap, topic, partitions=3)) == 3000


def test_the_java_consumer_sees_only_what_is_committed(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    _, aborting = an_open_transaction(cluster, topic)
    aborting.abort_transaction(30)
    _, committing = an_open_transaction(cluster, topic)
    committing.commit_transaction(30)
    server = ("--bootstrap-server", cluster.bootstrap, "--topic", topic, "--from-beginning", "--timeout-ms", "8000")
    assert tool(CONSUMER, *server, "--isolation-level", "read_committed").split() == ["open"]
    assert tool(CONSUMER, *server, "--isolation-level", "read_uncommitted").split() == ["open", "open"]


def test_transactions_are_listed_described_and_found_in_their_partitions(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    name, producer = an_open_transaction(cluster, topic)
    server = ("--bootstrap-server", cluster.bootstrap)
    row = next(line for line in tool(TRANSACTIONS, *server, "list").splitlines() if name in line)
    assert "Ongoing" in row
    described = tool(TRANSACTIONS, *server, "describe", "--transactional-id", name)
    assert "Ongoing" in described and f"{topic}-0" in described
    producers = tool(TRANSACTIONS, *server, "describe-producers", "--topic", topic, "--partition", "0")
    assert len(producers.splitlines()) == 2
    producer.commit_transaction(30)
    described = tool(TRANSACTIONS, *server, "describe", "--transactional-id", name)
    assert "Complete" in described or "Prepare" in described


def test_an_operator_can_abort_an_open_transaction(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    _, producer = an_open_transaction(cluster, topic)
    plain = Producer({"bootstrap.servers": cluster.bootstrap})
    plain.produce(topic, b"plain", partition=0)
    plain.flush(30)
    assert read(cluster.bootstrap, topic, partitions=3) == []
    server = ("--bootstrap-server", cluster.bootstrap)
    tool(TRANSACTIONS, *server, "abort", "--topic", topic, "--partition", "0", "--start-offset", "0")
    assert read(cluster.bootstrap, topic, partitions=3) == [b"plain"]
    producer.abort_transaction(30)


def test_kafka_reads_our_transaction_log(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    name, producer = an_open_transaction(cluster, topic)
    producer.commit_transaction(30)
    logs = sorted(str(path) for path in cluster.data_dir.glob("**/__transaction_state-*/*.log") if path.stat().st_size)
    printed = tool(DUMP, "--transaction-log-decoder", "--files", ",".join(logs))
    rows = [line for line in printed.splitlines() if name in line]
    assert any('"transactionStatus":0' in row for row in rows)
    assert any('"transactionStatus":1' in row and topic in row for row in rows)
    assert any('"transactionStatus":4' in row for row in rows) or any('"transactionStatus":2' in row for row in rows)


def test_the_feature_is_finalized(cluster: Cluster) -> None:
    described = tool(FEATURES, "--bootstrap-server", cluster.bootstrap, "describe")
    row = next(line for line in described.splitlines() if "transaction.version" in line)
    assert "FinalizedVersionLevel: 2" in row
