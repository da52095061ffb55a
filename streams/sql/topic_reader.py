"""Records of several topics in one order: by event time while there is a past to catch up with, as they come after."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from clients.consumer import Consumer
from clients.records import ConsumerRecord
from model.ids import TopicPartition
from streams.sql.backend import TopicRecord

_WAIT_MS = 200
_ENOUGH = 20_000
"""Records of one partition that wait for slower ones; it is paused then."""


def read_topics(
    client: Mapping[str, Any], partitions: Mapping[str, int], *, from_beginning: bool, follows: bool
) -> Iterator[TopicRecord | None]:
    """Committed records only. None: none came for a while. Without `follows` it ends where the topics ended."""
    places = [TopicPartition(topic, number) for topic, count in partitions.items() for number in range(count)]
    settings = {**client, "enable.auto.commit": False, "isolation.level": "read_committed", "fetch.max.wait.ms": 100}
    with Consumer(settings) as consumer:
        consumer.assign(places)
        if from_beginning:
            consumer.seek_to_beginning(places)
        else:
            consumer.seek_to_end(places)
        merge = _Merge(consumer, places)
        while True:
            if not follows and merge.is_caught_up:
                yield from merge.ready(drops_later=True)
                return
            came = merge.poll()
            yield from merge.ready(drops_later=not follows)
            if not came:
                yield None


class _Merge:
    """A queue per partition; the earliest head goes first, once every partition that is behind has a head."""

    def __init__(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        self._consumer = consumer
        self._ends = consumer.end_offsets(places)
        self._behind = {place for place in places if consumer.position(place) < self._ends[place]}
        self._waiting: dict[TopicPartition, deque[ConsumerRecord]] = {place: deque() for place in places}
        self._paused: set[TopicPartition] = set()

    @property
    def is_caught_up(self) -> bool:
        return not self._behind

    def poll(self) -> bool:
        """Whether anything came."""
        records = self._consumer.poll(_WAIT_MS)
        for record in records:
            self._waiting[record.topic_partition].append(record)
        self._behind = {place for place in self._behind if self._consumer.position(place) < self._ends[place]}
        full = {place for place, queue in self._waiting.items() if len(queue) > _ENOUGH} if self._behind else set()
        if full - self._paused:
            self._consumer.pause(full - self._paused)
        if self._paused - full:
            self._consumer.resume(self._paused - full)
        self._paused = full
        return bool(records)

    def ready(self, *, drops_later: bool) -> Iterator[TopicRecord]:
        """What can go now. `drops_later` leaves out what was written after we began."""
        while all(self._waiting[place] for place in self._behind):
            heads = [queue for queue in self._waiting.values() if queue]
            if not heads:
                return
            record = min(heads, key=lambda queue: queue[0].timestamp).popleft()
            if drops_later and record.offset >= self._ends[record.topic_partition]:
                continue
            key, value = record.raw_key, record.raw_value
            yield TopicRecord(
                record.topic,
                None if key is None else bytes(key),
                None if value is None else bytes(value),
                record.timestamp,
                tuple(record.headers),
            )
