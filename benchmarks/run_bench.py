"""The benchmark table: Odradek alone, or with --peer beside Apache Kafka, same client, same machine, same run.

    python benchmarks/run_bench.py                 everything, Odradek only
    python benchmarks/run_bench.py --peer          the same with Apache Kafka beside us (java and mvn needed)
    python benchmarks/run_bench.py --only kill,idle
    python benchmarks/run_bench.py --quick         small volumes: a look, not a measurement

cold: the first 200 MB of a fresh cluster. warm: after 2 GB more. A JVM is much slower cold; a test run sees cold.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measures
import psutil
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from faults import outages_ms
from groups_section import grouping
from kafka_peer import KafkaPeer
from measures import percentile
from rich.console import Console
from rich.table import Table

from odradek import Cluster, wait_until

console = Console(highlight=False, soft_wrap=True)
Row = tuple[str, str]  # what, the figure with its unit
Section = Callable[[Callable[..., Any], argparse.Namespace], list[Row]]


def throughput(start: Callable[..., Any], options: argparse.Namespace) -> list[Row]:
    """Produce and consume cold and warm, latency, and memory on the way."""
    rows: list[Row] = []
    scale = 0.05 if options.quick else 1.0

    def volumes(label: str) -> None:
        for size, megabytes in ((100, 50), (1000, 150)):
            topic, written = measures.produce(cluster.bootstrap, size, megabytes * scale)
            read = [measures.consume(cluster.bootstrap, topic, written) for _ in range(2)][-1]
            for verb, figure in (("produce", written), ("consume", read)):
                text = f"{figure.records_s / 1000:.0f} k rec/s" if size == 100 else f"{figure.mb_s:.0f} MB/s"
                rows.append((f"{verb} {'100 B' if size == 100 else '1 KB'}, {label}", text))

    with start() as cluster:
        time.sleep(2)
        rows.append(("memory, fresh", f"{measures.memory_mb(cluster):.0f} MB"))
        volumes("cold")
        for _ in range(2):
            measures.produce(cluster.bootstrap, 100, 250 * scale)
            measures.produce(cluster.bootstrap, 1000, 750 * scale)
        volumes("warm")
        rows.append(("memory, after 2.4 GB", f"{measures.memory_mb(cluster):.0f} MB"))
        for acks in ("1", "all"):
            times = measures.sync_latency_ms(cluster.bootstrap, acks, 200 if options.quick else 2000)
            figures = [percentile(times, share) for share in (0.5, 0.99)]
            rows.append((f"one record, acks={acks}, p50 / p99", f"{figures[0]:.2f} / {figures[1]:.2f} ms"))
    return rows


def starting(start: Callable[..., Any], options: argparse.Namespace) -> list[Row]:
    """From nothing to the first acknowledged write, median of several starts."""
    ready_s, first_ack_s = [], []
    for _ in range(1 if options.quick else 5):
        cluster = start()
        started = time.perf_counter()
        with cluster:
            ready_s.append(time.perf_counter() - started)
            admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 2})
            admin.create_topics([NewTopic("first", 1, 3)], operation_timeout=30)["first"].result(60)
            acked: list[object] = []
            producer = Producer({
                "bootstrap.servers": cluster.bootstrap, "acks": "all", "linger.ms": 0, "log_level": 2,
                "on_delivery": lambda error, message, acked=acked: acked.append(error),
            })  # fmt: skip
            producer.produce("first", b"x")
            producer.flush(60)
            first_ack_s.append(time.perf_counter() - started)
            if acked != [None]:
                raise RuntimeError(f"the first write failed: {acked}")
    return [
        ("start to ready", f"{statistics.median(ready_s):.2f} s"),
        ("start to first acked write", f"{statistics.median(first_ack_s):.2f} s"),
    ]


def killing(start: Callable[..., Any], options: argparse.Namespace) -> list[Row]:
    """SIGKILL the leader again and again."""
    with start() as cluster:
        wanted = 3 if isinstance(cluster, KafkaPeer) or options.quick else 20  # Kafka needs some 10 s for each
        gaps = outages_ms(cluster, signal.SIGKILL, wanted)
    text = f"{percentile(gaps, 0.5):.0f} / {percentile(gaps, 0.99):.0f} ms"
    return [(f"kill -9 leader → next ack, p50 / p99 (of {len(gaps)})", text)]


def freezing(start: Callable[..., Any], options: argparse.Namespace) -> list[Row]:
    """SIGSTOP the leader: it neither dies nor answers."""
    with start() as cluster:
        gaps = outages_ms(cluster, signal.SIGSTOP, 1 if isinstance(cluster, KafkaPeer) or options.quick else 5)
    return [("SIGSTOP leader → next ack, median", f"{statistics.median(gaps) / 1000:.2f} s")]


def idling(start: Callable[..., Any], options: argparse.Namespace) -> list[Row]:
    """2,000 partitions with three replicas and nobody there."""
    partitions = 200 if options.quick else 2000
    with start() as cluster:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 2})
        started = time.perf_counter()
        new = [NewTopic(f"idle-{i}", 100, 3) for i in range(partitions // 100)]
        for future in admin.create_topics(new, operation_timeout=60).values():
            future.result(120)
        wait_until(
            lambda: all(measures.is_whole(admin, topic.topic, 100) for topic in new), timeout_s=120, every_s=0.2
        )
        created_s = time.perf_counter() - started
        time.sleep(5)
        rows = [
            (f"create {partitions} partitions × 3", f"{created_s:.1f} s"),
            (f"idle with {partitions} partitions × 3", f"{measures.cpu_percent(cluster, 20):.1f} % of a core"),
            (f"memory with {partitions} partitions × 3", f"{measures.memory_mb(cluster):.0f} MB"),
        ]
        if isinstance(cluster, Cluster):
            cluster.stop()
            started = time.perf_counter()
            cluster.start()
            rows.append((f"restart with {partitions} partitions × 3", f"{time.perf_counter() - started:.2f} s"))
    return rows


SECTIONS: dict[str, Section] = {
    "throughput": throughput, "start": starting, "kill": killing, "freeze": freezing, "idle": idling,
    "groups": grouping,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Prints one table of figures for a cluster of three brokers.")
    parser.add_argument("--peer", action="store_true", help="Apache Kafka beside us")
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"some of {','.join(SECTIONS)}")
    parser.add_argument("--quick", action="store_true", help="small volumes")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    options = parser.parse_args()
    contenders: dict[str, Callable[..., Any]] = {"Odradek": lambda: Cluster(brokers=3)}
    if options.peer:
        contenders["Apache Kafka"] = lambda: KafkaPeer(brokers=3)
    figures: dict[str, dict[str, str]] = {}
    for name in options.only.split(","):
        for contender, start in contenders.items():
            console.print(f"measuring {name} of {contender}")
            for what, text in SECTIONS[name](start, options):
                figures.setdefault(what, {})[contender] = text
                console.print(f"  {what}: {text}")
    table = Table(title=f"Three brokers, RF 3, acks=all, {psutil.cpu_count()} cores, {platform.python_version()}")
    table.add_column("")
    for contender in contenders:
        table.add_column(contender, justify="right")
    for what, row in figures.items():
        table.add_row(what, *(row.get(contender, "–") for contender in contenders))
    console.print(table)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
