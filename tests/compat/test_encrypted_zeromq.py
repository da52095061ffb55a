"""Our own clients through ZeroMQ gateways that encrypt (CURVE)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from model.errors import UnknownTopicOrPartition
from odradek import Cluster, Consumer, NewTopic, Producer, TopicPartition

pytestmark = pytest.mark.compat

PUBLIC, SECRET = (key.decode() for key in zmq.curve_keypair())
CLIENT_PUBLIC, CLIENT_SECRET = (key.decode() for key in zmq.curve_keypair())


@pytest.fixture(scope="module")
def encrypted() -> Iterator[Cluster]:
    configs = {"zmq.curve.secret.key": SECRET, "zmq.curve.client.keys": CLIENT_PUBLIC}
    with Cluster(brokers=2, configs=configs) as cluster:
        cluster.admin.create_topics([NewTopic("secret", 2, 2)])  # over TCP, which has no such lock
        yield cluster


def configs_of(cluster: Cluster, **configs: Any) -> dict[str, Any]:
    return {"bootstrap.servers": f"zmq://{cluster.data_dir}", "max.block.ms": 1_000, **configs}


def test_a_client_with_the_right_keys_produces_and_consumes(encrypted: Cluster) -> None:
    keys = {"zmq.curve.server.key": PUBLIC, "zmq.curve.secret.key": CLIENT_SECRET}
    with Producer(configs_of(encrypted, **keys)) as producer:
        for partition in range(2):  # one on each broker
            producer.send("secret", b"x" * 100_000, partition=partition).result(30)
    with Consumer({"bootstrap.servers": f"zmq://{encrypted.data_dir}", **keys}) as consumer:
        consumer.assign([TopicPartition("secret", 0), TopicPartition("secret", 1)])
        consumer.seek_to_beginning()
        seen = 0
        while seen < 2:
            seen += len(consumer.poll(30_000))


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({}, "has one side CURVE"),
        ({"zmq.curve.server.key": PUBLIC}, "it refuses this client's key"),
        ({"zmq.curve.server.key": CLIENT_PUBLIC, "zmq.curve.secret.key": CLIENT_SECRET}, "can't connect"),
    ],
    ids=["plain", "unknown client", "another broker's key"],
)
def test_everybody_else_is_told_why_not(encrypted: Cluster, keys: dict[str, str], why: str) -> None:
    with Producer(configs_of(encrypted, **keys)) as producer, pytest.raises(UnknownTopicOrPartition, match=why):
        producer.send("secret", b"x")


def test_a_broker_with_a_key_that_is_none_says_so() -> None:
    from odradek import ClusterFailed

    with pytest.raises(ClusterFailed, match=r"zmq.curve.secret.key: a key is 40 characters"):
        Cluster(brokers=1, configs={"zmq.curve.secret.key": "short"}).start()
