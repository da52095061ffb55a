"""A read-process-write program of its own: copies numbers from one topic to another, exactly once.

    python copier.py BOOTSTRAP SOURCE TARGET GROUP TRANSACTIONAL_ID

It may be killed at any point; started again with the same ids it goes on. An error that ends its producer ends it, too.
"""

from __future__ import annotations

import os
import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

BATCH = 25


class Copier:
    def __init__(self, bootstrap: str, source: str, target: str, group: str, transactional_id: str) -> None:
        self.target = target
        quick = {
            "bootstrap.servers": bootstrap,
            "log_level": 0,
            "reconnect.backoff.ms": 10,
            "reconnect.backoff.max.ms": 100,
            "retry.backoff.ms": 20,
            "retry.backoff.max.ms": 100,
            "topic.metadata.refresh.fast.interval.ms": 20,
            "socket.timeout.ms": 5000,
        }
        self.consumer = Consumer(
            {
                **quick,
                "group.id": group,
                "group.instance.id": transactional_id,  # whoever takes over gets the partitions at once
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "session.timeout.ms": 6000,
            }
        )
        self.producer = Producer(
            {**quick, "transactional.id": transactional_id, "transaction.timeout.ms": 20_000, "linger.ms": 1}
        )
        self.producer.init_transactions(60)
        self.consumer.subscribe([source])

    def run(self) -> None:
        parent = os.getppid()
        while os.getppid() == parent:  # an orphan has nobody to kill it
            messages = [m for m in self.consumer.consume(BATCH, timeout=0.5) if m.error() is None]
            if messages:
                self.copy(messages)

    def copy(self, messages: list[Message]) -> None:
        try:
            self.producer.begin_transaction()
            for message in messages:
                self.producer.produce(self.target, message.value(), message.key())
            ends: dict[tuple[str, int], int] = {}
            for message in messages:
                place = (message.topic() or "", message.partition() or 0)
                ends[place] = max(ends.get(place, 0), (message.offset() or 0) + 1)
            positions = [TopicPartition(topic, partition, end) for (topic, partition), end in ends.items()]
            self.insist(
                lambda: self.producer.send_offsets_to_transaction(
                    positions, self.consumer.consumer_group_metadata(), 30
                )
            )
            self.insist(lambda: self.producer.commit_transaction(60))
        except KafkaException as failure:
            error: KafkaError = failure.args[0]
            print(f"copier: {error}", file=sys.stderr, flush=True)
            if not error.txn_requires_abort():
                raise
            self.insist(lambda: self.producer.abort_transaction(60))
            self.rewind()

    @staticmethod
    def insist(step: object) -> None:
        """Repeat what may be repeated."""
        while True:
            try:
                step()  # type: ignore[operator]
                return
            except KafkaException as failure:
                if not failure.args[0].retriable():
                    raise

    def rewind(self) -> None:
        """Back to what is committed: what was read since is not copied."""
        assigned = self.consumer.assignment()
        for place in self.consumer.committed(assigned, timeout=60):
            if place.offset < 0:
                place.offset = 0
            self.consumer.seek(place)


if __name__ == "__main__":
    Copier(*sys.argv[1:]).run()
