"""Streams: a topology on a cluster, one member of the consumer group named after the application.

    app = Streams(builder.build(), {"application_id": "word-count", "bootstrap_servers": "localhost:9092"})
    app.run()            # until close() from another thread, or a signal handler

More processes with the same application id share the tasks. Commits: what was read, written and logged becomes final
together every `commit_interval_ms`, in one transaction under `processing_guarantee="exactly_once_v2"`; after a kill,
at-least-once takes up at the last commit and repeats what came after it.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clients.admin import Admin
from clients.consumer import Consumer
from clients.producer import Producer
from clients.rebalance import RebalanceListener
from clients.records import ConsumerRecord
from model.errors import OdradekError
from model.ids import TopicPartition
from streams.config import StreamsConfig
from streams.engine.batch import BatchSource, Columns
from streams.engine.task import Task
from streams.errors import SerdeError, StreamsError, TaskFailed
from streams.live.assignor import TaskAssignor, TaskId
from streams.live.collector import ProducerCollector
from streams.live.global_tables import GlobalTables
from streams.live.restore import Checkpoint, restore
from streams.live.topics import Subtopology, count_partitions, create_internal_topics, subtopologies
from streams.stores.factory import ByteMaps, memory_byte_maps
from streams.stores.store import StateStore
from streams.topology import Topology

log = logging.getLogger(__name__)

LIVE_SETTINGS: dict[str, Any] = {
    "bootstrap_servers": "localhost:9092",
    "processing_guarantee": "at_least_once",
    "commit_interval_ms": None,  # 30 s, or 100 ms for exactly once, as Kafka Streams
    "replication_factor": -1,
    "instance_id": None,  # names this process through restarts: it takes its tasks up at once, its last life is fenced
    "poll_ms": 100,
    "max_poll_records": 5_000,
    "consumer": {},
    "producer": {},
}


class LiveTask:
    """A task, its collector, and where it stands in its topics."""

    def __init__(self, task: Task, sub: Subtopology, partition: int, checkpoint: Checkpoint) -> None:
        self.task = task
        self.sub = sub
        self.partition = partition
        self.checkpoint = checkpoint
        self.batch_sources: dict[str, BatchSource] = task.batch_sources()
        self.processed: dict[TopicPartition, int] = {}

    def process(self, batches: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> None:
        """Everything that was read: in batches where the topology allows it, by event time otherwise."""
        for place, records in batches.items():
            if not self._process_batch(place, records):
                rows = [
                    (r.offset, r.timestamp, _bytes(r.raw_key), _bytes(r.raw_value), tuple(r.headers)) for r in records
                ]
                self.task.add_records(place.topic, place.partition, rows)
        while self.task.process_one():
            self.task.punctuate_stream_time()
        for place, records in batches.items():
            self.processed[place] = records[-1].offset + 1

    def _process_batch(self, place: TopicPartition, records: Sequence[ConsumerRecord]) -> bool:
        source = self.batch_sources.get(place.topic)
        if source is None:
            return False
        try:
            keys = source.read_keys([_bytes(r.raw_key) for r in records])
            values = source.read_values([_bytes(r.raw_value) for r in records])
        except SerdeError:
            return False
        batch = Columns(keys, values, [r.timestamp for r in records], [tuple(r.headers) for r in records])
        return self.task.process_batch(source, place.topic, place.partition, records[0].offset, batch)


def _bytes(data: Any) -> bytes | None:
    return None if data is None else bytes(data)


class Streams(RebalanceListener):
    """Give it to one thread with `run`, or `start` a thread of its own. `state` says how it goes."""

    def __init__(self, topology: Topology, config: Mapping[str, Any]) -> None:
        plain = {name.replace(".", "_"): value for name, value in config.items()}
        live = {name: plain.pop(name, default) for name, default in LIVE_SETTINGS.items()}
        self.config = StreamsConfig.of(plain)
        self.state = "created"
        self.failure: BaseException | None = None
        self.restored_records = 0
        self._topology = topology
        self._is_exact = live["processing_guarantee"] == "exactly_once_v2"
        if live["processing_guarantee"] not in ("at_least_once", "exactly_once_v2"):
            raise StreamsError("processing_guarantee is at_least_once or exactly_once_v2")
        interval = live["commit_interval_ms"]
        self._commit_interval_s = ((100 if self._is_exact else 30_000) if interval is None else interval) / 1000
        self._live = live
        self._client = {"bootstrap.servers": live["bootstrap_servers"]}
        self._subs = subtopologies(topology, self.config.application_id)
        self._global_subs = [sub for sub in self._subs if sub.is_global]
        self._subs = [sub for sub in self._subs if not sub.is_global]
        self._global: GlobalTables | None = None
        self._partitions: dict[str, int] = {}
        self._assignor = TaskAssignor(self._subs)
        self._tasks: dict[TaskId, LiveTask] = {}
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._delivery_failure: BaseException | None = None
        self._is_in_transaction = False
        self._consumer: Consumer
        self._producer: Producer

    # -- life

    def start(self) -> None:
        """Run on a thread of its own; `failure` has what ended it, if something did."""

        def run() -> None:
            try:
                self.run()
            except BaseException as error:
                self.failure = error

        self._thread = threading.Thread(target=run, name=self.config.application_id)
        self._thread.start()

    def close(self, timeout_s: float = 30.0) -> None:
        """Commit, give the tasks up and leave the group."""
        self._is_stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def run(self) -> None:
        """Raises TaskFailed for a record that can't be processed, and what the clients raise for the cluster."""
        self._prepare_topics()
        producer_settings: dict[str, Any] = {**self._client, "linger.ms": 20, **self._live["producer"]}
        if self._is_exact:
            instance = self._live["instance_id"] or uuid.uuid4()
            producer_settings["transactional.id"] = f"{self.config.application_id}-{instance}"
            producer_settings.setdefault("transaction.timeout.ms", 10_000)
        consumer_settings: dict[str, Any] = {
            **self._reading(),
            "group.id": self.config.application_id,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "max.poll.records": self._live["max_poll_records"],
            "partition.assignment.strategy": [self._assignor],
            **self._live["consumer"],
        }
        if self._live["instance_id"]:
            consumer_settings["group.instance.id"] = self._live["instance_id"]
        with Producer(producer_settings) as self._producer:
            if self._is_exact:
                self._producer.init_transactions()
            if self._global_subs:
                self._global = GlobalTables(
                    self._topology, self._global_subs, self.config, self._reading(), self._partitions
                )
            self._consumer = Consumer(consumer_settings)
            is_clean = False
            try:
                self._consumer.subscribe([t for sub in self._subs for t in sub.sources], listener=self)
                self._loop()
                is_clean = True
            finally:
                if not is_clean:
                    self.state = "error"
                    self._give_up()
                self._consumer.close()
                if self._global is not None:
                    self._global.close()
        self.state = "closed"

    def _reading(self) -> dict[str, Any]:
        return {**self._client, "isolation.level": "read_committed" if self._is_exact else "read_uncommitted"}

    def _prepare_topics(self) -> None:
        with Admin(self._client) as admin:
            known = {name: len(topic.partitions) for name, topic in admin.describe_topics().items()}
            self._partitions = known
            for topic in (topic for sub in self._global_subs for topic in sub.sources):
                if topic not in known:
                    raise StreamsError(f"topic {topic} of a global table does not exist")
            count_partitions(self._topology, self._subs, known, self.config.application_id)
            create_internal_topics(
                admin, self._topology, self._subs, self.config.application_id, self._live["replication_factor"]
            )

    def _loop(self) -> None:
        last_commit = time.monotonic()
        while not self._is_stopping.is_set():
            if self._global is not None:
                self._global.update()
            batches = self._consumer.poll_batches(self._live["poll_ms"])
            self._raise_delivery_failure()
            of_task: dict[TaskId, dict[TopicPartition, Sequence[ConsumerRecord]]] = {}
            for place, records in batches.items():
                of_task.setdefault(self._assignor.task_of(place), {})[place] = records
            for task_id, its in of_task.items():
                self._begin()
                self._tasks[task_id].process(its)
            for live in self._tasks.values():
                self._begin()
                live.task.punctuate_wall_clock()
            if time.monotonic() - last_commit >= self._commit_interval_s or any(
                live.task.context.is_commit_requested for live in self._tasks.values()
            ):
                self._commit()
                last_commit = time.monotonic()

    # -- commits

    def _begin(self) -> None:
        if self._is_exact and not self._is_in_transaction:
            self._producer.begin_transaction()
            self._is_in_transaction = True

    def _raise_delivery_failure(self) -> None:
        if self._delivery_failure is not None:
            raise TaskFailed(f"a record could not be written: {self._delivery_failure}") from self._delivery_failure

    def _delivery_failed(self, error: BaseException) -> None:
        self._delivery_failure = error

    def _commit(self) -> None:
        for live in self._tasks.values():
            if live.task.own_stores:
                self._begin()
            live.task.commit()
        offsets = {place: offset for live in self._tasks.values() for place, offset in live.processed.items()}
        if self._is_exact:
            if self._is_in_transaction:
                if offsets:
                    self._producer.send_offsets_to_transaction(offsets, self._consumer.group_metadata())
                self._producer.commit_transaction()
                self._is_in_transaction = False
        else:
            self._producer.flush()
            self._raise_delivery_failure()
            if offsets:
                self._consumer.commit(offsets)
        for live in self._tasks.values():
            live.processed.clear()

    # -- rebalances

    def on_partitions_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        places: dict[TaskId, list[TopicPartition]] = {}
        for place in partitions:
            places.setdefault(self._assignor.task_of(place), []).append(place)
        self.state = "restoring"
        for task_id, its in places.items():
            self._tasks[task_id] = self._open(task_id, its)
        self.state = "running"

    def on_partitions_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._commit()
        self._drop_tasks({self._assignor.task_of(place) for place in partitions}, is_clean=True)

    def on_partitions_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Somebody else has them, and with an eager assignor they are all we had."""
        self._give_up()

    def _give_up(self) -> None:
        """Leave nothing of what wasn't committed: the next owner does it again."""
        self._drop_tasks(list(self._tasks), is_clean=False)
        if self._is_in_transaction:
            self._is_in_transaction = False
            try:
                self._producer.abort_transaction()
            except OdradekError as error:
                log.warning("the transaction was not aborted, the broker's timeout will do it: %s", error)

    def _open(self, task_id: TaskId, places: Sequence[TopicPartition]) -> LiveTask:
        sub = next(sub for sub in self._subs if sub.id == task_id[0])
        collector = ProducerCollector(lambda: self._producer, task_id[1], self._delivery_failed)
        name = f"{task_id[0]}_{task_id[1]}"
        directory = self._directory(name)
        checkpoint = Checkpoint(directory)
        known = checkpoint.take(keep=not self._is_exact)
        if directory is not None and self._is_exact and not known:
            # The last owner was killed: its files may hold what its transaction never committed.
            shutil.rmtree(directory / "rocksdb", ignore_errors=True)
        task = Task(
            self._topology,
            sub.node_names,
            self.config,
            collector,
            task_id=name,
            wall_clock_ms=lambda: time.time_ns() // 1_000_000,
            byte_maps=self._byte_maps(name),
            global_stores={} if self._global is None else self._global.stores,
        )
        collector.context = task.context
        for place in places:
            task.assign(place.topic, place.partition)
        limits = {}
        for place, committed in self._consumer.committed(places).items():
            limits[place] = 0 if committed is None else committed.offset
        self.restored_records += restore(task, sub.changelogs, task_id[1], self._reading(), known, limits)
        return LiveTask(task, sub, task_id[1], checkpoint)

    def _directory(self, task_name: str) -> Path | None:
        state_dir = self.config.state_dir
        return None if state_dir is None else state_dir / self.config.application_id / task_name

    def _byte_maps(self, task_name: str) -> ByteMaps:
        directory = self._directory(task_name)
        if directory is None:
            return memory_byte_maps
        from streams.stores.rocks_byte_map import rocks_byte_maps

        return rocks_byte_maps(directory)

    def _drop_tasks(self, task_ids: Any, *, is_clean: bool) -> None:
        for task_id in list(task_ids):
            live = self._tasks.pop(task_id, None)
            if live is None:
                continue
            live.task.close()
            if is_clean:
                live.checkpoint.write(self._changelog_ends(live))

    def _changelog_ends(self, live: LiveTask) -> dict[str, int]:
        places = [TopicPartition(topic, live.partition) for topic in live.sub.changelogs.values()]
        if not places or self.config.state_dir is None:
            return {}
        return {place.topic: end for place, end in self._consumer.end_offsets(places).items()}

    # -- questions

    def local_stores(self, name: str) -> list[StateStore]:
        """That store in each task which runs here. Only look while nothing is processed, or accept a torn view."""
        tasks = [live.task for live in self._tasks.values()]
        return [task.own_stores[name] for task in tasks if name in task.own_stores]
