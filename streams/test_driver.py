"""TopologyTestDriver: a topology without a broker, on the same task that runs on a cluster.

    with TopologyTestDriver(builder.build()) as driver:
        lines = driver.create_input_topic("lines", value=STRING)
        counts = driver.create_output_topic("counts", key=STRING, value=LONG)
        lines.pipe(value="to be or not to be", timestamp=0)
        assert counts.read_key_values() == [("to", 1), ("be", 1), ...]

Every topic has one partition. Each record is processed, through internal topics too, before the next is piped.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any

from streams.config import StreamsConfig, log_and_continue
from streams.driver_collector import ListCollector, ProducedBatch, survives_as_it_is
from streams.driver_topics import TestInputTopic, TestOutputTopic
from streams.engine.batch import Columns, closed_sources
from streams.engine.collector import ProducedRecord
from streams.engine.task import Task
from streams.errors import SerdeError, StreamsError
from streams.records import NO_TIMESTAMP, Headers
from streams.serdes import Serde
from streams.stores.factory import ByteMaps, memory_byte_maps
from streams.stores.store import StateStore
from streams.topology import SourceNode, Topology
from streams.windows import Duration, to_ms

BATCH_SIZE = 4096


class TopologyTestDriver:
    """Pipe records in, read records out, move the clocks, look into stores."""

    def __init__(
        self,
        topology: Topology,
        config: Mapping[str, Any] | StreamsConfig | None = None,
        *,
        initial_wall_clock_ms: int | None = None,
        byte_maps: ByteMaps = memory_byte_maps,
    ) -> None:
        self.config = StreamsConfig.of(
            config, application_id="test-driver-app", emit_interval_ms=0, outer_join_emit_interval_ms=0
        )
        self._now_ms = int(time.time() * 1000) if initial_wall_clock_ms is None else initial_wall_clock_ms
        self._collector = ListCollector()
        self._outputs: dict[str, deque[ProducedRecord]] = {}
        self._unread: dict[str, list[ProducedBatch]] = {}
        self._offsets: dict[str, int] = {}
        groups = topology.subtopologies().values()
        global_names = [name for group in groups if topology.is_global_group(group) for name in group]
        local_names = [name for group in groups if not topology.is_global_group(group) for name in group]
        self._global_task: Task | None = None
        if global_names:
            global_config = StreamsConfig.of(
                {**vars(self.config), "deserialization_exception_handler": log_and_continue}
            )
            self._global_task = self._task(topology, global_names, global_config, byte_maps, {})
        global_stores = {} if self._global_task is None else self._global_task.own_stores
        self._task_ = self._task(topology, local_names, self.config, byte_maps, global_stores)
        self._collector.context = self._task_.context
        self._batch_sources = {}
        if self._global_task is None:
            self._batch_sources = closed_sources(self._task_.batch_sources(), self._task_.sources)
        self._matched: dict[str, str] = {}
        self._patterns: dict[str, re.Pattern[str]] = {
            node.pattern.pattern: node.pattern
            for node in topology.nodes.values()
            if isinstance(node, SourceNode) and node.pattern is not None
        }

    def _task(
        self,
        topology: Topology,
        names: Iterable[str],
        config: StreamsConfig,
        byte_maps: ByteMaps,
        global_stores: Mapping[str, StateStore],
    ) -> Task:
        task = Task(
            topology,
            names,
            config,
            self._collector,
            wall_clock_ms=lambda: self._now_ms,
            byte_maps=byte_maps,
            global_stores=global_stores,
        )
        for topic in task.sources:
            task.assign(topic, 0)
        return task

    # -- topics

    def create_input_topic(
        self,
        topic: str,
        *,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
        start_timestamp: int | None = None,
        auto_advance: Duration = 0,
    ) -> TestInputTopic:
        """Records without a timestamp get `start_timestamp` (the wall clock's time of now), moved on by
        `auto_advance` after each."""
        start = self._now_ms if start_timestamp is None else start_timestamp
        return TestInputTopic(self, topic, key, value, start, to_ms(auto_advance))

    def create_output_topic(
        self, topic: str, *, key: Serde[Any] | None = None, value: Serde[Any] | None = None
    ) -> TestOutputTopic:
        return TestOutputTopic(self, topic, key, value)

    def produced_topic_names(self) -> set[str]:
        """Every topic written to so far, changelogs and repartition topics too, under their real names."""
        return {*self._outputs, *self._unread}

    def output(self, topic: str) -> deque[ProducedRecord]:
        """What was produced to `topic` and not read yet, as bytes."""
        records = self._outputs.get(topic)
        if records is None:
            records = self._outputs[topic] = deque()
        for batch in self._unread.pop(topic, ()):
            records.extend(batch.records())
        return records

    # -- input

    def pipe_record(
        self, topic: str, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers = ()
    ) -> None:
        """Pipe one record and process all that follows from it. Raises TaskFailed when that fails."""
        source = self._source_of(topic)
        task = self._global_task
        is_global = task is not None and topic in task.sources
        if source is None and not is_global:
            raise StreamsError(f"unknown topic: {topic}")
        if source is not None:
            self._enqueue(source, topic, key, value, timestamp, headers)
            if not self._task_.has_records:
                self._follow_up()
            self._complete()
        if is_global:
            self._update_global(topic, key, value, timestamp, headers)

    def pipe_batch(self, topic: str, batch: Columns) -> None:
        """Pipe many records. Same results as one after the other, and much faster where the topology allows it.

        Where it doesn't, or when a record fails, they go one by one; after TaskFailed, which ones went is as then.
        """
        for start in range(0, len(batch.keys), BATCH_SIZE):
            part = batch.part(start, start + BATCH_SIZE)
            if topic not in self._batch_sources or not self._run_batch(topic, part, None):
                for key, value, timestamp, headers in zip(*part, strict=True):
                    self.pipe_record(topic, key, value, timestamp, headers)

    def _run_batch(self, topic: str, data: Columns, produced: ProducedBatch | None) -> bool:
        source, offset = self._batch_sources[topic], self._offsets.get(topic, 0)
        if produced is not None and produced.objects is not None and survives_as_it_is(source, produced):
            batch = produced.objects
        else:
            try:
                batch = data._replace(keys=source.read_keys(data.keys), values=source.read_values(data.values))
            except SerdeError:
                return False
        if not self._task_.process_batch(source, topic, 0, offset, batch):
            self._collector.records.clear()
            self._collector.batches.clear()
            return False
        self._offsets[topic] = offset + len(data.keys)
        self._capture_batches()
        return True

    def _capture_batches(self) -> None:
        for record in self._collector.drain():
            self.output(record.topic).append(record)
        batches = self._collector.batches[:]
        self._collector.batches.clear()
        for batch in batches:
            if not batch.data.keys:
                continue
            self._unread.setdefault(batch.topic, []).append(batch)
            if batch.topic in self._batch_sources and not self._run_batch(batch.topic, batch.data, batch):
                for key, value, timestamp, headers in zip(*batch.data, strict=True):
                    self._enqueue(batch.topic, batch.topic, key, value, timestamp, headers)
                    self._complete()

    def _source_of(self, topic: str) -> str | None:
        """The topic, or the pattern that it matches."""
        if topic in self._task_.sources:
            return self._matched.get(topic, topic)
        for name, pattern in self._patterns.items():
            if pattern.fullmatch(topic):
                return name
        return None

    def _offset(self, topic: str) -> int:
        offset = self._offsets.get(topic, 0)
        self._offsets[topic] = offset + 1
        return offset

    def _enqueue(
        self, source: str, topic: str, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers
    ) -> None:
        """`source` is the topic, or the pattern that it matches: topics of one pattern share their offsets."""
        if topic not in self._task_.sources:
            self._task_.assign(topic, 0, source=source)
            self._matched[topic] = source
        self._task_.add_records(topic, 0, ((self._offset(source), timestamp, key, value, headers),))

    def _update_global(
        self, topic: str, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers
    ) -> None:
        assert self._global_task is not None
        self._global_task.add_records(topic, 0, ((self._offset(topic), timestamp, key, value, headers),))
        while self._global_task.process_one():
            pass

    def _complete(self) -> None:
        self._capture()
        task = self._task_
        while task.process_one():
            self._follow_up()

    def _follow_up(self) -> None:
        """What comes after each record, even one that was dropped as it was read."""
        self._task_.punctuate_stream_time()
        self._task_.commit_buffers()
        self._capture()

    def _capture(self) -> None:
        for record in self._collector.drain():
            topic = record.topic
            self.output(topic).append(record)
            timestamp = NO_TIMESTAMP if record.timestamp is None else record.timestamp
            source = self._source_of(topic)
            if source is not None:
                self._enqueue(source, topic, record.key, record.value, timestamp, record.headers)
            if self._global_task is not None and topic in self._global_task.sources:
                self._update_global(topic, record.key, record.value, timestamp, record.headers)

    # -- clocks

    @property
    def wall_clock_ms(self) -> int:
        return self._now_ms

    def advance_wall_clock_time(self, advance: Duration) -> None:
        """Move the wall clock, which fires the punctuations that are due."""
        self._now_ms += to_ms(advance)
        self._task_.punctuate_wall_clock()
        self._task_.commit_buffers()
        self._complete()

    # -- inside

    def get_state_store(self, name: str) -> Any:
        """The store of that name, None when there is none."""
        return self._task_.context.stores.get(name)

    def get_all_state_stores(self) -> dict[str, StateStore]:
        return dict(self._task_.context.stores)

    @property
    def dropped_records(self) -> int:
        """Records dropped so far: late ones, null keys, unreadable ones."""
        dropped = self._task_.context.dropped_records
        return dropped + (0 if self._global_task is None else self._global_task.context.dropped_records)

    def close(self) -> None:
        self._task_.close()
        if self._global_task is not None:
            self._global_task.close()

    def __enter__(self) -> TopologyTestDriver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
