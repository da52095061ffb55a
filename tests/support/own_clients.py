"""Our own clients, against our cluster over TCP and ZeroMQ, or against any Kafka cluster.

ODRADEK_TEST_BOOTSTRAP=host:port has the same tests run against that one.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from odradek import Admin, Consumer, NewTopic, TopicPartition

FOREIGN = os.environ.get("ODRADEK_TEST_BOOTSTRAP", "")
REPLICAS = int(os.environ.get("ODRADEK_TEST_REPLICAS", "3" if not FOREIGN else "1"))


@pytest.fixture(params=["tcp", "zmq"])
def where(request: pytest.FixtureRequest) -> str:
    """What bootstrap.servers is."""
    if FOREIGN:
        if request.param == "zmq":
            pytest.skip("only our own brokers speak ZeroMQ")
        return FOREIGN
    cluster = request.getfixturevalue("cluster")
    return f"zmq://{cluster.data_dir}" if request.param == "zmq" else str(cluster.bootstrap)


@pytest.fixture
def admin(where: str) -> Iterator[Admin]:
    with Admin(bootstrap_servers=where) as admin:
        yield admin


@pytest.fixture
def made(admin: Admin, topic: str) -> str:
    """A topic of three partitions."""
    admin.create_topics([NewTopic(topic, 3, REPLICAS)])
    if FOREIGN:  # Kafka answers before its leaders know; what acks=0 sends until then is lost
        admin.list_offsets(dict.fromkeys(places(topic), -1))
    return topic


def places(topic: str, count: int = 3) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(count)]


def a_consumer(where: str, **configs: Any) -> Consumer:
    return Consumer(
        {"bootstrap.servers": where, "auto.offset.reset": "earliest", "heartbeat.interval.ms": 300}, **configs
    )


def read(consumer: Consumer, count: int, timeout_s: float = 30.0) -> list[Any]:
    records: list[Any] = []
    deadline = time.monotonic() + timeout_s
    while len(records) < count and time.monotonic() < deadline:
        records += consumer.poll(200)
    assert len(records) == count
    return records


def read_topic(where: str, topic: str, count: int, **configs: Any) -> list[Any]:
    with a_consumer(where, **configs) as consumer:
        consumer.assign(places(topic))
        return read(consumer, count)


@pytest.fixture
def group() -> str:
    return f"g-{uuid.uuid4().hex[:10]}"
