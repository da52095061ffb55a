"""What is closed gives its file descriptors and its threads back: clients, apps, SQL engines and whole clusters."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pykka
import pytest

from odradek import Admin, AsyncProducer, Cluster, Consumer, NewTopic, Producer
from streams import STRING, Streams, StreamsBuilder
from streams.sql import SqlEngine
from testing.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

TOPIC = "given-back"


@pytest.fixture(scope="module")
def served() -> Iterator[Cluster]:
    with Cluster(brokers=1) as cluster:
        with Admin(bootstrap_servers=cluster.bootstrap) as admin:
            admin.create_topics([NewTopic(TOPIC, 2, 1), NewTopic(f"{TOPIC}-out", 2, 1)])
        yield cluster


def held() -> Counter[str]:
    """What this process has open, by kind or path, and how many threads and actors there are."""
    found: Counter[str] = Counter(threads=threading.active_count(), actors=len(pykka.ActorRegistry.get_all()))
    for number in os.listdir("/proc/self/fd"):
        try:
            found[os.readlink(f"/proc/self/fd/{number}").partition("[")[0]] += 1
        except FileNotFoundError:  # the listing's own
            continue
    return found


def assert_gives_back(act: Callable[[], Any], times: int) -> None:
    act()  # what is made once and kept (modules, ZeroMQ's threads) is no leak
    before = held()
    for _ in range(times):
        act()
    assert held() - before == Counter()


def addresses(cluster: Cluster) -> dict[str, str]:
    return {"tcp": cluster.bootstrap, "zmq": f"zmq://{cluster.data_dir}"}


@pytest.mark.parametrize(("scheme", "times"), [("tcp", 500), ("zmq", 100)])
def test_hundreds_of_producers(served: Cluster, scheme: str, times: int) -> None:
    def act() -> None:
        with Producer({"bootstrap.servers": addresses(served)[scheme], "linger.ms": 0}) as producer:
            producer.send(TOPIC, b"x").result(30)

    assert_gives_back(act, times)


@pytest.mark.parametrize("scheme", ["tcp", "zmq"])
def test_consumers_and_admins(served: Cluster, scheme: str) -> None:
    where = {"bootstrap.servers": addresses(served)[scheme]}

    def act() -> None:
        with Consumer({**where, "group.id": f"g-{scheme}"}) as consumer:
            consumer.subscribe([TOPIC])
            wait_until(lambda: consumer.poll(50) or consumer.assignment(), timeout_s=30)
        with Admin(where) as admin:
            admin.describe_topics([TOPIC])

    assert_gives_back(act, 10)


def test_async_clients_and_their_loops(served: Cluster) -> None:
    async def live() -> None:
        async with AsyncProducer({"bootstrap.servers": served.bootstrap}) as producer:
            await producer.send(TOPIC, b"x")

    assert_gives_back(lambda: asyncio.run(live()), 20)


def test_producers_that_reach_nobody() -> None:
    nobody = {"bootstrap.servers": "127.0.0.1:1", "max.block.ms": 20, "reconnect.backoff.ms": 5}

    def act() -> None:
        with Producer(nobody) as producer:
            with pytest.raises(Exception, match=r"."):
                producer.send(TOPIC, b"x").result(30)

    assert_gives_back(act, 20)


def test_streams_apps(served: Cluster, tmp_path: Path) -> None:
    def act() -> None:
        builder = StreamsBuilder()
        counts = builder.stream(TOPIC, key=STRING, value=STRING).group_by_key().count(store="counts")
        counts.to_stream().map_values(str).to(f"{TOPIC}-out", value=STRING)
        app = Streams(
            builder.build(),
            {"application.id": "app", "bootstrap.servers": served.bootstrap, "state.dir": str(tmp_path)},
        )
        app.start()
        try:
            wait_until(lambda: app.state == "running", timeout_s=60)
        finally:
            app.close()
        assert app.failure is None

    assert_gives_back(act, 3)


def test_sql_engines(served: Cluster) -> None:
    def act() -> None:
        with SqlEngine(served.bootstrap, service="given-back") as engine:
            engine.execute(
                "CREATE STREAM IF NOT EXISTS l (v STRING) WITH (kafka_topic='l', value_format='KAFKA', partitions=1);"
                "CREATE TABLE IF NOT EXISTS n AS SELECT v, COUNT(*) AS n FROM l GROUP BY v;"
            )
            assert engine.execute("SHOW QUERIES")[-1].rows

    assert_gives_back(act, 3)


@pytest.mark.parametrize(("is_in_process", "times"), [(True, 20), (False, 3)])
def test_clusters(is_in_process: bool, times: int) -> None:
    def act() -> None:
        with Cluster(brokers=1, in_process=is_in_process) as cluster:
            with Producer(bootstrap_servers=cluster.bootstrap) as producer:
                producer.send("t", b"x").result(30)

    assert_gives_back(act, times)


def test_a_broker_in_this_process_that_is_killed_again_and_again() -> None:
    with Cluster(brokers=1, in_process=True) as cluster:

        def act() -> None:
            cluster.kill(1)
            with Producer(bootstrap_servers=cluster.bootstrap) as producer:
                producer.send("t", b"x").result(30)

        assert_gives_back(act, 5)
