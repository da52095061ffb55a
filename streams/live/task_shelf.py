"""The tasks of an instance: opened, closed, begun anew when their files are of no use, and followed in changelogs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from clients.committed import OffsetAndMetadata
from streams.config import StreamsConfig
from streams.engine.task import Task
from streams.live.changelogs import Changelogs
from streams.live.checkpoint import Checkpoint
from streams.live.collector import ProducerCollector
from streams.live.live_task import LiveTask
from streams.live.members import TaskId, task_name
from streams.live.topics import Subtopology
from streams.stores.factory import ByteMaps, memory_byte_maps
from streams.stores.rocks_byte_map import RocksByteMap, rocks_byte_maps
from streams.stores.store import StateStore
from streams.topology import Topology

if TYPE_CHECKING:
    from clients.producer import Producer

log = logging.getLogger(__name__)

_PATIENCE_S = 10.0


class TaskShelf:
    """`tasks` by id, in any mode. `held` tells how much of which task's state is here, also of closed ones."""

    def __init__(
        self,
        topology: Topology,
        config: StreamsConfig,
        subs: Mapping[int, Subtopology],
        producer: Callable[[], Producer],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self.tasks: dict[TaskId, LiveTask] = {}
        self.global_stores: Mapping[str, StateStore] = {}
        self.changelogs: Changelogs
        self._topology = topology
        self._config = config
        self._subs = subs
        self._producer = producer
        self._on_failure = on_failure
        self._kept: dict[str, int] = {}

    def all(self) -> list[LiveTask]:
        return list(self.tasks.values())

    def running(self) -> list[LiveTask]:
        return [live for live in self.tasks.values() if live.mode == "running"]

    def restoring(self) -> list[LiveTask]:
        return [live for live in self.tasks.values() if live.mode == "restoring"]

    @property
    def held(self) -> dict[str, int]:
        return self._kept | {live.name: live.held for live in self.all()}

    def open(self, task_id: TaskId) -> LiveTask:
        """Standing by, with what its files have."""
        sub = self._subs[task_id[0]]
        name = task_name(task_id)
        collector = ProducerCollector(self._producer, task_id[1], self._config, self._on_failure)
        directory = self._directory(name)
        checkpoint = Checkpoint(directory, sub.changelogs)
        known = checkpoint.read()
        maps: list[RocksByteMap] = []
        byte_maps: ByteMaps = memory_byte_maps
        if directory is not None:
            byte_maps = rocks_byte_maps(directory, maps, patience_s=_PATIENCE_S)
        task = Task(
            self._topology,
            sub.node_names,
            self._config,
            collector,
            task_id=name,
            wall_clock_ms=lambda: time.time_ns() // 1_000_000,
            byte_maps=byte_maps,
            global_stores=self.global_stores,
            is_restored_first=True,
        )
        collector.context = task.context
        for store, topic in sub.changelogs.items():
            if store not in task.own_stores or not task.own_stores[store].is_persistent or directory is None:
                known.pop(topic, None)
        live = self.tasks[task_id] = LiveTask(task_id, sub, task, collector, checkpoint, maps, known)
        return live

    def close(self, live: LiveTask, *, is_clean: bool) -> None:
        self.tasks.pop(live.id, None)
        live.close(is_clean=is_clean)
        if self._config.state_dir is not None and live.sub.changelogs:
            self._kept[live.name] = live.held

    def reopen(self, lost: Iterable[LiveTask]) -> None:
        """Their files don't fit the changelogs any more: begin them anew, from the changelogs' beginning."""
        for live in list(lost):
            if self.tasks.get(live.id) is not live:
                continue
            log.warning("task %s: its files don't fit its changelogs, it restores from the beginning", live.name)
            mode, places, committed = live.mode, live.places, live.committed
            self.close(live, is_clean=False)
            live.wipe()
            fresh = self.open(live.id)
            if mode == "restoring":
                fresh.begin(places, {place: OffsetAndMetadata(offset) for place, offset in committed.items()})
        self.follow()

    def follow(self) -> None:
        """Have the changelogs of those read that restore or stand by."""
        followers = [live for live in self.tasks.values() if live.mode in ("standby", "restoring")]
        if lost := self.changelogs.follow(followers):
            self.reopen(lost)

    def look_on_disk(self) -> None:
        """Which tasks' files an earlier life has left here, and how much of them."""
        if self._config.state_dir is None:
            return
        folder = Path(self._config.state_dir) / self._config.application_id
        for sub in self._subs.values():
            for partition in range(sub.partitions) if sub.changelogs else ():
                name = task_name((sub.id, partition))
                if (folder / name / "checkpoint.json").exists():
                    self._kept[name] = sum(Checkpoint(folder / name, ()).read().values())

    def _directory(self, task: str) -> Path | None:
        state_dir = self._config.state_dir
        return None if state_dir is None else Path(state_dir) / self._config.application_id / task
