"""One life of an app's instance: from joining the group to leaving it, or to what goes wrong.

One thread runs it. Its lock is held while records are processed, so that others can look into stores in between.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from clients.admin import Admin
from clients.consumer import Consumer
from clients.errors import CommitFailed
from clients.producer import Producer
from clients.rebalance import RebalanceListener
from model.ids import TopicPartition
from streams.config import StreamsConfig
from streams.live.assignor import TaskAssignor
from streams.live.changelogs import Changelogs
from streams.live.client_settings import consumer_settings, producer_settings, transactional_id
from streams.live.committer import Committer
from streams.live.global_tables import GlobalTables
from streams.live.live_task import LiveTask
from streams.live.members import Said, TaskId
from streams.live.settings import LiveSettings
from streams.live.store_lock import StoreLock
from streams.live.task_shelf import TaskShelf
from streams.live.topics import Subtopology, prepare_topics, subscription
from streams.live.watch import Watch, bury_the_dead
from streams.topology import Topology

log = logging.getLogger(__name__)

_RESTORE_POLL_MS = 50
_IDLE_POLL_MS = 5
_MOST_AT_ONCE = 5_000


class Life(RebalanceListener):
    """`run` returns once `is_stopping` is set and all is committed; it raises what ended it otherwise.

    `on_state` hears of restoring and running. `has_worked` is true after a first commit.
    """

    def __init__(
        self,
        topology: Topology,
        config: StreamsConfig,
        settings: LiveSettings,
        subs: Sequence[Subtopology],
        said: Said,
        lock: StoreLock,
        is_stopping: threading.Event,
        on_state: Callable[[str], None],
    ) -> None:
        self.config = config
        self.settings = settings
        self.lock = lock
        self.global_tables: GlobalTables | None = None
        self.restored_records = 0
        self._topology = topology
        self._said = said
        self._subs = {sub.id: sub for sub in subs if not sub.is_global}
        self._global_subs = [sub for sub in subs if sub.is_global]
        self._is_stopping = is_stopping
        self._on_state = on_state
        self.assignor = TaskAssignor(list(self._subs.values()), settings.num_standby_replicas, self._about_us)
        self._must_rejoin = threading.Event()
        self._has_given_up = False
        self._partitions: dict[str, int] = {}
        self._consumer: Consumer
        self._producer: Producer
        self._admin: Admin
        self._shelf = TaskShelf(
            topology, config, self._subs, lambda: self._producer, lambda error: self._committer.failed(error)
        )
        self._committer = Committer(config, settings, self._shelf, lambda: self._producer, lambda: self._consumer)

    @property
    def has_worked(self) -> bool:
        return self._committer.has_committed

    @property
    def tasks(self) -> dict[TaskId, LiveTask]:
        return self._shelf.tasks

    def _about_us(self) -> Said:
        """For the group's leader, when we join."""
        return self._said.holding(self._shelf.held)

    # -- life and death

    def run(self) -> None:
        """Raises TaskFailed for a record that can't be processed, and what the clients raise for the cluster."""
        settings = self.settings
        with Admin(settings.client()) as self._admin:
            bury_the_dead(
                self._admin,
                self.config.application_id,
                lambda instance: transactional_id(self.config.application_id, instance, settings),
                self._said.host,
            )
            self._prepare_topics()
            self._shelf.look_on_disk()
            with Producer(producer_settings(self._said, settings)) as self._producer:
                if settings.is_exact:
                    self._producer.init_transactions()
                self._run_clients()

    @property
    def records_restored(self) -> int:
        """So far in this life, while it lasts."""
        changelogs: Changelogs | None = getattr(self._shelf, "changelogs", None)
        return 0 if changelogs is None or self.restored_records else changelogs.restored_records

    def _run_clients(self) -> None:
        changelogs = Changelogs(self.settings.reading(), self._admin, self._committed_offsets)
        self._shelf.changelogs = changelogs
        application_id, said = self.config.application_id, self._said
        self._consumer = Consumer(consumer_settings(application_id, said, self.settings, self.assignor))
        watch = Watch(self._admin, application_id, said.instance, said.host,
                      lambda: self.assignor.dealt, self._must_rejoin.set)  # fmt: skip
        is_clean = False
        try:
            if self._global_subs:
                self.global_tables = GlobalTables(
                    self._topology, self._global_subs, self.config, self.settings.reading(), self._partitions
                )
                self._shelf.global_stores = self.global_tables.stores
            self._subscribe()
            while not self._is_stopping.is_set():
                self._turn()
            is_clean = True
        finally:
            watch.close()
            if not is_clean:
                self._give_up()
                self._has_given_up = True
            try:
                self._consumer.close()
            finally:
                with self.lock:
                    for live in self._shelf.all():
                        # still running: there was no last commit, for we were no member just then
                        self._shelf.close(live, is_clean=live.mode != "running")
                self._committer.abort()
                self.restored_records = changelogs.restored_records
                changelogs.close()
                if self.global_tables is not None:
                    self.global_tables.close()

    def _prepare_topics(self) -> None:
        subs, application_id = list(self._subs.values()), self.config.application_id
        self._partitions = prepare_topics(
            self._admin, self._topology, subs, self._global_subs, application_id, self.settings.replication_factor
        )

    def _subscribe(self) -> None:
        topics, pattern = subscription(self._subs.values())
        if pattern is not None:
            self._consumer.subscribe(pattern=pattern, listener=self)
        else:
            self._consumer.subscribe(topics, listener=self)

    # -- turns

    def _turn(self) -> None:
        self.lock.let_in()
        if self._must_rejoin.is_set():
            self._must_rejoin.clear()
            self._subscribe()
        if self.global_tables is not None:
            with self.lock:
                self.global_tables.update()
        batches = self._consumer.poll_batches(self._patience_ms())
        self._committer.raise_failure()
        with self.lock:
            if batches:
                self._committer.begin()
            for place, records in batches.items():
                self.tasks[self.assignor.task_of(place)].take(place, records)
            self._process()
            self._committer.commit_if_due()
        self._restore(has_other_work=bool(batches))

    def _patience_ms(self) -> float:
        """How long to wait for records."""
        modes = {live.mode for live in self.tasks.values()}
        if "restoring" in modes:
            return 0
        waiting = [live for live in self.tasks.values() if live.mode == "running" and live.task.has_records]
        if waiting:
            return _IDLE_POLL_MS if all(len(live.places) > 1 for live in waiting) else 0
        return max(1.0, min(self.settings.poll_ms, self._committer.due_in_s() * 1000))

    def _process(self) -> None:
        idle_ms, most_in_line = self.config.max_task_idle_ms, self.settings.buffered_records_per_partition
        paused: list[TopicPartition] = []
        resumed: list[TopicPartition] = []
        for live in self.tasks.values():
            if live.mode != "running":
                continue
            if live.task.has_records:
                self._committer.begin()
                live.process(_MOST_AT_ONCE, lambda live=live: live.may_go_on(  # type: ignore[misc]
                    idle_ms, self._consumer.lag, time.monotonic()))  # fmt: skip
            if live.task.context.wall_clock_punctuations:
                self._committer.begin()
                live.task.punctuate_wall_clock()
            for place in live.places:
                is_full = live.task.buffered(place.topic, place.partition) > most_in_line
                (paused if is_full else resumed).append(place)
        before = self._consumer.paused()
        if fresh := [place for place in paused if place not in before]:
            self._consumer.pause(fresh)
        if ready := [place for place in resumed if place in before]:
            self._consumer.resume(ready)

    def _restore(self, *, has_other_work: bool) -> None:
        with self.lock:
            restoring = self._shelf.restoring()
        self._shelf.changelogs.poll_into(self.lock, _RESTORE_POLL_MS if restoring and not has_other_work else 0)
        with self.lock:
            for live in restoring:
                if self._shelf.changelogs.is_done(live):
                    self._start(live)
            if lost := self._shelf.changelogs.cut_away():
                self._shelf.reopen(lost)

    def _start(self, live: LiveTask) -> None:
        live.run(holds=self.settings.is_exact)
        self._consumer.resume(live.places)
        self._shelf.follow()
        if not any(each.mode == "restoring" for each in self.tasks.values()):
            self._on_state("running")

    # -- rebalances: within poll

    def on_partitions_assigned(self, partitions: Sequence[TopicPartition]) -> None:
        with self.lock:
            self._on_state("restoring")
            if any(sub.patterns for sub in self._subs.values()):
                self._prepare_topics()
            active: dict[TaskId, list[TopicPartition]] = {}
            for place in partitions:
                active.setdefault(self.assignor.task_of(place), []).append(place)
            standby = self._our_standbys(active)
            for live in self._shelf.all():
                if live.id not in active and not (live.id in standby and live.mode == "standby"):
                    self._shelf.close(live, is_clean=True)
            committed = self._consumer.committed(partitions) if partitions else {}
            for task_id, places in active.items():
                live = self.tasks.get(task_id) or self._shelf.open(task_id)
                live.begin(places, committed)
                self._consumer.pause(places)
            for task_id in standby.difference(self.tasks):
                self._shelf.open(task_id)
            self._shelf.follow()
            for live in self._shelf.all():
                if live.mode == "restoring" and self._shelf.changelogs.is_done(live):
                    self._start(live)
            if not active:
                self._on_state("running")

    def on_partitions_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        if self._has_given_up:
            return
        with self.lock:
            try:
                self._committer.commit()
            except CommitFailed:
                self._give_up()
                return
            for live in self.tasks.values():
                if live.mode in ("running", "restoring"):
                    live.mode = "suspended"
                    live.task.unassign_all()
            self._shelf.follow()

    def on_partitions_lost(self, partitions: Sequence[TopicPartition]) -> None:
        """Somebody else has them, and with an eager assignor they are all we had."""
        self._give_up()

    def _give_up(self) -> None:
        """Leave nothing of what wasn't committed: the next owner does it again."""
        with self.lock:
            for live in self._shelf.all():
                if live.mode != "standby":
                    self._shelf.close(live, is_clean=live.mode in ("restoring", "suspended"))
            self._committer.abort()

    def _our_standbys(self, active: Mapping[TaskId, Any]) -> set[TaskId]:
        ours = (m.standby for m in self.assignor.dealt.members if m.said.instance == self._said.instance)
        return {task for its in ours for task in its if task not in active and task[0] in self._subs}

    def _committed_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: said.offset for place, said in self._consumer.committed(places).items() if said is not None}
