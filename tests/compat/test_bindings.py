"""The ZeroMQ bindings for other languages, each through its run.sh: a round trip against brokers behind zmq.port.

What a binding needs is fetched by its registry's own client into a cache outside the repository.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from neighbouring_ports import free_ports

from odradek import Cluster, Consumer, NewTopic, TopicPartition

BINDINGS = Path(__file__).parents[2] / "clients" / "bindings"
LANGUAGES = {"node": ("node", "npm"), "go": ("go",), "java": ("java", "javac", "mvn")}
"""Folder → the programs without which it is skipped."""
ENCRYPTING = ("node", "java")  # the Go library speaks no CURVE
PUBLIC, SECRET = (key.decode() for key in zmq.curve_keypair())
LIMIT_S = 240

pytestmark = [pytest.mark.foreign, pytest.mark.timeout(LIMIT_S + 60)]


@pytest.fixture(scope="module")
def zmq_cluster() -> Iterator[Cluster]:
    configs = {"default.replication.factor": "3", "zmq.port": str(free_ports(3))}
    with Cluster(brokers=3, configs=configs) as running:
        yield running


@pytest.fixture(scope="module")
def encrypted_cluster() -> Iterator[Cluster]:
    configs = {"default.replication.factor": "2", "zmq.port": str(free_ports(2)), "zmq.curve.secret.key": SECRET}
    with Cluster(brokers=2, configs=configs) as running:
        yield running


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_round_trip(zmq_cluster: Cluster, topic: str, language: str, capfd: pytest.CaptureFixture[str]) -> None:
    _round_trip(zmq_cluster, topic, language, capfd)


@pytest.mark.parametrize("language", ENCRYPTING)
def test_an_encrypted_round_trip(
    encrypted_cluster: Cluster, topic: str, language: str, capfd: pytest.CaptureFixture[str]
) -> None:
    _round_trip(encrypted_cluster, topic, language, capfd, PUBLIC)


def _round_trip(
    cluster: Cluster, topic: str, language: str, capfd: pytest.CaptureFixture[str], *server_key: str
) -> None:
    missing = [program for program in LANGUAGES[language] if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed")
    cluster.admin.create_topics([NewTopic(topic, 3, cluster.size)])
    endpoint = cluster.brokers()[1]["zmq_endpoint"]
    process = subprocess.Popen([BINDINGS / language / "run.sh", endpoint, topic, *server_key], start_new_session=True)
    try:
        status = process.wait(LIMIT_S)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    printed = capfd.readouterr()
    assert status == 0, printed.out + printed.err
    assert printed.out.strip().splitlines()[-1] == "ok 1000"
    check_partitions(cluster, topic)


def check_partitions(cluster: Cluster, topic: str) -> None:
    """Its keys went where our own producer, and Java's, would have sent them."""
    from clients.murmur2 import murmur2

    with Consumer({"bootstrap.servers": cluster.bootstrap, "auto.offset.reset": "earliest"}) as consumer:
        consumer.assign([TopicPartition(topic, number) for number in range(3)])
        seen = 0
        while seen < 1_000:
            for record in consumer.poll(1_000):
                assert (murmur2(record.key) & 0x7FFFFFFF) % 3 == record.partition
                seen += 1
