"""The producer for programs without an event loop.

with Producer({"bootstrap.servers": "localhost:9092"}) as producer:
    producer.send("orders", b"a record")                          # and forget it
    where = producer.send("orders", b"another", key=b"k").result()   # and wait for its offset
    producer.send("orders", b"third", on_delivery=print)          # and be told
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any

from clients.accumulator import ACCOUNT_MASK, NO_HEADERS, Headers, OnDelivery
from clients.background import BackgroundLoop
from clients.column_sender import Columns, append_columns
from clients.configs import Given
from clients.delivery import Delivery
from clients.errors import BufferFull
from clients.metadata import TopicView
from clients.producer_configs import producer_config
from clients.producer_core import NotYet, ProducerCore
from clients.sync_transactions import SyncTransactions


class Producer(SyncTransactions):
    """Thread-safe: share one. See producer_configs.py for what it may be told."""

    def __init__(self, config: Given | None = None, /, **keywords: Any) -> None:
        self._config = producer_config(config, keywords)
        self._background = BackgroundLoop(f"odradek-producer-{self._config.get_str('client.id')}")
        self._max_block_s = self._config.seconds("max.block.ms")

        async def make() -> ProducerCore:
            return ProducerCore(self._config)

        try:
            self._core = self._background.call(make())
        except BaseException:
            self._background.close()
            raise
        self._append = self._core.append
        self._quick = self._core.quick_topics()
        self._partitioner = self._core.partitioner
        self._sticks = self._core.sticks
        self._acquire, self._release = self._core.accumulator.lock.acquire, self._core.accumulator.lock.release

    def send(
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
        on_delivery: OnDelivery | None = None,
    ) -> Delivery:
        """Put a record into the buffer; it leaves with its batch.

        Blocks for at most `max.block.ms`: while the topic isn't known, or `buffer.memory` is used up. Then it raises
        UnknownTopicOrPartition or BufferFull. `on_delivery(metadata, error)` is called on the producer's own thread.
        """
        queues = self._quick.get(topic)
        if queues is not None:
            # What nearly every record needs, in one call: its partition has a batch that is open and has room.
            if partition is None:
                if key is not None or not self._sticks:
                    partition = self._partitioner(topic, key, value, queues.partitions)
                    queue = queues.sticky if partition < 0 else queues.queues.get(partition)
                else:
                    queue = queues.sticky
            else:
                queue = queues.queues.get(partition)
            if queue is not None and (headers is None or type(headers) is list):
                self._acquire()
                try:
                    batch = queue.open
                    if batch is not None:
                        index = batch.count
                        row = batch.append(index, timestamp_ms, key, value, headers or NO_HEADERS)
                        if row is not None:
                            batch.count = index + 1
                            if on_delivery is not None or not index & ACCOUNT_MASK:
                                self._core.accumulator.count(batch, row, on_delivery)
                            return Delivery(batch, row)
                finally:
                    self._release()
        try:
            return self._append(topic, value, key, partition, timestamp_ms, headers, on_delivery)
        except NotYet as wait:
            first = wait
        deadline = time.monotonic() + self._max_block_s
        while True:
            self._wait(first, deadline)
            try:
                return self._append(topic, value, key, partition, timestamp_ms, headers, on_delivery)
            except NotYet as wait:
                first = wait

    def send_many(
        self,
        topic: str,
        values: Iterable[bytes | None],
        *,
        key: bytes | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> list[Delivery]:
        """Many records at once, as bytes (no serializer, no interceptor): five times quicker than `send` for each.

        They share key and timestamp. Returns a Delivery for the last record of each batch they went into: when these
        are done, all are.
        """
        rest: Sequence[bytes | None] = values if isinstance(values, (list, tuple)) else list(values)
        timestamp = time.time_ns() // 1_000_000 if timestamp_ms is None else timestamp_ms
        deliveries: list[Delivery] = []
        deadline = time.monotonic() + self._max_block_s
        while rest:
            try:
                taken, part = self._core.append_many(topic, rest, key, partition, timestamp)
            except NotYet as wait:
                self._wait(wait, deadline)
                continue
            deliveries += part
            if taken == len(rest):
                break
            rest = rest[taken:]
            self._wait(NotYet(None), deadline := time.monotonic() + self._max_block_s)
        return deliveries

    def send_columns(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps_ms: Sequence[int],
        *,
        headers: Sequence[Headers] | None = None,
        partition: int | None = None,
    ) -> Delivery | None:
        """Many records at once, as bytes (no serializer, no interceptor), each with its own key and timestamp.

        Returns the last record's Delivery; `flush` and the count of errors in `metrics` tell of the others.
        """
        self._core.check()
        count = len(self.partitions_for(topic).partitions)
        partitions: Sequence[int]
        if partition is not None:
            partitions = [partition] * len(keys)
        else:
            choose = self._core.partitioner
            partitions = [choose(topic, key, value, count) for key, value in zip(keys, values, strict=True)]
        columns = Columns(partitions, keys, values, timestamps_ms, headers)
        deadline = time.monotonic() + self._max_block_s
        while not append_columns(self._core.accumulator, self._core.topics[topic], columns):
            self._wait(NotYet(None), deadline)
        return columns.last

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until everything sent so far is acknowledged or failed; False when the time is up before."""
        try:
            self._background.call(self._core.flush(), timeout_s)
        except TimeoutError:
            return False
        return True

    def partitions_for(self, topic: str) -> TopicView:
        """What is known of a topic; waits for it as `send` does."""
        if topic not in self._core.topics:
            self._wait(NotYet(topic), time.monotonic() + self._max_block_s)
        return self._core.cluster.metadata.topics[topic]

    @property
    def last_error(self) -> BaseException | None:
        """What the last record failed with that could not be delivered; None when all could."""
        return self._core.sender.metrics.last_error

    def metrics(self) -> dict[str, float]:
        """Counters by the names that Java's producer uses."""
        return self._core.metrics()

    def close(self, timeout_s: float | None = None) -> None:
        """Flush, for at most `timeout_s`, and end. What is not acknowledged by then fails. Idempotent."""
        if self._core.is_closed:
            return
        try:
            self._background.call(self._core.close(timeout_s))
        finally:
            self._background.close()

    def __enter__(self) -> Producer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(None if error is None else 5.0)

    def _wait(self, wait: NotYet, deadline: float) -> None:
        """For what an append lacked. Raises when the time is up."""
        left = deadline - time.monotonic()
        if wait.topic is not None:
            try:
                self._background.call(self._core.learn(wait.topic, wait.partition), max(0.0, left))
            except TimeoutError:
                raise self._core.why_not(wait.topic) from None
            return
        accumulator = self._core.accumulator
        with accumulator.room:
            accumulator.waiting += 1
            try:
                self._core.sender.soon()
                while accumulator.is_full:
                    self._core.check()
                    left = deadline - time.monotonic()
                    if left <= 0 or threading.current_thread() is self._background.thread:
                        raise BufferFull("buffer.memory is used up: the brokers take less than is sent")
                    accumulator.room.wait(min(left, 0.5))
            finally:
                accumulator.waiting -= 1
