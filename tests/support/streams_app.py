"""An app in a process of its own, to be killed: `python streams_app.py '{"source": …, "target": …, settings…}'`.

Counts words as every Kafka lecture does. It prints its state whenever that changes, with the pid.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from odradek import Admin, ClusterFailed, Consumer, NewTopic, Producer, TopicPartition, wait_until  # noqa: E402
from streams import LONG, STRING, Streams, StreamsBuilder, Topology  # noqa: E402


def word_count(source: str, target: str) -> Topology:
    builder = StreamsBuilder()
    words = builder.stream(source, key=STRING, value=STRING).flat_map_values(lambda line: line.lower().split())
    counts = words.group_by(lambda word: word, key=STRING, value=STRING).count(store="counts")
    counts.to_stream().to(target, value=LONG)
    return builder.build()


def count_per_key(source: str, target: str) -> Topology:
    """Without a repartition topic: the count of each key, as a table of a million keys would be kept."""
    builder = StreamsBuilder()
    grouped = builder.stream(source, key=STRING, value=STRING).group_by_key(key=STRING, value=STRING)
    grouped.count(store="counts").to_stream().to(target, value=LONG)
    return builder.build()


TOPOLOGIES = {"word_count": word_count, "count_per_key": count_per_key}
QUICK = {"heartbeat.interval.ms": 300, "session.timeout.ms": 6000, "retry.backoff.ms": 20, "retry.backoff.max.ms": 200}


class AppProcess:
    """A child that runs the app. `kill` is kill -9; `stop` is SIGTERM and waits for the orderly end."""

    def __init__(self, topology: str, source: str, target: str, **settings: Any) -> None:
        given = {"topology": topology, "source": source, "target": target, **settings}
        self.process = subprocess.Popen(
            [sys.executable, __file__, json.dumps(given)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self.errors: list[str] = []
        for stream, into in ((self.process.stdout, self.lines), (self.process.stderr, self.errors)):
            threading.Thread(target=lambda s=stream, i=into: i.extend(iter(s.readline, "")), daemon=True).start()  # type: ignore[misc]

    def last(self, what: str) -> str:
        """The last thing it said of `state`, `restored`, `tasks`, `failure`."""
        found = [line.split(" ", 1)[1].strip() for line in list(self.lines) if line.startswith(f"{what} ")]
        return found[-1] if found else ""

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s: float = 30.0) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def close(self) -> None:
        if self.process.poll() is None:
            self.kill()


def until(claim: Callable[[], Any], what: str, timeout_s: float = 60.0, apps: tuple[AppProcess, ...] = ()) -> None:
    """wait_until, and in the end what the apps have said."""
    try:
        wait_until(claim, timeout_s=timeout_s, what=what, every_s=0.05)
    except ClusterFailed as failure:
        raise ClusterFailed(f"{failure}; {[(app.last('state'), app.errors[-12:]) for app in apps]}") from None


def create(bootstrap: str, *topics: str, partitions: int, replicas: int) -> None:
    with Admin(bootstrap_servers=bootstrap) as admin:
        admin.create_topics([NewTopic(topic, partitions, replicas) for topic in topics])


def without_key(_number: int, _line: str) -> bytes | None:
    return None


def say(
    bootstrap: str, topic: str, lines: list[str], key: Callable[[int, str], bytes | None] = without_key
) -> None:
    with Producer({"bootstrap.servers": bootstrap, "retry.backoff.ms": 20, "retry.backoff.max.ms": 200}) as producer:
        for number, line in enumerate(lines):
            producer.send(topic, line.encode(), key(number, line))
        producer.flush()


def read_counts(bootstrap: str, topic: str, partitions: int) -> dict[str, list[int]]:
    """Every count that was committed, by word, in order."""
    found: dict[str, list[int]] = {}
    for record in read_records(bootstrap, topic, partitions):
        found.setdefault(record.key.decode(), []).append(int.from_bytes(record.value, "big"))
    return found


def read_values(bootstrap: str, topic: str) -> list[str]:
    """What was committed to its only partition, in order."""
    return [record.value.decode() for record in read_records(bootstrap, topic, 1)]


def read_records(bootstrap: str, topic: str, partitions: int) -> Iterator[Any]:
    """What was committed and is there by now."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    reading = {"bootstrap.servers": bootstrap, "isolation.level": "read_committed", "retry.backoff.ms": 20}
    with Consumer({**reading, "retry.backoff.max.ms": 200, "reconnect.backoff.max.ms": 200}) as consumer:
        consumer.assign(places)
        consumer.seek_to_beginning(places)
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < end for place, end in ends.items()):
            yield from consumer.poll(200, 10_000)


def main(given: Mapping[str, Any]) -> None:
    settings = dict(given)
    topology = TOPOLOGIES[settings.pop("topology")](settings.pop("source"), settings.pop("target"))
    if settings.get("state_dir"):
        settings["state_dir"] = Path(settings["state_dir"])
    app = Streams(topology, settings)

    def report() -> None:
        last: tuple[Any, ...] = ()
        while True:
            now = (app.state, app.restored_records, app.task_names("running"), app.lives)
            if now != last:
                last = now
                print(f"restored {now[1]}\ntasks {','.join(now[2])}\nlives {now[3]}\nstate {now[0]}", flush=True)
            time.sleep(0.02)

    threading.Thread(target=report, daemon=True).start()
    app.run()
    print(f"state {app.state}\npid {os.getpid()}", flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
