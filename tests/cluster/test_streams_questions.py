"""Looking into stores from anywhere, worker processes, and what live apps do with time, patterns and bad records."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from streams_app import QUICK, count_per_key, create, read_counts, say, until, word_count
from streams_brokers import cluster

from odradek import Consumer, Producer, TopicPartition
from streams import LONG, STRING, JoinWindows, StateStoreError, Streams, StreamsBuilder, TimeWindows, Topology
from streams.config import log_and_continue

__all__ = ["cluster"]

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

PARTITIONS = 3


@contextmanager
def running(topology: Topology, bootstrap: str, name: str, **more: Any) -> Iterator[Streams]:
    settings = {"application_id": name, "bootstrap_servers": bootstrap, "consumer": QUICK, "commit_interval_ms": 200}
    app = Streams(topology, settings | more)
    app.start()
    try:
        yield app
    finally:
        app.close()
    assert app.failure is None, app.failure


def values_in(bootstrap: str, topic: str, partitions: int = 1) -> list[str]:
    places = [TopicPartition(topic, number) for number in range(partitions)]
    found: list[str] = []
    with Consumer({"bootstrap.servers": bootstrap}) as consumer:
        consumer.assign(places)
        consumer.seek_to_beginning(places)
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < end for place, end in ends.items()):
            found += [bytes(record.value).decode() for record in consumer.poll(500)]
    return found


def test_any_instance_answers_for_all_of_them(cluster: Any, topic: str) -> None:
    bootstrap, target = str(cluster.bootstrap), f"{topic}-out"
    create(bootstrap, topic, target, partitions=PARTITIONS, replicas=-1)
    keys = [f"k{number}" for number in range(200)]
    say(bootstrap, topic, keys, key=lambda n, line: line.encode())
    with (
        running(count_per_key(topic, target), bootstrap, f"{topic}-app") as one,
        running(count_per_key(topic, target), bootstrap, f"{topic}-app") as two,
    ):
        until(lambda: one.task_names("running") and two.task_names("running"), "both have tasks")
        until(lambda: len(dict(one.store("counts").all())) == 200, "all are counted")
        for app in (one, two):
            counts = app.store("counts")
            assert {key: counts.get(key) for key in keys} == dict.fromkeys(keys, 1)
            assert counts.get("nobody") is None
            assert dict(counts.range("k10", "k11")) == {
                key: 1 for key in keys if "k10" <= key <= "k11"
            }
            assert dict(counts.prefix_scan("k1", STRING)) == {key: 1 for key in keys if key.startswith("k1")}
            assert counts.approximate_num_entries() == 200
            assert counts.get_with_timestamp("k7")[0] == 1
        two.close()
        until(lambda: len(one.task_names("running")) == PARTITIONS, "one has them all")
        assert one.store("counts").get("k7") == 1


def test_a_question_that_nobody_can_answer_is_an_error(cluster: Any, topic: str) -> None:
    bootstrap, target = str(cluster.bootstrap), f"{topic}-out"
    app = Streams(count_per_key(topic, target), {"application_id": f"{topic}-app", "bootstrap_servers": bootstrap})
    with pytest.raises(StateStoreError, match="nobody"):
        app.store("counts", timeout_s=0.2).get("k")


def test_standbys_answer_if_old_values_will_do(cluster: Any, topic: str) -> None:
    bootstrap, target = str(cluster.bootstrap), f"{topic}-out"
    create(bootstrap, topic, target, partitions=1, replicas=-1)
    say(bootstrap, topic, ["k"], key=lambda n, line: line.encode())
    more = {"num_standby_replicas": 1}
    with (
        running(count_per_key(topic, target), bootstrap, f"{topic}-app", **more) as one,
        running(count_per_key(topic, target), bootstrap, f"{topic}-app", **more) as two,
    ):
        until(lambda: {*one.task_names("standby"), *two.task_names("standby")} == {"0_0"}, "one stands by")
        active, standby = (one, two) if one.task_names("running") else (two, one)
        until(lambda: standby.restored_records >= 1, "it has read the changelog")
        assert standby.store("counts").get("k") == 1
        active.answers.close()  # type: ignore[union-attr]
        stale = standby.store("counts", stale_ok=True, timeout_s=5.0)
        assert stale.get("k") == 1


def test_windows_are_asked_by_key_and_time(cluster: Any, topic: str) -> None:
    bootstrap, target = str(cluster.bootstrap), f"{topic}-out"
    create(bootstrap, topic, target, partitions=PARTITIONS, replicas=-1)
    with Producer(bootstrap_servers=bootstrap) as producer:
        for at in (0, 10, 1_000, 2_500):
            for key in (b"a", b"b"):
                producer.send(topic, b"v", key, timestamp_ms=at)
    builder = StreamsBuilder()
    grouped = builder.stream(topic, key=STRING, value=STRING).group_by_key(key=STRING, value=STRING)
    counts = grouped.windowed_by(TimeWindows.of_size_and_grace(1_000, 60_000)).count(store="per-second")
    counts.to_stream().to(target, value=LONG)
    with running(builder.build(), bootstrap, f"{topic}-app") as app:
        store = app.store("per-second")
        until(lambda: store.fetch("b", 2_000) == store.fetch("a", 2_000) == 1, "all are counted")
        assert list(store.fetch_between("a")) == [(0, 2), (1_000, 1), (2_000, 1)]
        assert list(store.fetch_between("a", 500, 1_500, reverse=True)) == [(1_000, 1)]
        assert sorted((w.key, w.start, n) for w, n in store.all()) == sorted(
            (key, start, n) for key in "ab" for start, n in ((0, 2), (1_000, 1), (2_000, 1))
        )
        # all windows of a key lie in the partition of the key itself
        with Consumer({"bootstrap.servers": bootstrap}) as consumer:
            partitions: dict[bytes, set[int]] = {}
            places = [TopicPartition(target, number) for number in range(PARTITIONS)]
            consumer.assign(places)
            consumer.seek_to_beginning(places)
            until(lambda: sum(consumer.end_offsets(places).values()) == 8, "all results are written")
            seen = 0
            while seen < 8:
                for record in consumer.poll(500):
                    partitions.setdefault(bytes(record.raw_key)[:1], set()).add(record.partition)
                    seen += 1
        assert {key: len(found) for key, found in partitions.items()} == {b"a": 1, b"b": 1}


def test_workers_share_the_tasks_and_the_parent_answers(cluster: Any, topic: str, tmp_path: Path) -> None:
    bootstrap, target = str(cluster.bootstrap), f"{topic}-out"
    create(bootstrap, topic, target, partitions=PARTITIONS, replicas=-1)
    more = {"processes": 2, "state_dir": tmp_path, "processing_guarantee": "exactly_once_v2"}
    lines = ["to be or not to be", "that is the question"] * 200
    with running(word_count(topic, target), bootstrap, f"{topic}-app", **more) as app:
        say(bootstrap, topic, lines)
        until(lambda: len(app.dealt.members) == 2, "both workers have joined")
        counts = app.store("counts")
        until(lambda: counts.get("be") == 400, "all are counted")
        victim = app.worker_pids[0]
        os.kill(victim, signal.SIGKILL)
        say(bootstrap, topic, lines)
        until(lambda: counts.get("be") == 800 and counts.get("question") == 400, "the others go on")
        until(lambda: victim not in app.worker_pids and len(app.dealt.members) == 2, "a new one has joined")
        found = read_counts(bootstrap, target, PARTITIONS)
        assert found["be"] == list(range(1, 801))
        children = app.worker_pids
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_join_waits_for_what_the_other_topic_has_already(cluster: Any, topic: str) -> None:
    """Event time across partitions: however the fetches come, records are taken in order of their timestamps."""
    bootstrap, left, right, target = str(cluster.bootstrap), f"{topic}-l", f"{topic}-r", f"{topic}-out"
    create(bootstrap, left, right, target, partitions=1, replicas=-1)
    with Producer(bootstrap_servers=bootstrap) as producer:
        for number in range(8_000):
            producer.send(right, b"r%d" % number, b"k", timestamp_ms=2 * number)
        for number in range(0, 8_000, 100):
            producer.send(left, b"l%d" % number, b"k", timestamp_ms=2 * number + 1)
    builder = StreamsBuilder()
    table = builder.table(right, key=STRING, value=STRING)
    joined = builder.stream(left, key=STRING, value=STRING).join(table, lambda mine, other: f"{mine} {other}")
    joined.to(target, key=STRING, value=STRING)
    with running(builder.build(), bootstrap, f"{topic}-app", max_poll_records=50):
        expected = [f"l{number} r{number}" for number in range(0, 8_000, 100)]
        until(lambda: len(values_in(bootstrap, target)) == 80, "all have met")
        assert values_in(bootstrap, target) == expected


def test_max_task_idle_waits_for_records_that_are_not_written_yet(cluster: Any, topic: str) -> None:
    bootstrap, left, right, target = str(cluster.bootstrap), f"{topic}-l", f"{topic}-r", f"{topic}-out"
    create(bootstrap, left, right, target, partitions=1, replicas=-1)
    builder = StreamsBuilder()
    table = builder.table(right, key=STRING, value=STRING)
    joined = builder.stream(left, key=STRING, value=STRING).join(table, lambda mine, other: f"{mine} {other}")
    joined.to(target, key=STRING, value=STRING)
    with running(builder.build(), bootstrap, f"{topic}-app", max_task_idle_ms=20_000) as app:
        until(lambda: app.state == "running", "it runs")
        with Producer(bootstrap_servers=bootstrap) as producer:
            producer.send(left, b"late", b"k", timestamp_ms=10).result()
            time.sleep(1.0)
            producer.send(right, b"early", b"k", timestamp_ms=5).result()
            producer.send(right, b"later", b"k", timestamp_ms=15).result()
        until(lambda: values_in(bootstrap, target) == ["late early"], "they have met in order of time", 30.0)


def test_topics_that_a_pattern_matches_are_read_as_they_appear(cluster: Any, topic: str) -> None:
    import re

    bootstrap, target = str(cluster.bootstrap), f"out-{topic}"
    create(bootstrap, f"{topic}-a", target, partitions=1, replicas=-1)
    builder = StreamsBuilder()
    stream = builder.stream(re.compile(f"{topic}-[ab]"), key=STRING, value=STRING)
    stream.group_by_key(key=STRING, value=STRING).count(store="counts").to_stream().to(target, value=LONG)
    quick = {**QUICK, "metadata.max.age.ms": 500}
    with running(builder.build(), bootstrap, f"{topic}-app", consumer=quick):
        say(bootstrap, f"{topic}-a", ["v"] * 3, key=lambda n, line: b"k")
        until(lambda: read_counts(bootstrap, target, 1) == {"k": [1, 2, 3]}, "the first topic is read")
        create(bootstrap, f"{topic}-b", partitions=1, replicas=-1)
        say(bootstrap, f"{topic}-b", ["v"] * 2, key=lambda n, line: b"k")
        until(lambda: read_counts(bootstrap, target, 1) == {"k": [1, 2, 3, 4, 5]}, "so is the second")


def test_what_cant_be_read_or_written_goes_to_the_dead_letters(cluster: Any, topic: str) -> None:
    bootstrap, target, dead = str(cluster.bootstrap), f"{topic}-out", f"{topic}-dead"
    create(bootstrap, topic, target, dead, partitions=1, replicas=-1)
    builder = StreamsBuilder()
    builder.stream(topic, key=STRING, value=LONG).map_values(lambda n: "x" * n).to(target, key=STRING, value=STRING)
    more = {
        "deserialization_exception_handler": log_and_continue,
        "production_exception_handler": lambda record, error: "continue",
        "dead_letter_topic": dead,
        "producer": {"max.request.size": 100_000},
    }
    with running(builder.build(), bootstrap, f"{topic}-app", **more):
        with Producer(bootstrap_servers=bootstrap) as producer:
            for value in (b"\0" * 7 + b"\2", b"no number", (90_000).to_bytes(8, "big"), (200_000).to_bytes(8, "big"),
                          b"\0" * 7 + b"\3"):  # fmt: skip
                producer.send(topic, value, b"k")
        until(lambda: [len(value) for value in values_in(bootstrap, target)] == [2, 90_000, 3], "the others went on")
        until(lambda: len(values_in(bootstrap, dead)) == 2, "the others are among the dead")
        assert values_in(bootstrap, dead) == ["no number", (200_000).to_bytes(8, "big").decode()]


def test_windowed_joins_survive_an_instance_that_leaves(cluster: Any, topic: str) -> None:
    bootstrap, left, right, target = str(cluster.bootstrap), f"{topic}-l", f"{topic}-r", f"{topic}-out"
    create(bootstrap, left, right, target, partitions=1, replicas=-1)
    builder = StreamsBuilder()
    both = {"key": STRING, "value": STRING}
    one, other = builder.stream(left, **both), builder.stream(right, **both)
    windows = JoinWindows.of_time_difference_with_no_grace(60_000)
    one.join(other, lambda mine, other: f"{mine} {other}", windows, other_value=STRING, **both).to(target, **both)
    topology = builder.build()
    with running(topology, bootstrap, f"{topic}-app") as app:
        say(bootstrap, left, ["a", "b"], key=lambda n, line: b"k")
        until(lambda: app.store is not None and sum(1 for _ in app.task_names("running")) == 1, "it runs")
        say(bootstrap, right, ["x"], key=lambda n, line: b"k")
        until(lambda: sorted(values_in(bootstrap, target)) == ["a x", "b x"], "they have met")
    with running(topology, bootstrap, f"{topic}-app"):
        say(bootstrap, right, ["y"], key=lambda n, line: b"k")
        until(lambda: len(values_in(bootstrap, target)) >= 4, "the windows were restored")
        time.sleep(0.3)
        assert sorted(values_in(bootstrap, target)) == ["a x", "a y", "b x", "b y"]
