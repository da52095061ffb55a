"""A word count on a cluster: two instances share the tasks, one leaves, one is cut off; every word counts once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streams_brokers import cluster

from odradek import Admin, Consumer, NewTopic, Producer, TopicPartition, wait_until
from streams import LONG, STRING, Streams, StreamsBuilder, StreamsError, TaskFailed, Topology

__all__ = ["cluster"]

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

PARTITIONS = 3


def word_count(source: str, target: str) -> Topology:
    builder = StreamsBuilder()
    words = builder.stream(source, key=STRING, value=STRING).flat_map_values(lambda line: line.lower().split())
    counts = words.group_by(lambda word: word, key=STRING, value=STRING).count(store="counts")
    counts.to_stream().to(target, value=LONG)
    return builder.build()


def counts_in(bootstrap: str, topic: str) -> dict[str, int]:
    found: dict[str, int] = {}
    places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    with Consumer({"bootstrap.servers": bootstrap, "isolation.level": "read_committed"}) as consumer:
        consumer.assign(places)
        consumer.seek_to_beginning(places)
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < end for place, end in ends.items()):
            for record in consumer.poll(500):
                found[bytes(record.raw_key).decode()] = int.from_bytes(bytes(record.raw_value), "big")
    return found


def produce(bootstrap: str, topic: str, lines: list[str]) -> Counter[str]:
    with Producer(bootstrap_servers=bootstrap) as producer:
        for line in lines:
            producer.send(topic, line.encode())
        producer.flush()
    return Counter(word for line in lines for word in line.lower().split())


def test_a_failed_exactly_once_app_leaves_nothing_behind(cluster: Any, topic: str) -> None:
    bootstrap, target = str(cluster.bootstrap), f"{topic}-out"
    with Admin(bootstrap_servers=bootstrap) as admin:
        admin.create_topics([NewTopic(topic, PARTITIONS, -1), NewTopic(target, PARTITIONS, -1)])

    def an_app(parse: Callable[[str], int], commit_interval_ms: int = 60_000) -> Streams:
        builder = StreamsBuilder()
        builder.stream(topic, key=STRING, value=STRING).map_values(parse).to(target, key=STRING, value=LONG)
        settings = {
            "application_id": f"{topic}-app",
            "bootstrap_servers": bootstrap,
            "processing_guarantee": "exactly_once_v2",
            "commit_interval_ms": commit_interval_ms,
        }
        return Streams(builder.build(), settings)

    with Producer(bootstrap_servers=bootstrap) as producer:
        for number in range(20):
            producer.send(topic, b"%d" % number if number < 19 else b"bad", b"k%d" % number, partition=0)
        producer.flush()
    with pytest.raises(TaskFailed, match="-0@19"):
        an_app(int).run()
    assert counts_in(bootstrap, target) == {}
    mended = an_app(lambda v: int(v) if v.isdigit() else -1, commit_interval_ms=100)
    mended.start()
    try:
        wait_until(lambda: mended.failure is not None or len(counts_in(bootstrap, target)) == 20, timeout_s=60)
    finally:
        mended.close()
    assert mended.failure is None
    assert len(counts_in(bootstrap, target)) == 20


def test_a_stream_meets_a_global_table_by_any_key(cluster: Any, topic: str) -> None:
    bootstrap, target, names = str(cluster.bootstrap), f"{topic}-out", f"{topic}-names"
    with Admin(bootstrap_servers=bootstrap) as admin:
        admin.create_topics([NewTopic(each, PARTITIONS, -1) for each in (topic, target, names)])
    with Producer(bootstrap_servers=bootstrap) as producer:
        for number in range(10):
            producer.send(names, b"\0" * 7 + bytes([number]), b"n%d" % number)
        producer.flush()
        for number in range(30):
            producer.send(topic, b"n%d" % (number % 10), b"k%d" % number)
    builder = StreamsBuilder()
    table = builder.global_table(names, key=STRING, value=LONG)
    stream = builder.stream(topic, key=STRING, value=STRING)
    joined = stream.join(table, lambda name, number: number, key_selector=lambda key, name: name)
    joined.to(target, key=STRING, value=LONG)
    app = Streams(builder.build(), {"application_id": f"{topic}-app", "bootstrap_servers": bootstrap})
    app.start()
    try:
        expected = {f"k{number}": number % 10 for number in range(30)}
        wait_until(
            lambda: app.failure is not None or counts_in(bootstrap, target) == expected,
            timeout_s=60,
            what="all have met",
        )
    finally:
        app.close()
    assert app.failure is None


def test_an_app_that_is_a_little_early_waits_for_its_topics(cluster: Any, topic: str) -> None:
    bootstrap, target = str(cluster.bootstrap), f"{topic}-out"
    app = Streams(word_count(topic, target), {"application_id": f"{topic}-app", "bootstrap_servers": bootstrap,
                                              "commit_interval_ms": 100})  # fmt: skip
    app.start()
    try:
        wait_until(lambda: app.lives > 1, timeout_s=60, what="it has not found them")
        with Admin(bootstrap_servers=bootstrap) as admin:
            admin.create_topics([NewTopic(topic, PARTITIONS, -1), NewTopic(target, PARTITIONS, -1)])
        expected = produce(bootstrap, topic, ["a b a"])
        wait_until(
            lambda: app.failure is not None or counts_in(bootstrap, target) == expected,
            timeout_s=60,
            what="it has counted",
        )
    finally:
        app.close()
    assert app.failure is None


def test_topics_that_cannot_be_joined_are_named(cluster: Any, topic: str) -> None:
    bootstrap, other = str(cluster.bootstrap), f"{topic}-other"
    with Admin(bootstrap_servers=bootstrap) as admin:
        admin.create_topics([NewTopic(topic, 3, -1), NewTopic(other, 2, -1)])
    builder = StreamsBuilder()
    table = builder.table(other, key=STRING, value=STRING)
    builder.stream(topic, key=STRING, value=STRING).join(table, lambda x, y: x + y).to("out")
    app = Streams(builder.build(), {"application_id": f"{topic}-app", "bootstrap_servers": bootstrap})
    with pytest.raises(StreamsError, match=f"{topic} has 3, {other} has 2"):
        app.run()


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once_v2"])
def test_words_are_counted_while_instances_come_and_go(
    cluster: Any, topic: str, guarantee: str, tmp_path: Path
) -> None:
    bootstrap, target = str(cluster.bootstrap), f"{topic}-out"
    with Admin(bootstrap_servers=bootstrap) as admin:
        admin.create_topics([NewTopic(topic, PARTITIONS, -1), NewTopic(target, PARTITIONS, -1)])

    def an_app(number: int) -> Streams:
        settings = {
            "application_id": f"{topic}-app",
            "bootstrap_servers": bootstrap,
            "processing_guarantee": guarantee,
            "commit_interval_ms": 200,
            "consumer": {"heartbeat.interval.ms": 300, "session.timeout.ms": 6000},
        }
        if guarantee == "exactly_once_v2":
            pytest.importorskip("rocksdict")
            settings |= {"state_dir": tmp_path / str(number), "default_store": "rocksdb"}
        return Streams(word_count(topic, target), settings)

    expected = produce(bootstrap, topic, ["A a b", "C b", "A a d C"] * 200)
    first, second = an_app(1), an_app(2)
    apps = [first, second]
    first.start()
    try:
        wait_until(
            lambda: first.failure is not None or counts_in(bootstrap, target) == expected,
            timeout_s=60,
            what="the first one counted",
        )
        assert first.failure is None
        second.start()
        wait_until(
            lambda: second.state == "running" and bool(second.task_names("running")),
            timeout_s=60,
            what="the second one has tasks",
        )
        expected += produce(bootstrap, topic, ["b c", "e"] * 300)
        wait_until(lambda: counts_in(bootstrap, target) == expected, timeout_s=60, what="both together counted")
        first.close()
        assert first.state == "closed"
        expected += produce(bootstrap, topic, ["a e f"] * 100)
        wait_until(lambda: counts_in(bootstrap, target) == expected, timeout_s=60, what="the second one went on")
        assert second.restored_records > 0
    finally:
        for app in apps:
            app.close()
    assert [app.failure for app in apps] == [None, None]
