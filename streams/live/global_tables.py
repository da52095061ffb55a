"""Global tables: every instance reads all partitions of their topics, first to the end, then along with the rest."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from clients.consumer import Consumer
from clients.record_columns import columns_of
from model.ids import TopicPartition
from streams.config import StreamsConfig, log_and_continue
from streams.engine.task import Task
from streams.live.collector import ProducerCollector
from streams.live.topics import Subtopology
from streams.stores.store import StateStore
from streams.topology import Topology


class GlobalTables:
    """One per app, in the app's thread. Their stores are in memory and restore from the topics themselves."""

    def __init__(
        self,
        topology: Topology,
        subs: list[Subtopology],
        config: StreamsConfig,
        client: Mapping[str, Any],
        partitions: Mapping[str, int],
    ) -> None:
        names = [name for sub in subs for name in sub.node_names]
        places = [TopicPartition(t, p) for sub in subs for t in sub.sources for p in range(partitions.get(t, 0))]
        lenient = StreamsConfig.of({**vars(config), "deserialization_exception_handler": log_and_continue})
        collector = ProducerCollector(no_producer, 0, lenient, lambda error: None)
        self._task = Task(
            topology, names, lenient, collector, task_id="-1_0", wall_clock_ms=lambda: time.time_ns() // 1_000_000
        )
        for place in places:
            self._task.assign(place.topic, place.partition)
        self._consumer = Consumer(client)
        self._consumer.assign(places)
        self._consumer.seek_to_beginning(places)
        ends = self._consumer.end_offsets(places)
        while any(self._consumer.position(place) < end for place, end in ends.items()):
            self.update(500)

    @property
    def stores(self) -> dict[str, StateStore]:
        return self._task.own_stores

    def update(self, timeout_ms: float = 0) -> None:
        """Take in what is new."""
        for place, records in self._consumer.poll_batches(timeout_ms, 5_000).items():
            self._task.add_records(place.topic, place.partition, zip(*columns_of(records), strict=True))
        while self._task.process_one():
            pass

    def close(self) -> None:
        self._task.close()
        self._consumer.close()


def no_producer() -> Any:
    raise AssertionError("global tables write nothing")
