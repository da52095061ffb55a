"""Where a producer's records wait: per partition one open batch, and the closed ones in front of it.

`append` runs on the callers' threads, everything about ready batches on the loop's. One lock guards both; it is held
for an instant only. `buffer.memory` is counted every 64 records and at each new batch, not at every record: it may be
exceeded by some records for each open batch.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, Final

from clients.batch import Batch
from clients.delivery import Delivery
from clients.errors import BufferFull
from clients.partitioners import another
from model.errors import MessageTooLarge

Headers = Sequence[tuple[str, "bytes | None"]]
OnDelivery = Callable[[Any, "BaseException | None"], Any]

ACCOUNT_MASK: Final = 63
NO_HEADERS: Final[list[Any]] = []
_BATCH_OVERHEAD: Final = 61
_RECORD_OVERHEAD: Final = 21  # the most that lengths and deltas take


class PartitionQueue:
    """One partition's batches: `ready` wait to be sent, `in_flight` for their answer, both in the order of sending.

    The fields from `stamp` on belong to the sender.
    """

    __slots__ = (
        "after_version",
        "blocked_until",
        "in_flight",
        "is_recovering",
        "leader",
        "must_bump",
        "next_sequence",
        "open",
        "partition",
        "proven",
        "ready",
        "restamp_from",
        "retries",
        "stamp",
        "topic",
    )

    def __init__(self, topic: str, partition: int) -> None:
        self.topic = topic
        self.partition = partition
        self.open: Batch | None = None
        self.ready: deque[Batch] = deque()
        self.in_flight: list[Batch] = []
        self.retries: list[Batch] = []
        self.stamp = (-1, -1)
        self.proven: tuple[int, int] | None = None  # the stamp under which a batch has been acknowledged
        self.next_sequence = 0
        self.restamp_from: int | None = None
        self.must_bump = False
        self.is_recovering = False
        self.leader = -1  # whom the last batch went to
        self.blocked_until = 0.0
        self.after_version = 0  # of the metadata: what was known before led astray

    @property
    def is_empty(self) -> bool:
        return self.open is None and not self.ready and not self.in_flight and not self.retries


class TopicQueues:
    """One topic's queues. `available` are the partitions that have a leader."""

    __slots__ = ("available", "name", "partitions", "queues", "sticky")

    def __init__(self, name: str, partitions: int, available: list[int]) -> None:
        self.name = name
        self.partitions = partitions
        self.available = available
        self.queues: dict[int, PartitionQueue] = {}
        self.sticky = self.queue(another(available or list(range(partitions)), -1))

    def queue(self, partition: int) -> PartitionQueue:
        found = self.queues.get(partition)
        if found is None:
            found = self.queues[partition] = PartitionQueue(self.name, partition)
        return found


class Accumulator:
    """`wake` is called, from any thread and with the lock held, when the sender has something to look at."""

    def __init__(
        self,
        *,
        batch_size: int,
        buffer_memory: int,
        max_request_size: int,
        codec: str,
        is_transactional: bool,
        wake: Callable[[], None],
    ) -> None:
        self.lock = threading.Lock()
        self.room = threading.Condition(self.lock)
        self.topics: dict[str, TopicQueues] = {}
        self.active: dict[PartitionQueue, None] = {}
        self.unfinished: dict[Batch, None] = {}
        self.used = 0
        self.waiting = 0  # callers that wait for room
        self.on_room: list[Callable[[], None]] = []  # and those that wait on a loop
        self.hurried_up_to = -1  # batches up to this number don't linger
        self.records = 0
        self._batch_size = batch_size
        self._buffer_memory = buffer_memory
        self._max_request_size = max_request_size
        self._codec = codec
        self._is_transactional = is_transactional
        self._wake = wake
        self._number = 0

    def append(
        self,
        topic: TopicQueues,
        partition: int,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Headers | None,
        on_delivery: OnDelivery | None,
    ) -> Delivery:
        """Put a record into the open batch of a partition; -1 is the sticky one. Without timestamp it is now.

        Raises BufferFull (wait for `room`, try again) and MessageTooLarge.
        """
        with self.lock:
            queue = topic.sticky if partition < 0 else topic.queues.get(partition) or topic.queue(partition)
            batch = queue.open
            rows = headers if type(headers) is list else NO_HEADERS if headers is None else list(headers)
            row = None if batch is None else batch.append(batch.count, timestamp, key, value, rows)
            if batch is None or row is None:
                batch, row = self.begin_batch(topic, partition, timestamp, key, value, rows)
            batch.count += 1
            self.count(batch, row, on_delivery)
        return Delivery(batch, row)

    def begin_batch(
        self,
        topic: TopicQueues,
        partition: int,
        timestamp: int | None,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
    ) -> tuple[Batch, Any]:
        """Called with the lock held when the open batch, if any, is full: a new one that begins with this record.

        Raises as `append` does. The caller counts the record.
        """
        batch = self._next_batch(topic, partition, key, value, headers)
        row = batch.append(0, timestamp, key, value, headers)
        if row is None:
            raise MessageTooLarge("the record does not fit into any batch")
        return batch, row

    def count(self, batch: Batch, row: Any, on_delivery: OnDelivery | None) -> None:
        """Called with the lock held for a record in the batch: for one that reports, and for every sixty-fourth."""
        if on_delivery is not None:
            batch.callbacks.append((row.offset, row.timestamp, on_delivery))
        if not row.offset & ACCOUNT_MASK:
            self._account(batch)

    def append_many(
        self,
        topic: TopicQueues,
        partition: int,
        timestamp: int | None,
        key: bytes | None,
        values: Sequence[bytes | None],
    ) -> tuple[int, list[Delivery]]:
        """As many of the values as there is room for: their number, and the last one's delivery in each batch."""
        taken, end = 0, len(values)
        deliveries: list[Delivery] = []
        rest = iter(values)
        next(rest, None)
        with self.lock:
            while taken < end:
                queue = topic.sticky if partition < 0 else topic.queue(partition)
                batch = queue.open
                if batch is None:
                    try:
                        batch = self._next_batch(topic, partition, key, values[taken], NO_HEADERS)
                    except BufferFull:
                        break
                append, index, last = batch.append, batch.count, None
                for value in chain(values[taken : taken + 1], rest):  # the first one may have met a full batch before
                    row = append(index, timestamp, key, value, NO_HEADERS)
                    if row is None:
                        break
                    index, last = index + 1, row
                taken += index - batch.count
                batch.count = index
                if last is not None:
                    deliveries.append(Delivery(batch, last))
                    self._account(batch)
                if taken < end:
                    self._close(queue, topic)
                    self._wake()
        return taken, deliveries

    def close_due(self, queue: PartitionQueue, before: float, *, at_once: bool) -> None:
        """Called by the sender with the lock held: close the open batch if it was begun before, or is hurried."""
        batch = queue.open
        if batch is not None and (at_once or batch.created <= before or batch.number <= self.hurried_up_to):
            self._close(queue, self.topics[queue.topic])

    def hurry(self) -> None:
        """Let no batch linger that was begun by now."""
        with self.lock:
            self.hurried_up_to = self._number
            self._wake()

    def finished(self, batches: Sequence[Batch]) -> None:
        """Called by the sender: their memory is free again."""
        with self.lock:
            for batch in batches:
                self.unfinished.pop(batch, None)
                self.used -= batch.accounted
                batch.accounted = 0
            if self.waiting and self.used < self._buffer_memory:
                self.room.notify_all()
            heard, self.on_room = self.on_room, []
        for tell in heard:
            tell()

    @property
    def is_full(self) -> bool:
        return self.used >= self._buffer_memory

    def _next_batch(
        self, topic: TopicQueues, partition: int, key: bytes | None, value: bytes | None, headers: Headers
    ) -> Batch:
        size = _BATCH_OVERHEAD + _RECORD_OVERHEAD + (len(key) if key else 0) + (len(value) if value else 0)
        size += sum(len(name) + len(content or b"") + 10 for name, content in headers)
        if size > self._max_request_size:
            raise MessageTooLarge(f"a record of {size} bytes is larger than max.request.size={self._max_request_size}")
        queue = topic.sticky if partition < 0 else topic.queue(partition)
        while queue.open is not None:
            self._close(queue, topic)
            self._wake()
            if partition < 0:
                queue = topic.sticky  # which may be in use too, by callers that name their partition
        if self.used >= self._buffer_memory:
            raise BufferFull(f"buffer.memory={self._buffer_memory} is used up")
        self._number += 1
        batch = queue.open = Batch(
            topic.name,
            queue.partition,
            self._number,
            batch_size=self._batch_size,
            codec=self._codec,
            is_transactional=self._is_transactional,
            created=time.monotonic(),
            hurry=self.hurry,
        )
        self.unfinished[batch] = None
        self.active[queue] = None
        self._wake()
        return batch

    def _close(self, queue: PartitionQueue, topic: TopicQueues) -> None:
        batch = queue.open
        assert batch is not None
        queue.open = None
        if batch.count:
            self._account(batch)
            self.records += batch.count
            queue.ready.append(batch)
        else:
            self.unfinished.pop(batch, None)
        if topic.sticky is queue:
            topic.sticky = topic.queue(another(topic.available or list(range(topic.partitions)), queue.partition))

    def _account(self, batch: Batch) -> None:
        size = batch.builder.size()
        self.used += size - batch.accounted
        batch.accounted = size
