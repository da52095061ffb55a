"""A queue and publish/subscribe, from one topic: it depends on the group.

Three members of one group share the jobs (each job goes to one of them); two subscribers with groups of their own get
every job. A member is killed: the others take over what it had not committed.

    python examples/queue_and_subscribers.py [localhost:9092]
"""

from __future__ import annotations

import sys
import time
from collections import Counter, defaultdict

from common import Worker, a_consumer, a_producer, brokers_of, fresh, pack, read_all, role_of, unpack, wait_for

JOBS = 600


def work(bootstrap: str, topic: str, group: str, name: str) -> None:
    with a_consumer(bootstrap, group, max_poll_records=10) as consumer, a_producer(bootstrap) as producer:
        consumer.subscribe([topic])
        while True:
            for record in consumer.poll(500):
                time.sleep(0.002)  # the work
                producer.send(f"{topic}.done", pack(job=unpack(record)["job"], by=name, group=group))
            producer.flush()
            consumer.commit()


def main(arguments: list[str]) -> None:
    topic = fresh("jobs")
    with brokers_of(arguments[:1]) as brokers:
        brokers.create(topic, f"{topic}.done", partitions=6)

        def worker(group: str, name: str) -> Worker:
            return Worker("worker", brokers.bootstrap, topic, f"{group}-{topic}", name)

        def done() -> dict[str, Counter[int]]:
            by_group: dict[str, Counter[int]] = defaultdict(Counter)
            for record in read_all(brokers.bootstrap, f"{topic}.done"):
                row = unpack(record)
                by_group[row["group"].split("-")[0]][row["job"]] += 1
            return by_group

        with (
            worker("queue", "ann") as ann,
            worker("queue", "bob") as bob,
            worker("queue", "cem") as cem,
            worker("audit", "audit") as audit,
            worker("search", "search") as search,
        ):
            everybody = [ann, bob, cem, audit, search]
            with a_producer(brokers.bootstrap) as producer:
                for number in range(JOBS):
                    producer.send(topic, pack(job=number), b"%d" % number)
            wait_for(lambda: len(done()["queue"]) > JOBS // 3, everybody)
            print("kill -9 bob")
            bob.kill()
            everybody.remove(bob)
            print(brokers.kill_leader(topic))
            wait_for(
                lambda: all(len(done()[group]) == JOBS for group in ("queue", "audit", "search")), everybody
            )
        shares = Counter(
            unpack(record)["by"] for record in read_all(brokers.bootstrap, f"{topic}.done")
            if unpack(record)["group"].startswith("queue")
        )  # fmt: skip
        counts = done()
        again = sum(count - 1 for count in counts["queue"].values())
        assert again < JOBS // 2, "the queue's members did each other's work"
        print(f"queue: {dict(sorted(shares.items()))}, {again} jobs done again after the kills")
        print(f"ok: each of {JOBS} jobs went to one member of the queue and to both subscribers")


if __name__ == "__main__":
    role, rest = role_of(sys.argv[1:])
    work(*rest) if role == "worker" else main(rest)
