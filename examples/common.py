"""What the examples share: where the brokers are, worker processes that can be killed, and a few short calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from odradek import Admin, Cluster, Consumer, ConsumerRecord, NewTopic, OdradekError, Producer, TopicPartition

# A killed broker should cost milliseconds, so nobody sits out the default pauses.
QUICK = {"retry.backoff.ms": 20, "retry.backoff.max.ms": 200, "reconnect.backoff.ms": 10,
         "reconnect.backoff.max.ms": 200, "session.timeout.ms": 6_000, "heartbeat.interval.ms": 500}  # fmt: skip
_NOT_A_CONSUMER = ("session.timeout.ms", "heartbeat.interval.ms")
_FOR_ALL = {name: value for name, value in QUICK.items() if name not in _NOT_A_CONSUMER}


class Brokers:
    """`bootstrap`, and how to hurt them when they are our own."""

    def __init__(self, bootstrap: str, cluster: Cluster | None) -> None:
        self.bootstrap = bootstrap
        self._cluster = cluster

    def kill_leader(self, topic: str) -> str:
        """What happened, in words."""
        if self._cluster is None:
            return "brokers given by address are not killed"
        return str(self._cluster.kill_leader(topic))

    def create(self, *topics: str | NewTopic, partitions: int = 3) -> None:
        replicas = 3 if self._cluster is not None else -1
        with Admin({"bootstrap.servers": self.bootstrap, **_FOR_ALL}) as admin:
            admin.create_topics([NewTopic(t, partitions, replicas) if isinstance(t, str) else t for t in topics])


@contextmanager
def brokers_of(arguments: Sequence[str]) -> Iterator[Brokers]:
    """Those at the address given as first argument, or (none, or an empty one) a cluster of three for this run."""
    if arguments and arguments[0]:
        yield Brokers(arguments[0], None)
        return
    with Cluster(brokers=3, configs={"default.replication.factor": "3"}) as cluster:
        yield Brokers(cluster.bootstrap, cluster)


class Worker:
    """This example again, as another process in the given role. It ends with us, however we end."""

    def __init__(self, role: str, *arguments: str) -> None:
        self._command = [sys.executable, sys.argv[0], f"--{role}", *arguments]
        self.role = role
        self.kills = 0
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE)

    def kill_and_restart(self) -> None:
        """kill -9, then the next life."""
        self.kill()
        self.kills += 1
        self._start()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def check(self) -> None:
        """Raises when it ended by itself: workers don't."""
        code = self._process.poll()
        if code is not None:
            raise SystemExit(f"the {self.role} ended with {code}")

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def role_of(arguments: list[str]) -> tuple[str, list[str]]:
    """("", arguments) for the example itself; in a worker its role, and a thread that ends it with its parent."""
    if not arguments or not arguments[0].startswith("--"):
        return "", arguments

    def end_with_parent() -> None:
        sys.stdin.buffer.read()  # nothing ever comes, but the end does
        os._exit(0)

    threading.Thread(target=end_with_parent, daemon=True).start()
    return arguments[0][2:], arguments[1:]


def fresh(name: str) -> str:
    """A topic or group name no earlier run has used."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


def a_producer(bootstrap: str, **more: Any) -> Producer:
    return Producer({"bootstrap.servers": bootstrap, **_FOR_ALL}, **more)


def a_consumer(bootstrap: str, group: str = "", **more: Any) -> Consumer:
    """From the beginning; commits only when told to."""
    configs: dict[str, Any] = {"bootstrap.servers": bootstrap, "auto.offset.reset": "earliest", **QUICK}
    if group:
        configs |= {"group.id": group, "enable.auto.commit": False}
    return Consumer(configs | {name.replace("_", "."): value for name, value in more.items()})


def read_all(bootstrap: str, topic: str) -> list[ConsumerRecord]:
    """All committed records there are now, partition by partition in order."""
    with Admin({"bootstrap.servers": bootstrap, **_FOR_ALL}) as admin:
        partitions = admin.describe_topics([topic])[topic].partitions
    places = [TopicPartition(topic, row.partition) for row in partitions]
    records: list[ConsumerRecord] = []
    with a_consumer(bootstrap, isolation_level="read_committed") as consumer:
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        while any(consumer.position(place) < ends[place] for place in places):
            records += consumer.poll(100)
    return records


class Service(ABC):
    """Reads topics, decides, writes events to one topic of its own; exactly once, and its state is those events.

    Events and the offsets read are one transaction. Nothing is kept elsewhere: whoever starts again under the same name
    fences the one before, folds the events so far, and goes on.
    """

    def __init__(self, bootstrap: str, name: str, inputs: Sequence[str], output: str) -> None:
        self.bootstrap, self.name, self.inputs, self.output = bootstrap, name, list(inputs), output

    @abstractmethod
    def reset(self) -> None:
        """Forget all state."""

    @abstractmethod
    def fold(self, event: dict[str, Any]) -> None:
        """Take an event of our own into the state."""

    @abstractmethod
    def decide(self, topic: str, record: dict[str, Any]) -> list[dict[str, Any]]:
        """The events that follow from a record; each has an `id`, its key."""

    def run(self) -> None:
        """For ever. What goes wrong with brokers ends one life, and the next one begins with a fresh state."""
        while True:
            try:
                self._live()
            except OdradekError as error:
                print(f"{self.name} starts again: {type(error).__name__}", flush=True)

    def _live(self) -> None:
        with (
            a_producer(self.bootstrap, transactional_id=self.name, linger_ms=0) as producer,
            a_consumer(
                self.bootstrap, self.name, group_instance_id=self.name, isolation_level="read_committed"
            ) as consumer,
        ):
            producer.init_transactions()  # from here on nobody else writes under our name
            self.reset()
            for record in read_all(self.bootstrap, self.output):
                self.fold(unpack(record))
            consumer.subscribe(self.inputs)
            while True:
                records = consumer.poll(500, 20)
                if not records:
                    continue
                with producer.transaction():
                    for record in records:
                        for event in self.decide(record.topic, unpack(record)):
                            self.fold(event)
                            producer.send(self.output, json.dumps(event).encode(), str(event["id"]).encode())
                    producer.send_offsets_to_transaction(consumer.positions(), consumer.group_metadata())


def wait_for(claim: Callable[[], Any], workers: Sequence[Worker] = (), timeout_s: float = 90.0) -> None:
    """Until it holds. Raises TimeoutError, or SystemExit when a worker has ended."""
    deadline = time.monotonic() + timeout_s
    while not claim():
        for worker in workers:
            worker.check()
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come to that in time")
        time.sleep(0.1)


def pack(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def unpack(record: ConsumerRecord) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(record.value)
    return fields
