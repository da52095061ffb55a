"""The section `groups` of the table: groups, commits, transactions, coordinators that die, a thousand groups."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable
from typing import Any

import group_measures as groups
import measures
from confluent_kafka.admin import AdminClient
from group_wire import Crowd
from kafka_peer import KafkaPeer
from measures import percentile

PROTOCOLS = ("classic", "consumer")
OFFSETS = "__consumer_offsets"
Row = tuple[str, str]


def grouping(start: Callable[..., Any], options: argparse.Namespace) -> list[Row]:
    """What a member of a group waits for, and what many of them cost."""
    rows: list[Row] = []
    with start() as cluster:
        where = cluster.bootstrap
        topic = groups.filled_topic(where)
        for measure, client in ((groups.first_record_ms, "librdkafka"), (groups.own_first_record_ms, "own client")):
            for protocol in PROTOCOLS:
                times = measure(where, topic, protocol)
                rows.append((f"subscribe → first record, {protocol}, {client}", groups.median(times)))
        count = 100 if options.quick else 1000
        per_s, second_ms = [groups.sync_commits_per_s(where, topic, count) for _ in range(2)][-1]
        rows.append(("sync commits", f"{per_s:.0f} /s"))
        rows.append(("second member assigned", f"{second_ms:.0f} ms"))
        count = 30 if options.quick else 300
        per_s = [groups.transactions_per_s(where, topic, count) for _ in range(2)][-1]
        rows.append(("transactions of 100 × 1 KB", f"{per_s:.0f} /s"))
        for protocol in PROTOCOLS:
            rows += asyncio.run(crowd(cluster, topic, protocol, options))
        rows += dying(cluster, options)
    return rows


async def crowd(cluster: Any, topic: str, protocol: str, options: argparse.Namespace) -> list[Row]:
    """Heartbeats of many groups: the brokers' CPU with them less that without them; then their coordinator dies."""
    count, seconds = (100, 5.0) if options.quick else (1000, 20.0)
    name = f"{count} {protocol} groups"
    idle = await asyncio.to_thread(measures.cpu_percent, cluster, seconds / 2)
    members = Crowd(cluster.bootstrap, topic, protocol, count)
    await members.join()
    _, busy = await asyncio.gather(
        members.live(seconds + 1), asyncio.to_thread(measures.cpu_percent, cluster, seconds)
    )
    victim = members.busiest()
    killed = time.perf_counter()
    cluster.kill(victim)
    took_s = await members.recover(victim, 150) - killed
    await asyncio.to_thread(revive, cluster, victim)
    for member in members.members:
        member.unlink()
    return [
        (f"heartbeats of {name}", f"{busy - idle:.1f} % of a core"),
        (f"kill -9 a coordinator of {name} → all beat again", f"{took_s:.2f} s"),
    ]


def revive(cluster: Any, broker: int) -> None:
    if hasattr(cluster, "revive"):
        cluster.revive(broker)
        time.sleep(10)
    else:
        cluster.wait_until_all_run(60)


def dying(cluster: Any, options: argparse.Namespace) -> list[Row]:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    kills = 3 if isinstance(cluster, KafkaPeer) or options.quick else 20
    partitions = len(admin.list_topics(OFFSETS, timeout=30).topics[OFFSETS].partitions)
    gaps = groups.commit_outages_ms(cluster, kills, lambda: measures.is_whole(admin, OFFSETS, partitions))
    text = f"{percentile(gaps, 0.5):.0f} / {percentile(gaps, 0.99):.0f} ms"
    return [(f"kill -9 coordinator → next commit, p50 / p99 (of {len(gaps)})", text)]
