"""Failed records go round by way of retry topics, each with a longer pause, and end in a dead-letter topic.

    retries = RetryTopics("orders", "billing", delays_s=(1, 10, 60))
    admin.create_topics(retries.new_topics(partitions=6))
    consumer.subscribe(retries.subscription)          # enable.auto.commit=false, auto.offset.reset=earliest
    while True:
        retries.process(consumer, producer, bill)

The records after a failed one don't wait for it, so a key's order is kept only among records that succeed. At least
once: what was handled is committed at the end of each `process`, after what failed is acknowledged elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from clients.admin_types import NewTopic
from clients.delivery import Delivery
from model.errors import OdradekError

if TYPE_CHECKING:
    from clients.consumer import Consumer
    from clients.producer import Producer
    from clients.records import ConsumerRecord
    from model.ids import TopicPartition

ORIGIN: Final = "retry-origin"  # topic-partition@offset of the first attempt
ATTEMPT: Final = "retry-attempt"  # how often it has failed
DUE_MS: Final = "retry-due-ms"  # not before this time (Unix epoch)
ERROR: Final = "retry-error"  # of the last attempt
_OURS: Final = frozenset({ORIGIN, ATTEMPT, DUE_MS, ERROR})


class PermanentFailure(OdradekError):
    """Raise it from the handler when no further attempt can help: the record goes to the dead-letter topic at once."""


class RetryTopics:
    """One topic as one group reads it: other groups have retry topics of their own.

    For one thread, with one consumer. Keys and values must reach the producer as bytes: configure no serializers.
    """

    def __init__(
        self,
        topic: str,
        group: str,
        delays_s: Sequence[float] = (1.0, 10.0, 60.0),
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.topic = topic
        self.retry_topics = [f"{topic}.{group}.retry-{number}" for number in range(1, len(delays_s) + 1)]
        self.dead_letter_topic = f"{topic}.{group}.dead-letter"
        self.handled = self.retried = self.given_up = 0
        self._delays_s = tuple(delays_s)
        self._clock = clock
        self._due: dict[TopicPartition, float] = {}  # paused until then

    @property
    def subscription(self) -> list[str]:
        """What the consumer subscribes to."""
        return [self.topic, *self.retry_topics]

    def new_topics(self, partitions: int = -1, replication_factor: int = -1) -> list[NewTopic]:
        """The retry topics and the dead-letter topic, for `Admin.create_topics`."""
        names = [*self.retry_topics, self.dead_letter_topic]
        return [NewTopic(name, partitions, replication_factor) for name in names]

    def process(
        self,
        consumer: Consumer,
        producer: Producer,
        handle: Callable[[ConsumerRecord], Any],
        timeout_ms: float = 500,
    ) -> int:
        """One poll, its records handled, the rest passed on, and all of it committed. Returns how many were handled.

        Whatever `handle` raises but KeyboardInterrupt and its like is a failed attempt. Raises what clients raise.
        """
        self._resume_due(consumer)
        records = consumer.poll(self._patience_ms(timeout_ms))
        passed_on: list[Delivery] = []
        put_off: set[TopicPartition] = set()
        before = self.handled
        for record in records:
            place = record.topic_partition
            if place in put_off:
                continue
            due = int(record.header(DUE_MS) or 0) / 1000 if record.topic != self.topic else 0.0
            if due > self._clock():
                # what comes after it in a retry topic is due later still
                consumer.pause([place])
                consumer.seek(place, record.offset)
                self._due[place] = due
                put_off.add(place)
                continue
            try:
                handle(record)
                self.handled += 1
            except Exception as error:
                passed_on.append(self._pass_on(producer, record, error))
        for delivery in passed_on:
            delivery.result()
        if records:
            consumer.commit()
        return self.handled - before

    def _pass_on(self, producer: Producer, record: ConsumerRecord, error: Exception) -> Delivery:
        attempt = int(record.header(ATTEMPT) or 0) + 1 if record.topic != self.topic else 1
        origin = record.header(ORIGIN) if record.topic != self.topic else None
        headers = [pair for pair in record.headers if pair[0] not in _OURS]
        headers += [
            (ORIGIN, origin or b"%s-%d@%d" % (record.topic.encode(), record.partition, record.offset)),
            (ATTEMPT, b"%d" % attempt),
            (ERROR, f"{type(error).__name__}: {error}".encode()[:1000]),
        ]
        if isinstance(error, PermanentFailure) or attempt > len(self._delays_s):
            self.given_up += 1
            target = self.dead_letter_topic
        else:
            self.retried += 1
            target = self.retry_topics[attempt - 1]
            due_ms = int((self._clock() + self._delays_s[attempt - 1]) * 1000)
            headers.append((DUE_MS, b"%d" % due_ms))
        return producer.send(target, record.raw_value, record.raw_key, headers=headers)

    def _resume_due(self, consumer: Consumer) -> None:
        now = self._clock()
        over = [place for place, due in self._due.items() if due <= now]
        for place in over:
            del self._due[place]
        consumer.resume(consumer.assignment().intersection(over))  # a rebalance may have taken some

    def _patience_ms(self, timeout_ms: float) -> float:
        """No longer than until the next paused partition is due."""
        if not self._due:
            return timeout_ms
        return max(0.0, min(timeout_ms, (min(self._due.values()) - self._clock()) * 1000 + 1))
