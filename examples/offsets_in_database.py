"""Offsets in the same database transaction as the results: exactly once, whatever dies.

A worker sums up payments by account into a database. It never commits to Kafka: each batch's results and the offset
after it go into one database transaction, and whoever is assigned a partition seeks to what the database says. The
worker is killed again and again in the middle, so is a broker, and the sums are right to the cent.

    python examples/offsets_in_database.py                                        brokers of its own, SQLite
    python examples/offsets_in_database.py localhost:9092
    python examples/offsets_in_database.py '' postgresql://user@host/db           PostgreSQL, needs psycopg
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import Worker, a_consumer, a_producer, brokers_of, fresh, pack, role_of, unpack, wait_for

from odradek import Consumer, RebalanceListener, TopicPartition

PAYMENTS = 6_000
KILLS = 4


class Database:
    """Two tables, in SQLite (a path) or PostgreSQL (a postgresql:// URL)."""

    def __init__(self, where: str) -> None:
        self._is_postgres = where.startswith("postgresql://")
        if self._is_postgres:
            import psycopg

            self._connection: Any = psycopg.connect(where, autocommit=True)
        else:
            self._connection = sqlite3.connect(where, timeout=30)
        with self._transaction():
            self._run("CREATE TABLE IF NOT EXISTS sums (account TEXT PRIMARY KEY, cents BIGINT NOT NULL)")
            self._run(
                "CREATE TABLE IF NOT EXISTS offsets (topic TEXT, part INT, next BIGINT NOT NULL, "
                "PRIMARY KEY (topic, part))"
            )

    def _transaction(self) -> Any:
        """A `with` block that commits, or rolls back when it raises; psycopg's connection would close with it."""
        return self._connection.transaction() if self._is_postgres else self._connection

    def _run(self, statement: str, *values: Any) -> Any:
        return self._connection.execute(statement.replace("?", "%s") if self._is_postgres else statement, values)

    def store(self, place: TopicPartition, payments: Sequence[dict[str, Any]], next_offset: int) -> None:
        """Results and offset: both or neither."""
        with self._transaction():
            for payment in payments:
                self._run(
                    "INSERT INTO sums VALUES (?, ?) ON CONFLICT (account) "
                    "DO UPDATE SET cents = sums.cents + excluded.cents",
                    payment["account"], payment["cents"],
                )  # fmt: skip
            self._run(
                "INSERT INTO offsets VALUES (?, ?, ?) ON CONFLICT (topic, part) DO UPDATE SET next = excluded.next",
                place.topic, place.partition, next_offset,
            )  # fmt: skip

    def next_offset(self, place: TopicPartition) -> int:
        with self._transaction():
            row = self._run(
                "SELECT next FROM offsets WHERE topic = ? AND part = ?", place.topic, place.partition
            ).fetchone()
        return row[0] if row else 0

    def done(self, topic: str) -> int:
        with self._transaction():
            return int(self._run("SELECT COALESCE(SUM(next), 0) FROM offsets WHERE topic = ?", topic).fetchone()[0])

    def sums(self, prefix: str) -> dict[str, int]:
        with self._transaction():
            return dict(self._run("SELECT account, cents FROM sums WHERE account LIKE ?", f"{prefix}%").fetchall())


class WhereTheDatabaseSays(RebalanceListener):
    """The offsets that count are the database's."""

    def __init__(self, consumer: Consumer, database: Database) -> None:
        self._consumer, self._database = consumer, database

    def on_partitions_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        for place in partitions:
            self._consumer.seek(place, self._database.next_offset(place))


def work(bootstrap: str, topic: str, where: str) -> None:
    """A worker's whole life."""
    database = Database(where)
    with a_consumer(bootstrap, f"sums-{topic}", group_instance_id="one", max_poll_records=50) as consumer:
        consumer.subscribe([topic], listener=WhereTheDatabaseSays(consumer, database))
        while True:
            for place, records in consumer.poll_batches(500).items():
                time.sleep(0.02)  # as if it were more than an addition
                database.store(place, [unpack(record) for record in records], records[-1].offset + 1)


def main(arguments: list[str]) -> None:
    topic = fresh("payments")
    choice = random.Random(1)
    with brokers_of(arguments[:1]) as brokers, tempfile.TemporaryDirectory() as folder:
        where = arguments[1] if len(arguments) > 1 else str(Path(folder) / "sums.db")
        brokers.create(topic)
        expected: Counter[str] = Counter()
        with a_producer(brokers.bootstrap) as producer:
            for _ in range(PAYMENTS):
                account, cents = f"{topic}/{choice.randrange(20)}", choice.randrange(1, 10_000)
                producer.send(topic, pack(account=account, cents=cents), account.encode())
                expected[account] += cents
        database = Database(where)
        with Worker("worker", brokers.bootstrap, topic, where) as worker:
            for kill in range(1, KILLS + 1):
                wait_for(lambda kill=kill: database.done(topic) >= PAYMENTS * kill // (KILLS + 2), [worker])
                print(f"{database.done(topic)} payments are in the database; kill -9 the worker")
                worker.kill_and_restart()
                if kill == 2:
                    print(brokers.kill_leader(topic))
            wait_for(lambda: database.done(topic) == PAYMENTS, [worker])
        found = database.sums(topic)
        assert found == dict(expected), "the sums are wrong"
        print(f"ok: {PAYMENTS} payments counted once each, {KILLS} kills, {sum(found.values())} cents")


if __name__ == "__main__":
    role, rest = role_of(sys.argv[1:])
    work(*rest) if role == "worker" else main(rest)
