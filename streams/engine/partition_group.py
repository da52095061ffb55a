"""The records a task has been given and not yet processed, in order of event time across its partitions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from streams.config import StreamsConfig
from streams.engine.operator import Process
from streams.errors import SerdeError, TaskFailed
from streams.java_order import PriorityQueue
from streams.records import NO_TIMESTAMP, ConsumedRecord, Headers
from streams.serdes import Deserializer

RawRecord = tuple[int, int, bytes | None, bytes | None, Headers]
"""offset, timestamp, key, value, headers"""


class Source:
    """A topic's way into the task: how its bytes are read and what they are handed to."""

    __slots__ = ("extractor", "key", "process", "topic", "value")

    def __init__(
        self,
        topic: str,
        key: Deserializer,
        value: Deserializer,
        extractor: Callable[[ConsumedRecord, int], int] | None,
        process: Process,
    ) -> None:
        self.topic = topic
        self.key = key
        self.value = value
        self.extractor = extractor
        self.process = process


class RecordQueue:
    """One partition's records. The first one is read ahead, so that its timestamp is known."""

    __slots__ = (
        "_config",
        "_on_dropped",
        "_on_refused",
        "_raw",
        "head",
        "head_bytes",
        "partition",
        "partition_time",
        "source",
    )

    def __init__(
        self,
        source: Source,
        partition: int,
        config: StreamsConfig,
        on_dropped: Callable[[], None],
        on_refused: Callable[[ConsumedRecord, Exception], None],
    ) -> None:
        self.source = source
        self.partition = partition
        self.head: tuple[int, int, Any, Any, Headers] | None = None
        self.partition_time = NO_TIMESTAMP
        self._raw: deque[RawRecord] = deque()
        self._config = config
        self._on_dropped = on_dropped
        self._on_refused = on_refused
        self.head_bytes: tuple[bytes | None, bytes | None] = (None, None)

    def __len__(self) -> int:
        return len(self._raw) + (self.head is not None)

    @property
    def head_timestamp(self) -> int:
        return NO_TIMESTAMP if self.head is None else self.head[0]

    @property
    def next_offset(self) -> int | None:
        """Of the first record that is not processed; None when all are."""
        if self.head is not None:
            return self.head[1]
        return self._raw[0][0] if self._raw else None

    def add(self, records: Iterable[RawRecord]) -> None:
        self._raw.extend(records)
        self._read_ahead()

    def poll(self) -> tuple[int, int, Any, Any, Headers]:
        """(timestamp, offset, key, value, headers) of the first record."""
        record = self.head
        assert record is not None
        self.head = None
        if record[0] > self.partition_time:
            self.partition_time = record[0]
        if self._raw:
            self._read_ahead()
        return record

    def _read_ahead(self) -> None:
        source = self.source
        while self.head is None and self._raw:
            offset, timestamp, key_bytes, value_bytes, headers = self._raw.popleft()
            try:
                key, value = source.key(key_bytes), source.value(value_bytes)
            except SerdeError as error:
                self._refuse(offset, timestamp, key_bytes, value_bytes, headers, error)
                continue
            if source.extractor is not None:
                record = ConsumedRecord(source.topic, self.partition, offset, timestamp, key, value, headers)
                timestamp = source.extractor(record, self.partition_time)
            elif timestamp < 0:
                raise TaskFailed(f"record {source.topic}-{self.partition}@{offset} has no timestamp")
            if timestamp < 0:
                self._on_dropped()
                continue
            self.head = (timestamp, offset, key, value, headers)
            self.head_bytes = (key_bytes, value_bytes)

    def _refuse(
        self,
        offset: int,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        error: SerdeError,
    ) -> None:
        raw = ConsumedRecord(self.source.topic, self.partition, offset, timestamp, key, value, headers)
        answer = self._config.deserialization_exception_handler(raw, error)
        self._on_refused(raw, error)
        if answer == "fail":
            raise TaskFailed(
                f"can't read record {self.source.topic}-{self.partition}@{offset}: {error}. Set "
                "deserialization_exception_handler=log_and_continue to drop such records."
            ) from error
        self._on_dropped()


class PartitionGroup:
    """The queues of a task; the one with the earliest first record goes next."""

    def __init__(self) -> None:
        self._queues: dict[tuple[str, int], RecordQueue] = {}
        self._by_time: PriorityQueue[RecordQueue] = PriorityQueue(lambda queue: queue.head_timestamp)

    def add_queue(self, queue: RecordQueue) -> None:
        self._queues[queue.source.topic, queue.partition] = queue

    def add_records(self, topic: str, partition: int, records: Iterable[RawRecord]) -> None:
        queue = self._queues[topic, partition]
        was_empty = queue.head is None
        queue.add(records)
        if was_empty and queue.head is not None:
            self._by_time.offer(queue)

    def next_queue(self) -> RecordQueue | None:
        """Take the queue whose turn it is; give it back with `put_back` after polling it."""
        return self._by_time.poll() if self._by_time else None

    def put_back(self, queue: RecordQueue) -> None:
        if queue.head is not None:
            self._by_time.offer(queue)

    def buffered(self, topic: str, partition: int) -> int:
        return len(self._queues[topic, partition])

    @property
    def has_records(self) -> bool:
        return len(self._by_time) > 0

    @property
    def has_records_of_all(self) -> bool:
        return len(self._by_time) == len(self._queues)

    def queues(self) -> Iterable[RecordQueue]:
        return self._queues.values()
