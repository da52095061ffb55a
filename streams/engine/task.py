"""A task: one share of a topology's partitions, with its own stores. Takes records in, emits records and changes.

The test driver and the live engine run the same task. It knows no broker: records come through `add_records`, output
goes to the collector, and somebody else decides when to commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from streams.config import StreamsConfig
from streams.engine.batch import BatchProcess, BatchSource, Columns, batch_sources
from streams.engine.collector import RecordCollector
from streams.engine.context import TaskContext
from streams.engine.dead_letters import DeadLetters
from streams.engine.guards import failing_node, guarded, guarded_sink, where
from streams.engine.operator import NodeContext, Process, fan_out
from streams.engine.partition_group import PartitionGroup, RawRecord, RecordQueue, Source
from streams.engine.punctuation import Schedule
from streams.errors import StreamsError, TaskFailed
from streams.records import NO_TIMESTAMP, Headers
from streams.stores.factory import ByteMaps, build_store, memory_byte_maps
from streams.stores.store import StateStore
from streams.topology import ProcessorNode, SinkNode, SourceNode, Topology


class Task:
    """Processes records of its partitions one at a time, in order of event time."""

    def __init__(
        self,
        topology: Topology,
        node_names: Iterable[str],
        config: StreamsConfig,
        collector: RecordCollector,
        *,
        task_id: str = "0_0",
        wall_clock_ms: Callable[[], int],
        byte_maps: ByteMaps = memory_byte_maps,
        global_stores: Mapping[str, StateStore] | None = None,
        is_restored_first: bool = False,
    ) -> None:
        """With `is_restored_first` the caller calls `initialise` once the stores are what they should be."""
        self.config = config
        self.context = TaskContext(config, task_id, collector, wall_clock_ms)
        self.context.stores.update(global_stores or {})
        self.context.global_store_names = set(global_stores or ())
        self.sources: dict[str, Source] = {}
        self.own_stores: dict[str, StateStore] = {}
        self._topology = topology
        self._names = set(node_names)
        self._queues = PartitionGroup()
        self._dead_letters = DeadLetters(self.context)
        self._build_stores(byte_maps)
        self._bind()
        self._is_initialised = False
        if not is_restored_first:
            self.initialise()
        self._stores_that_log_on_commit = [
            store for store in self.own_stores.values() if getattr(store, "logs_on_commit", False)
        ]

    def initialise(self) -> None:
        """Let users' processors begin."""
        if not self._is_initialised:
            self._is_initialised = True
            self.context.run_inits()

    # -- building

    def _build_stores(self, byte_maps: ByteMaps) -> None:
        topology = self._topology
        for node in topology.nodes.values():
            if node.name not in self._names or not isinstance(node, ProcessorNode):
                continue
            for name in node.stores:
                if name in self.context.stores:
                    continue
                builder = topology.stores.get(name) or topology.global_stores[name]
                store = build_store(
                    builder, self.context, byte_maps, persistent_by_default=self.config.persists_by_default
                )
                self.own_stores[name] = self.context.stores[name] = store

    def _bind(self) -> None:
        topology = self._topology
        processes: dict[str, Process] = {}
        children: dict[str, list[str]] = {name: [] for name in self._names}
        ours = [node for node in topology.nodes.values() if node.name in self._names]
        for node in ours:
            for parent in node.parents:
                children[parent].append(node.name)
        for node in reversed(ours):
            below = {name: processes[name] for name in children[node.name]}
            forward = fan_out(list(below.values()))
            if isinstance(node, SinkNode):
                processes[node.name] = self._bind_sink(node)
            elif isinstance(node, ProcessorNode):
                context = NodeContext(node.name, self.context, below, tuple(node.stores))
                process = node.operator.bind(context, forward)
                processes[node.name] = guarded(node.name, process, self.context, self._dead_letters)
            else:
                processes[node.name] = forward
                self._bind_source(node, forward)

    def _bind_sink(self, node: SinkNode) -> Process:
        context, topic = self.context, node.topic
        key, value = context.key_serde(node.key_serde, node.name), context.value_serde(node.value_serde, node.name)
        if not isinstance(topic, str):
            send = context.collector.dynamic_sink(topic, key, value, node.partitioner, node.name)
        else:
            real_topic = context.decorated(topic) if topic in self._topology.internal_topics else topic
            send = context.collector.sink(real_topic, key, value, node.partitioner, node.name)
        return guarded_sink(node.name, send, context, self._dead_letters)

    def _bind_source(self, node: SourceNode, forward: Process) -> None:
        context, config = self.context, self.config
        key, value = context.key_serde(node.key_serde, node.name), context.value_serde(node.value_serde, node.name)
        topics = node.topics if node.pattern is None else (node.pattern.pattern,)
        for topic in topics:
            is_internal = topic in self._topology.internal_topics
            real_topic = context.decorated(topic) if is_internal else topic
            extractor = node.timestamp_extractor
            default = config.default_timestamp_extractor
            if extractor is None and not is_internal and default is not StreamsConfig.default_timestamp_extractor:
                extractor = default
            self.sources[real_topic] = Source(
                real_topic, key.deserializer(real_topic), value.deserializer(real_topic), extractor, forward
            )

    def batch_sources(self) -> dict[str, BatchSource]:
        """The topics whose records may come many at a time, by real name. Run them with `process_batch`."""
        config, collector = self.config, self.context.collector
        if (
            config.processing_exception_handler is not StreamsConfig.processing_exception_handler
            or config.dead_letter_topic is not None
            or config.default_timestamp_extractor is not StreamsConfig.default_timestamp_extractor
        ):
            return {}

        def batch_sink(node: SinkNode) -> BatchProcess:
            context, topic = self.context, node.topic
            assert isinstance(topic, str)
            key, value = context.key_serde(node.key_serde, node.name), context.value_serde(node.value_serde, node.name)
            real_topic = context.decorated(topic) if topic in self._topology.internal_topics else topic
            return collector.batch_sink(real_topic, key, value)

        return batch_sources(self._topology, self._names, self.context, batch_sink)

    def process_batch(self, source: BatchSource, topic: str, partition: int, offset: int, batch: Columns) -> bool:
        """Run records that were read already through their subtopology.

        False when they must go one by one instead; nothing has been done with them then.
        """
        context = self.context
        if context.stream_time_punctuations or min(batch.timestamps) < 0:
            return False
        context.topic, context.partition, context.offset = topic, partition, offset
        context.has_batch_effects = False
        try:
            source.process(batch)
        except Exception as error:
            if not context.has_batch_effects:
                return False
            raise TaskFailed(where(context, failing_node(error.__traceback__))) from error
        context.stream_time = max(context.stream_time, *batch.timestamps)
        return True

    # -- input

    def assign(self, topic: str, partition: int, *, source: str | None = None) -> None:
        """Take records of this partition from now on; `source` names the pattern that matched the topic."""
        context = self.context

        def on_dropped() -> None:
            context.dropped_records += 1

        if topic not in self.sources and source is not None:
            matched = self.sources[source]
            self.sources[topic] = Source(topic, matched.key, matched.value, matched.extractor, matched.process)
        letters = self._dead_letters
        queue = RecordQueue(self.sources[topic], partition, self.config, on_dropped, letters.send)
        self._queues.add_queue(queue)

    def unassign_all(self) -> None:
        """Forget the partitions and what was buffered of them."""
        self._queues = PartitionGroup()

    def add_records(self, topic: str, partition: int, records: Iterable[RawRecord]) -> None:
        self._queues.add_records(topic, partition, records)

    def buffered(self, topic: str, partition: int) -> int:
        return self._queues.buffered(topic, partition)

    @property
    def has_records(self) -> bool:
        return self._queues.has_records

    @property
    def has_records_of_all(self) -> bool:
        """Whether no partition of the task is without records: whose turn it is, is certain then."""
        return self._queues.has_records_of_all

    def queues(self) -> Iterable[RecordQueue]:
        return self._queues.queues()

    # -- processing

    def process_one(self) -> bool:
        """Process the record whose turn it is; False when there is none."""
        queue = self._queues.next_queue()
        if queue is None:
            return False
        self.context.raw = queue.head_bytes
        timestamp, offset, key, value, headers = queue.poll()
        self._queues.put_back(queue)
        context = self.context
        if timestamp > context.stream_time:
            context.stream_time = timestamp
        self.process(queue.source, queue.partition, offset, timestamp, key, value, headers)
        return True

    def process(
        self, source: Source, partition: int, offset: int, timestamp: int, key: Any, value: Any, headers: Headers
    ) -> None:
        """Run one record that was read already through the topology."""
        context = self.context
        context.topic, context.partition, context.offset = source.topic, partition, offset
        context.timestamp, context.headers = timestamp, headers
        try:
            source.process(key, value, timestamp, headers)
        except TaskFailed:
            raise
        except Exception as error:
            raise TaskFailed(where(context, failing_node(error.__traceback__))) from error

    def punctuate_stream_time(self) -> bool:
        """Call back whatever is due by stream time."""
        context = self.context
        if context.stream_time == NO_TIMESTAMP or not context.stream_time_punctuations:
            return False
        return context.stream_time_punctuations.run_due(context.stream_time, self._punctuate)

    def punctuate_wall_clock(self) -> bool:
        """Call back whatever is due by the clock on the wall."""
        context = self.context
        if not context.wall_clock_punctuations:
            return False
        return context.wall_clock_punctuations.run_due(context.wall_clock_ms(), self._punctuate)

    def _punctuate(self, schedule: Schedule, now: int) -> None:
        context = self.context
        context.topic, context.partition, context.offset = None, -1, -1
        context.timestamp, context.headers = now, ()
        try:
            schedule.callback(now)
        except StreamsError:
            raise
        except Exception as error:
            raise TaskFailed(f"task {context.task_id} failed in a punctuation of {schedule.node} at {now}") from error

    # -- output

    def commit_buffers(self) -> None:
        """Log the changes of stores that only log when a task commits."""
        for store in self._stores_that_log_on_commit:
            store.commit()

    def commit(self) -> None:
        """Write every store back. The caller then commits offsets."""
        for store in self.own_stores.values():
            store.commit()
        self.context.is_commit_requested = False

    def close(self) -> None:
        if self._is_initialised:
            self.context.run_closes()
        self.context.stream_time_punctuations.clear()
        self.context.wall_clock_punctuations.clear()
        for store in self.own_stores.values():
            store.close()
