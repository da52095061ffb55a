"""What a kill -9 costs a streams app: how long until somebody goes on, and how fast state is read back.

    python benchmarks/streams_kills.py [--keys 1000000]

One topic of one partition, one row per key in RocksDB. With a standby: two instances; whoever has the task is killed
while records keep coming, and the longest time without a result is measured. Without: a fresh instance with an empty
folder reads the whole changelog.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from odradek import Admin, Cluster, Consumer, NewTopic, Producer, TopicPartition
from streams import LONG, STRING, Streams, StreamsBuilder


def run_app(given: dict[str, Any]) -> None:
    """In a child: count per key, and say what happens."""
    builder = StreamsBuilder()
    grouped = builder.stream("in", key=STRING, value=STRING).group_by_key(key=STRING, value=STRING)
    grouped.count(store="counts").to_stream().to("out", value=LONG)
    settings = {"application_id": "kills", "default_store": "rocksdb", "commit_interval_ms": 1_000, **given}
    app = Streams(builder.build(), settings | {"state_dir": Path(given["state_dir"])})

    def report() -> None:
        began = read = 0.0
        while True:
            now, restored = time.perf_counter(), app.restored_records
            if restored and not began:
                began, read = now, restored
            tasks = app.task_names("running")
            said = {"restored": restored, "running": tasks, "seconds": now - began, "since": read}
            print(json.dumps(said), flush=True)
            time.sleep(0.02)

    threading.Thread(target=report, daemon=True).start()
    app.run()


class Child:
    """The app in a process of its own; `news` is what it said last, `first` when it first ran a task."""

    def __init__(self, **settings: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--app", json.dumps(settings)], stdout=subprocess.PIPE, text=True
        )
        self.news: dict[str, Any] = {"restored": 0, "running": []}
        self.before: dict[str, Any] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if said["running"] and not self.news["running"]:
                self.before = dict(said)
            self.news = said

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def wait(claim: Any, what: str, timeout_s: float = 180.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not claim():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.02)


def measure(keys: int) -> dict[str, float]:
    """Seconds without a result after the kill, and records a second read back."""
    with Cluster(brokers=3) as cluster, tempfile.TemporaryDirectory() as folder:
        bootstrap, out = cluster.bootstrap, TopicPartition("out", 0)
        with Admin(bootstrap_servers=bootstrap) as admin:
            admin.create_topics([NewTopic("in", 1, 3), NewTopic("out", 1, 3)])
        with Producer(bootstrap_servers=bootstrap) as producer:
            for number in range(keys):
                producer.send("in", b"v", b"key-%d" % number)
        common = {"bootstrap_servers": bootstrap, "num_standby_replicas": 1}
        children = [Child(**common, state_dir=f"{folder}/{number}") for number in range(2)]
        try:
            with Consumer({"bootstrap.servers": bootstrap}) as consumer:
                wait(lambda: consumer.end_offsets([out])[out] >= keys, "the count of all keys")
                wait(lambda: max(child.news["restored"] for child in children) >= keys, "the standby's copy")
                time.sleep(2.0)
                pause_s = kill_and_watch(bootstrap, consumer, out, children)
        finally:
            for child in children:
                child.kill()
        with Admin(bootstrap_servers=bootstrap) as admin:
            members = [member.member_id for member in admin.describe_group("kills").members]
            admin.remove_members("kills", members)
        alone = Child(bootstrap_servers=bootstrap, state_dir=f"{folder}/fresh")
        try:
            wait(lambda: alone.before, "the state to be read back")
            said = alone.before
            return {"pause_s": pause_s, "restored_per_s": (said["restored"] - said["since"]) / said["seconds"]}
        finally:
            alone.kill()


def kill_and_watch(bootstrap: str, consumer: Consumer, out: TopicPartition, children: list[Child]) -> float:
    is_over = threading.Event()

    def keep_coming() -> None:
        with Producer({"bootstrap.servers": bootstrap, "linger.ms": 0}) as producer:
            number = 0
            while not is_over.wait(0.005):
                producer.send("in", b"v", b"key-%d" % number)
                number += 1

    thread = threading.Thread(target=keep_coming)
    thread.start()
    consumer.assign([out])
    consumer.seek_to_end([out])
    arrivals: list[float] = []
    active = next(child for child in children if child.news["running"])
    end, killed_at = time.monotonic() + 10.0, 0.0
    while time.monotonic() < end:
        if consumer.poll(20):
            arrivals.append(time.monotonic())
        if not killed_at and time.monotonic() > end - 8.0:
            active.kill()
            killed_at = time.monotonic()
    is_over.set()
    thread.join()
    around = [at for at in arrivals if at >= killed_at - 0.5] + [end]
    return max(b - a for a, b in itertools.pairwise(around))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--app", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.app:
        run_app(json.loads(given.app))
        return
    found = measure(given.keys)
    print(f"{given.keys:,} keys, kill -9 of the instance that has them, with a standby: "
          f"{found['pause_s']:.2f} s without a result")  # fmt: skip
    print(f"without one: {found['restored_per_s'] / 1000:,.0f} thousand records a second read back")


if __name__ == "__main__":
    main()
