"""A table of what was done already: at-least-once delivery whose effects happen once.

For senders that repeat themselves (a web shop that retries its order) and readers that are killed between doing and
committing: every order carries an id, and the id goes into a table with a primary key in the transaction that does the
work. Twice the same id changes nothing.

    python examples/dedupe_table.py [localhost:9092]
"""

from __future__ import annotations

import random
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from common import Worker, a_consumer, a_producer, brokers_of, fresh, pack, role_of, unpack, wait_for

ORDERS = 2_000
KILLS = 3


def open_database(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=30)
    with database:
        database.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY)")
        database.execute("CREATE TABLE IF NOT EXISTS sold (item TEXT PRIMARY KEY, pieces INT NOT NULL)")
        database.execute("CREATE TABLE IF NOT EXISTS repeats (count INT NOT NULL)")
    return database


def do_once(database: sqlite3.Connection, order: dict[str, str]) -> None:
    is_new = database.execute("INSERT INTO seen VALUES (?) ON CONFLICT (id) DO NOTHING", (order["id"],)).rowcount
    if is_new:
        database.execute(
            "INSERT INTO sold VALUES (?, 1) ON CONFLICT (item) DO UPDATE SET pieces = pieces + 1", (order["item"],)
        )
    else:
        database.execute("INSERT INTO repeats VALUES (1)")


def work(bootstrap: str, topic: str, path: str) -> None:
    """The database first, then the commit to Kafka: the other way round a kill would lose orders."""
    database = open_database(path)
    with a_consumer(bootstrap, f"sales-{topic}", group_instance_id="one", max_poll_records=100) as consumer:
        consumer.subscribe([topic])
        while True:
            records = consumer.poll(500)
            with database:
                for record in records:
                    do_once(database, unpack(record))
            time.sleep(0.02)  # here is where a kill has records come again
            consumer.commit()


def main(arguments: list[str]) -> None:
    topic = fresh("orders")
    choice = random.Random(2)
    with brokers_of(arguments[:1]) as brokers, tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "sales.db")
        brokers.create(topic)
        with a_producer(brokers.bootstrap) as producer:
            for number in range(ORDERS):
                order = pack(id=f"order-{number}", item=f"item-{number % 10}")
                for _ in range(choice.choice([1, 1, 1, 2, 3])):  # this customer clicks until something happens
                    producer.send(topic, order, b"order-%d" % number)
        database = open_database(path)

        def count(statement: str) -> int:
            return int(database.execute(statement).fetchone()[0])

        with Worker("worker", brokers.bootstrap, topic, path) as worker:
            for kill in range(1, KILLS + 1):
                wait_for(lambda k=kill: count("SELECT COUNT(*) FROM seen") >= ORDERS * k // (KILLS + 2), [worker])
                worker.kill_and_restart()
                if kill == 1:
                    print(brokers.kill_leader(topic))
            wait_for(lambda: count("SELECT COUNT(*) FROM seen") == ORDERS, [worker])
        sold = dict(database.execute("SELECT item, pieces FROM sold").fetchall())
        assert sold == {f"item-{number}": ORDERS // 10 for number in range(10)}, sold
        repeats = count("SELECT COUNT(*) FROM repeats")
        assert repeats > 0
        print(f"ok: {ORDERS} orders done once each, {repeats} repetitions were recognized, {KILLS} kills")


if __name__ == "__main__":
    role, rest = role_of(sys.argv[1:])
    work(*rest) if role == "worker" else main(rest)
