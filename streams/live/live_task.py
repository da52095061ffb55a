"""A task on a cluster: its stores and where they stand in their changelogs, its partitions and how far it has got.

It is a standby (its stores follow their changelogs), restoring (they catch up, then it runs), running, or suspended
(the group is dealing out anew).
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from clients.committed import OffsetAndMetadata, Offsets
from clients.record_columns import RecordColumns, columns_of
from clients.records import ConsumerRecord
from model.ids import TopicPartition
from streams.engine.batch import BatchSource, Columns
from streams.engine.task import Task
from streams.errors import SerdeError
from streams.live.checkpoint import Checkpoint
from streams.live.collector import ProducerCollector
from streams.live.members import TaskId, task_name
from streams.live.topics import Subtopology
from streams.records import NO_TIMESTAMP
from streams.stores.rocks_byte_map import RocksByteMap

Mode = Literal["standby", "restoring", "running", "suspended"]

_TIME = struct.Struct(">bq")
_TIME_VERSION = 2


class LiveTask:
    """`positions` tells, by changelog, up to where the stores hold it. Only the app's thread, under its lock."""

    def __init__(
        self,
        task_id: TaskId,
        sub: Subtopology,
        task: Task,
        collector: ProducerCollector,
        checkpoint: Checkpoint,
        maps: list[RocksByteMap],
        positions: dict[str, int],
    ) -> None:
        self.id = task_id
        self.name = task_name(task_id)
        self.sub = sub
        self.task = task
        self.mode: Mode = "standby"
        self.positions = positions
        self.places: list[TopicPartition] = []
        self.committed: dict[TopicPartition, int] = {}
        self._collector = collector
        self._checkpoint = checkpoint
        self._maps = maps
        self._written: dict[str, int] = {}
        self._batch_sources: dict[str, BatchSource] = task.batch_sources()
        self._idle_until: float | None = None

    # -- what it reads

    def begin(
        self, places: Sequence[TopicPartition], committed: Mapping[TopicPartition, OffsetAndMetadata | None]
    ) -> None:
        """These partitions are its own from now on. It is restoring first."""
        self.mode = "restoring"
        self.task.unassign_all()
        self.places = list(places)
        self.committed.clear()
        self._idle_until = None
        for place in places:
            self.task.assign(place.topic, place.partition, source=self._pattern_of(place.topic))
            said = committed.get(place)
            if said is not None:
                self.committed[place] = said.offset
        times = [read_time(said.metadata) for place in places if (said := committed.get(place)) is not None]
        self.task.context.stream_time = max([self.task.context.stream_time, *times])

    def _pattern_of(self, topic: str) -> str | None:
        return next((pattern.pattern for pattern in self.sub.patterns if pattern.fullmatch(topic)), None)

    def run(self, *, holds: bool) -> None:
        """Its stores are up to date. `holds`: what it writes stays out of the files until a transaction is over."""
        for each in self._maps:
            each.write_pending()
            each.holds = holds
        self.mode = "running"
        self.task.initialise()

    def take(self, place: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        """Process them at once where order between partitions can't matter, put them in line otherwise."""
        columns = columns_of(records)
        if len(self.places) == 1 and not self.task.has_records and self._process_batch(place, columns):
            return
        self.task.add_records(place.topic, place.partition, zip(*columns, strict=True))

    def _process_batch(self, place: TopicPartition, columns: RecordColumns) -> bool:
        source = self._batch_sources.get(place.topic)
        if source is None:
            return False
        try:
            keys, values = source.read_keys(columns.keys), source.read_values(columns.values)
        except SerdeError:
            return False
        batch = Columns(keys, values, columns.timestamps, columns.headers)
        return self.task.process_batch(source, place.topic, place.partition, columns.offsets[0], batch)

    def process(self, most: int, may_go_on: Callable[[], bool]) -> int:
        """Up to `most` of the records in line; `may_go_on` is asked when some partition has none. How many it were."""
        task, count = self.task, 0
        is_single = len(self.places) == 1
        while count < most and task.has_records:
            if not is_single:
                if task.has_records_of_all:
                    self._idle_until = None
                elif not may_go_on():
                    break
            task.process_one()
            task.punctuate_stream_time()
            count += 1
        return count

    def may_go_on(self, idle_ms: int, lag: Callable[[TopicPartition], int | None], now: float) -> bool:
        """Whether to process although some partitions have no records in line (`max.task.idle.ms`).

        -1: always. Else what is on the brokers already is fetched first; beyond that, `idle_ms` is waited for more.
        """
        if idle_ms < 0:
            return True
        empty = [place for place in self.places if not self.task.buffered(place.topic, place.partition)]
        if any(lag(place) != 0 for place in empty):  # unknown, or more to come
            self._idle_until = None
            return False
        if not empty or idle_ms == 0:
            return True
        if self._idle_until is None:
            self._idle_until = now + idle_ms / 1000
        return now >= self._idle_until

    # -- how far it has got

    def to_commit(self, positions: Offsets) -> dict[TopicPartition, OffsetAndMetadata]:
        """Where its partitions are now, of those that have moved since the last commit."""
        found: dict[TopicPartition, OffsetAndMetadata] = {}
        if self.mode != "running":
            return found
        metadata = write_time(self.task.context.stream_time)
        for queue in self.task.queues():
            place = TopicPartition(queue.source.topic, queue.partition)
            offset = queue.next_offset
            if offset is None:
                if place not in positions:
                    continue
                offset = positions[place].offset
            if offset != self.committed.get(place):
                found[place] = OffsetAndMetadata(offset, metadata)
        return found

    def was_committed(self, offsets: Offsets) -> None:
        """All that was written is acknowledged, and these offsets are final: the files may have it."""
        for place in self.places:
            if place in offsets:
                self.committed[place] = offsets[place].offset
        for topic, delivery in self._collector.last.items():
            offset = delivery.result().offset
            if offset >= 0:
                self.positions[topic] = offset + 1
        self._collector.last.clear()
        self.write_down()

    def write_down(self) -> None:
        """The stores' files, then how far they are."""
        for each in self._maps:
            each.write_pending()
        if self.positions != self._written:
            self._written = dict(self.positions)
            self._write_checkpoint(is_clean=False)

    def _write_checkpoint(self, *, is_clean: bool) -> None:
        if self._maps:
            stores, logs = self.task.own_stores, self.sub.changelogs
            kept = {topic for name, topic in logs.items() if name in stores and stores[name].is_persistent}
            offsets = {topic: position for topic, position in self.positions.items() if topic in kept}
            self._checkpoint.write(offsets, is_clean=is_clean)

    @property
    def held(self) -> int:
        """How much of its state is here, in changelog records."""
        return sum(self.positions.values())

    def close(self, *, is_clean: bool) -> None:
        """Unclean: something of it was not committed. What the files hold is then at the last checkpoint or beyond."""
        for each in self._maps:
            each.holds = each.holds and not is_clean
        self.task.close()
        if is_clean:
            self._write_checkpoint(is_clean=True)

    def wipe(self) -> None:
        """After an unclean close: forget the files too."""
        self._checkpoint.wipe()


def read_time(metadata: str) -> int:
    """The stream time that a commit's metadata tells; -1 when it tells none."""
    try:
        version, time = _TIME.unpack(base64.b64decode(metadata, validate=True)[: _TIME.size])
    except (binascii.Error, struct.error, ValueError):
        return NO_TIMESTAMP
    return int(time) if version == _TIME_VERSION else NO_TIMESTAMP


def write_time(time: int) -> str:
    return base64.b64encode(_TIME.pack(_TIME_VERSION, time)).decode()
