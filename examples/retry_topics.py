"""Retry topics with growing pauses, and a dead-letter topic for what never works.

A bill of a customer whose bank is down is tried again later, without holding up the others; a bill that makes no sense
goes to the dead-letter topic at once. The worker is killed on the way.

    python examples/retry_topics.py [localhost:9092]
"""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from common import Worker, a_consumer, a_producer, brokers_of, fresh, pack, read_all, role_of, unpack, wait_for

from odradek import ConsumerRecord, PermanentFailure, RetryTopics

BILLS = 400
DELAYS_S = (0.3, 0.6, 1.2)


def retries_of(topic: str) -> RetryTopics:
    return RetryTopics(topic, "billing", DELAYS_S)


def work(bootstrap: str, topic: str) -> None:
    """Every tenth bill works at the third attempt, every 50th never; every 100th is nonsense."""
    retries = retries_of(topic)
    with a_consumer(bootstrap, f"billing-{topic}", max_poll_records=20) as consumer, a_producer(bootstrap) as producer:

        def bill(record: ConsumerRecord) -> Any:
            number = unpack(record)["bill"]
            if number % 100 == 0:
                raise PermanentFailure("a bill over nothing")
            attempts = int(record.header("retry-attempt") or 0)
            if number % 50 == 0 or (number % 10 == 0 and attempts < 2):
                raise ConnectionError("the bank does not answer")
            producer.send(f"{topic}.paid", record.raw_value, record.raw_key)

        consumer.subscribe(retries.subscription)
        while True:
            retries.process(consumer, producer, bill)
            producer.flush()


def main(arguments: list[str]) -> None:
    topic = fresh("bills")
    retries = retries_of(topic)
    with brokers_of(arguments[:1]) as brokers:
        brokers.create(topic, f"{topic}.paid", *retries.new_topics(3))
        with a_producer(brokers.bootstrap) as producer:
            for number in range(BILLS):
                producer.send(topic, pack(bill=number), b"%d" % number)

        def numbers(name: str) -> Counter[int]:
            return Counter(unpack(record)["bill"] for record in read_all(brokers.bootstrap, name))

        with Worker("worker", brokers.bootstrap, topic) as worker:
            wait_for(lambda: len(numbers(f"{topic}.paid")) > BILLS // 2, [worker])
            worker.kill_and_restart()
            print(brokers.kill_leader(topic))
            given_up = {number for number in range(BILLS) if number % 50 == 0}
            wait_for(
                lambda: len(numbers(f"{topic}.paid")) + len(numbers(retries.dead_letter_topic)) >= BILLS, [worker]
            )
        paid, dead = numbers(f"{topic}.paid"), read_all(brokers.bootstrap, retries.dead_letter_topic)
        assert {unpack(record)["bill"] for record in dead} == given_up
        assert set(paid) == set(range(BILLS)) - given_up
        for record in sorted(dead, key=lambda record: int(unpack(record)["bill"]))[:3]:
            notes = [(record.header(name) or b"").decode() for name in ("retry-origin", "retry-attempt", "retry-error")]
            print(f"dead letter: bill {unpack(record)['bill']}, {notes[0]}, {notes[1]} attempts, {notes[2]}")
        print(f"ok: {len(paid)} bills paid, {len(given_up)} in the dead-letter topic, 1 kill")


if __name__ == "__main__":
    role, rest = role_of(sys.argv[1:])
    work(*rest) if role == "worker" else main(rest)
