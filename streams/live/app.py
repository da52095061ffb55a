"""Streams: a topology on a cluster, one member of the consumer group named after the application.

    app = Streams(builder.build(), {"application_id": "word-count", "bootstrap_servers": "localhost:9092"})
    app.run()            # until SIGTERM, Ctrl-C, or close() from another thread

More processes with the same application id share the tasks. Commits: what was read, written and logged becomes final
together every `commit_interval_ms`, in one transaction under `processing_guarantee="exactly_once_v2"`; after a kill,
at-least-once takes up at the last commit and repeats what came after it.
"""

from __future__ import annotations

import logging
import signal
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from model.errors import OdradekError
from streams.errors import StreamsError
from streams.live.life import Life
from streams.live.members import Dealt, about_us
from streams.live.settings import split_settings, this_host
from streams.live.store_lock import StoreLock
from streams.live.topics import subtopologies
from streams.live.trouble import is_passing, may_settle
from streams.stores.store import StateStore
from streams.topology import Topology

if TYPE_CHECKING:
    from streams.live.answers import Answers
    from streams.live.workers import Workers

log = logging.getLogger(__name__)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0
_GOOD_LIFE_S = 30.0


class Streams:
    """Give it to one thread with `run`, or `start` a thread of its own. `state` says how it goes.

    States: created, joining, restoring, running, closed, error. `store` looks into state stores, wherever they are.
    """

    def __init__(self, topology: Topology, config: Mapping[str, Any]) -> None:
        self.config, self.settings = split_settings(config)
        self.state = "created"
        self.failure: BaseException | None = None
        self.lives = 0
        self.topology = topology
        self._given = dict(config)
        self._instance = self.settings.instance_id or uuid.uuid4().hex[:12]
        self._subs = subtopologies(topology, self.config.application_id)
        self._lock = StoreLock()
        self._is_stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._life: Life | None = None
        self._restored_records = 0
        self._workers: Workers | None = None
        self.answers: Answers | None = None
        self._endpoint = ""

    # -- life

    def start(self) -> None:
        """Run on a thread of its own; `failure` has what ended it, if something did."""

        def run() -> None:
            try:
                self.run()
            except BaseException as error:
                self.failure = error
                log.error("%s has ended: %s: %s", self.config.application_id, type(error).__name__, error)

        self._thread = threading.Thread(target=run, name=self.config.application_id)
        self._thread.start()

    def close(self, timeout_s: float = 30.0) -> None:
        """Commit, give the tasks up and leave the group."""
        self._is_stopping.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def run(self) -> None:
        """Until `close`, or a SIGTERM or Ctrl-C when this is the main thread: it then ends as after `close`.

        The cluster's trouble is waited out, for `task_timeout_ms`. Raises TaskFailed for a record that can't be
        processed, StreamsError for a topology that doesn't fit the cluster, and what the clients raise for good.
        """
        with self._signals():
            try:
                if self.settings.processes > 1:
                    from streams.live.workers import Workers

                    self._workers = Workers(self.topology, self._given, self.settings, self._is_stopping)
                    self._on_state("running")
                    self._workers.run()
                else:
                    self._run_lives()
            except BaseException:
                self.state = "error"
                raise
        self.state = "closed"

    def _run_lives(self) -> None:
        host = this_host()
        transactional_id = f"{self.config.application_id}-{self._instance}" if self.settings.is_exact else ""
        answers = self.answers = self._make_answers()
        pause_s, trouble_since = _FIRST_PAUSE_S, 0.0
        try:
            self._endpoint = "" if answers is None else answers.endpoint
            said = about_us(self._instance, self._endpoint, host, transactional_id)
            while not self._is_stopping.is_set():
                self._on_state("joining")
                self.lives += 1
                began = time.monotonic()
                life = self._life = Life(
                    self.topology, self.config, self.settings, self._subs, said, self._lock, self._is_stopping,
                    self._on_state,
                )  # fmt: skip
                try:
                    life.run()
                except BaseException as error:
                    if life.has_worked or time.monotonic() - began > _GOOD_LIFE_S:
                        pause_s, trouble_since = _FIRST_PAUSE_S, 0.0
                    trouble_since = trouble_since or time.monotonic()
                    if not self._goes_on(error, time.monotonic() - trouble_since):
                        raise
                    log.warning("%s begins anew: %s: %s", self.config.application_id, type(error).__name__, error)
                    self._is_stopping.wait(pause_s)
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
                finally:
                    self._restored_records += life.restored_records
        finally:
            self._life = self.answers = None
            if answers is not None:
                answers.close()

    def _goes_on(self, error: BaseException, trouble_s: float) -> bool:
        if self._is_stopping.is_set() and isinstance(error, OdradekError) and not isinstance(error, StreamsError):
            log.warning("%s was not closed in order: %s", self.config.application_id, error)
            return True
        if not isinstance(error, Exception):
            return False
        if trouble_s < self.settings.task_timeout_ms / 1000 and is_passing(error, bool(self.settings.instance_id)):
            return True
        if may_settle(error, trouble_s):
            return True
        handler = self.settings.uncaught_exception_handler
        return handler is not None and handler(error) == "replace"

    def _on_state(self, state: str) -> None:
        if state != self.state:
            log.info("%s: %s", self.config.application_id, state)
        self.state = state

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        ours = {number for number, handler in kept.items() if handler in (signal.SIG_DFL, signal.default_int_handler)}

        def stop(_number: int, _frame: Any) -> None:
            self._is_stopping.set()

        for number in ours:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number in ours:
                signal.signal(number, kept[number])

    # -- questions

    def _make_answers(self) -> Answers | None:
        address = self.settings.server_address
        if address is None or not (self.topology.stores or self.topology.global_stores):
            return None
        from streams.live.answers import Answers

        return Answers(address, self.config.application_id, self._lock, self.topology, self.config, lambda: self._life)

    def store(self, name: str, *, stale_ok: bool = False, timeout_s: float = 10.0) -> Any:
        """A state store of the whole app: questions go to the instance that owns the key, or to all of them.

        `stale_ok` also takes answers from standbys, and from instances that restore. A question that finds nobody
        to answer it is tried again for `timeout_s`, then raises StateStoreError. Any thread may ask.
        """
        from streams.live.queryable import queryable_store
        from streams.live.routing import Router

        if name not in self.topology.stores and name not in self.topology.global_stores:
            raise StreamsError(f"the topology has no store {name}")
        router = Router(self, stale_ok=stale_ok, timeout_s=timeout_s)
        return queryable_store(name, self.topology, self.config, router)

    @property
    def dealt(self) -> Dealt:
        """Who runs which tasks, as the group's leader said last."""
        if self._workers is not None:
            return self._workers.dealt()
        return Dealt() if self._life is None else self._life.assignor.dealt

    @property
    def endpoint(self) -> str:
        """Where this instance answers questions; empty when it doesn't."""
        return self._endpoint

    @property
    def instance(self) -> str:
        return self._instance

    @property
    def worker_pids(self) -> list[int]:
        """Of the worker processes, with `processes` > 1."""
        return [] if self._workers is None else self._workers.pids

    @property
    def restored_records(self) -> int:
        """Read from changelogs so far."""
        life = self._life
        current = 0 if life is None else life.records_restored
        return self._restored_records + current

    def task_names(self, *modes: str) -> list[str]:
        """The tasks that are here: all, or those standing by, restoring, running, suspended."""
        life = self._life
        with self._lock.asking():
            return sorted(t.name for t in life.tasks.values() if not modes or t.mode in modes) if life else []

    def local_stores(self, name: str) -> list[StateStore]:
        """That store in each task which runs here. Only look while nothing is processed, or accept a torn view."""
        life = self._life
        with self._lock.asking():
            tasks = [live.task for live in life.tasks.values() if live.mode == "running"] if life else []
            return [task.own_stores[name] for task in tasks if name in task.own_stores]
