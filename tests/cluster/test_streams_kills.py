"""Apps in processes of their own, killed with -9 in the middle: each input is counted once, by whoever is left."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from streams_app import QUICK, AppProcess, create, read_counts, say, until
from streams_brokers import brokers, cluster

from odradek import Cluster

__all__ = ["brokers", "cluster"]

pytest.importorskip("rocksdict")
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

PARTITIONS = 3
LECTURE = ["A", "A", "B", "C", "B", "A", "A", "D", "C"]
LINES = ["to be or not to be", "that is the question", "whether tis nobler in the mind to suffer"]


def settings(bootstrap: str, topic: str, folder: Path | None, **more: Any) -> dict[str, Any]:
    chosen = {
        "application_id": f"{topic}-app",
        "bootstrap_servers": bootstrap,
        "processing_guarantee": "exactly_once_v2",
        "consumer": QUICK,
        "replication_factor": -1,
    }
    if folder is not None:
        chosen |= {"state_dir": str(folder), "default_store": "rocksdb"}
    return chosen | more


def expected_of(lines: list[str]) -> dict[str, list[int]]:
    counts = Counter(word for line in lines for word in line.lower().split())
    return {word: list(range(1, count + 1)) for word, count in counts.items()}


def test_the_lecture_counts_each_word_once_with_the_app_and_a_broker_killed(
    brokers: Cluster, topic: str, tmp_path: Path
) -> None:
    bootstrap, target = brokers.bootstrap, f"{topic}-out"
    create(bootstrap, topic, target, partitions=1, replicas=-1)
    mine = settings(bootstrap, topic, tmp_path)
    app = AppProcess("word_count", topic, target, **mine)
    try:
        say(bootstrap, topic, LECTURE[:5])
        until(lambda: read_counts(bootstrap, target, 1) == {"a": [1, 2], "b": [1, 2], "c": [1]}, "five are counted",
              apps=(app,))  # fmt: skip
        app.kill()
        app = AppProcess("word_count", topic, target, **mine)
        brokers.kill_leader(topic)
        say(bootstrap, topic, LECTURE[5:])
        wanted = {"a": [1, 2, 3, 4], "b": [1, 2], "c": [1, 2], "d": [1]}
        until(lambda: read_counts(bootstrap, target, 1) == wanted, "all nine are counted", apps=(app,))
    finally:
        app.close()


def test_two_instances_count_each_word_once_while_each_and_every_broker_is_killed(
    brokers: Cluster, topic: str, tmp_path: Path
) -> None:
    bootstrap, target = brokers.bootstrap, f"{topic}-out"
    create(bootstrap, topic, target, partitions=PARTITIONS, replicas=-1)
    lines: list[str] = []
    apps = [
        AppProcess("word_count", topic, target, **settings(bootstrap, topic, tmp_path / str(n))) for n in range(2)
    ]
    try:
        for turn in range(4):
            fresh = LINES * 1_500
            lines += fresh
            before = sum(map(len, read_counts(bootstrap, target, PARTITIONS).values()))
            say(bootstrap, topic, fresh)
            until(lambda so_far=before: sum(map(len, read_counts(bootstrap, target, PARTITIONS).values())) > so_far,  # type: ignore[misc]
                  "some of them are counted", apps=tuple(apps))  # fmt: skip
            victim = turn % 2
            apps[victim].kill()
            apps[victim] = AppProcess(
                "word_count", topic, target, **settings(bootstrap, topic, tmp_path / str(victim))
            )
            brokers.kill(turn % 3 + 1)
            brokers.wait_until_all_run()
        wanted = expected_of(lines)
        until(lambda: {w: len(c) for w, c in read_counts(bootstrap, target, PARTITIONS).items()}
              == {w: len(c) for w, c in wanted.items()}, "all are counted", 120.0, tuple(apps))  # fmt: skip
        assert read_counts(bootstrap, target, PARTITIONS) == wanted
        assert [app.process.poll() for app in apps] == [None, None]
    finally:
        for app in apps:
            app.close()


def test_a_killed_instance_reads_only_what_its_files_lack(cluster: Any, topic: str, tmp_path: Path) -> None:
    bootstrap, target = str(cluster.bootstrap), f"{topic}-out"
    create(bootstrap, topic, target, partitions=1, replicas=-1)
    mine = settings(bootstrap, topic, tmp_path)
    app = AppProcess("count_per_key", topic, target, **mine)
    try:
        say(bootstrap, topic, ["v"] * 20_000, key=lambda n, _: b"k%d" % n)
        until(lambda: len(read_counts(bootstrap, target, 1)) == 20_000, "all keys are counted", apps=(app,))
        app.kill()
        app = AppProcess("count_per_key", topic, target, **mine)
        say(bootstrap, topic, ["v"] * 100, key=lambda n, _: b"k%d" % n)
        until(lambda: sum(map(len, read_counts(bootstrap, target, 1).values())) == 20_100, "it goes on", apps=(app,))
        assert int(app.last("restored")) < 10_000
        assert read_counts(bootstrap, target, 1)["k7"] == [1, 2]
    finally:
        app.close()


def test_a_standby_takes_over_without_reading_it_all_again(cluster: Any, topic: str, tmp_path: Path) -> None:
    bootstrap, target = str(cluster.bootstrap), f"{topic}-out"
    create(bootstrap, topic, target, partitions=1, replicas=-1)
    apps = [
        AppProcess("count_per_key", topic, target, **settings(
            bootstrap, topic, tmp_path / str(n), num_standby_replicas=1))
        for n in range(2)
    ]  # fmt: skip
    try:
        say(bootstrap, topic, ["v"] * 20_000, key=lambda n, _: b"k%d" % n)
        until(lambda: len(read_counts(bootstrap, target, 1)) == 20_000, "all keys are counted", apps=tuple(apps))
        until(lambda: {app.last("tasks") for app in apps} == {"", "0_0"}, "one of them runs the task")
        active, standby = sorted(apps, key=lambda app: app.last("tasks"), reverse=True)
        until(lambda: int(standby.last("restored")) >= 20_000, "the standby has it all", apps=tuple(apps))
        active.kill()
        say(bootstrap, topic, ["v"] * 100, key=lambda n, _: b"k%d" % n)
        until(lambda: sum(map(len, read_counts(bootstrap, target, 1).values())) == 20_100, "it goes on",
              apps=(standby,))  # fmt: skip
        assert int(standby.last("restored")) < 20_200
        assert read_counts(bootstrap, target, 1)["k7"] == [1, 2]
    finally:
        for app in apps:
            app.close()


def test_sigterm_ends_an_app_in_order(cluster: Any, topic: str, tmp_path: Path) -> None:
    bootstrap, target = str(cluster.bootstrap), f"{topic}-out"
    create(bootstrap, topic, target, partitions=1, replicas=-1)
    mine = settings(bootstrap, topic, tmp_path, processing_guarantee="at_least_once", commit_interval_ms=60_000)
    app = AppProcess("word_count", topic, target, **mine)
    try:
        say(bootstrap, topic, ["a b", "a"])
        until(lambda: app.last("state") == "running", "it runs", apps=(app,))
        until(lambda: read_counts(bootstrap, target, 1) == {"a": [1, 2], "b": [1]}, "it has counted", apps=(app,))
        assert app.stop() == 0
        again = app = AppProcess("word_count", topic, target, **mine)
        say(bootstrap, topic, ["b"])
        until(lambda: "b" in read_counts(bootstrap, target, 1) and len(read_counts(bootstrap, target, 1)["b"]) > 1,
              "its next life goes on", apps=(again,))  # fmt: skip
        assert read_counts(bootstrap, target, 1) == {"a": [1, 2], "b": [1, 2]}
        assert again.last("restored") == "0"
        assert cluster.admin.describe_group(f"{topic}-app").members
        assert again.stop() == 0
        assert not cluster.admin.describe_group(f"{topic}-app").members
    finally:
        app.close()


def test_files_that_no_longer_fit_the_changelog_are_thrown_away(cluster: Any, topic: str, tmp_path: Path) -> None:
    bootstrap, target = str(cluster.bootstrap), f"{topic}-out"
    create(bootstrap, topic, target, partitions=1, replicas=-1)
    mine = settings(bootstrap, topic, tmp_path)
    app = AppProcess("count_per_key", topic, target, **mine)
    try:
        say(bootstrap, topic, ["v"] * 300, key=lambda n, _: b"k%d" % n)
        until(lambda: len(read_counts(bootstrap, target, 1)) == 300, "all keys are counted", apps=(app,))
        assert app.stop() == 0
        checkpoint = tmp_path / f"{topic}-app" / "0_0" / "checkpoint.json"
        said = json.loads(checkpoint.read_text())
        assert said["is_clean"]
        said["offsets"] = dict.fromkeys(said["offsets"], 1_000_000)  # as if the changelog had been cut at its end
        checkpoint.write_text(json.dumps(said))
        app = AppProcess("count_per_key", topic, target, **mine)
        say(bootstrap, topic, ["v"], key=lambda n, _: b"k7")
        until(lambda: read_counts(bootstrap, target, 1)["k7"] == [1, 2], "it goes on", apps=(app,))
        assert int(app.last("restored")) >= 300
    finally:
        app.close()


def test_instances_that_come_and_go_while_state_is_read_back_lose_nothing(
    cluster: Any, topic: str, tmp_path: Path
) -> None:
    bootstrap, target = str(cluster.bootstrap), f"{topic}-out"
    create(bootstrap, topic, target, partitions=PARTITIONS, replicas=-1)
    apps = [AppProcess("count_per_key", topic, target, **settings(bootstrap, topic, None))]
    try:
        say(bootstrap, topic, ["v"] * 60_000, key=lambda n, _: b"k%d" % n)
        until(lambda: len(read_counts(bootstrap, target, PARTITIONS)) == 60_000, "all keys are counted", 90.0,
              tuple(apps))  # fmt: skip
        apps.pop().kill()
        say(bootstrap, topic, ["v"] * 2_000, key=lambda n, _: b"k%d" % (n % 1_000))
        for _ in range(3):  # stores in memory: each newcomer reads back what it is given
            apps.append(AppProcess("count_per_key", topic, target, **settings(bootstrap, topic, None)))
            until(lambda: apps[-1].last("state") in ("restoring", "running"), "it has joined", apps=tuple(apps))
        apps.pop(0).kill()
        until(lambda: sum(map(len, read_counts(bootstrap, target, PARTITIONS).values())) == 62_000, "it goes on", 90.0,
              tuple(apps))  # fmt: skip
        found = read_counts(bootstrap, target, PARTITIONS)
        assert [found[f"k{n}"] for n in (0, 999, 1_000)] == [[1, 2, 3], [1, 2, 3], [1]]
    finally:
        for app in apps:
            app.close()
