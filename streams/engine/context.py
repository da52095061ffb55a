"""The state that all nodes and stores of one task share: the record in hand, the clocks, the stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from streams.config import StreamsConfig
from streams.engine.collector import RecordCollector
from streams.engine.operator import NodeContext, Process
from streams.engine.processor_context import ProcessorContext
from streams.engine.punctuation import PunctuationQueue, PunctuationType, Schedule
from streams.errors import StreamsError
from streams.records import NO_TIMESTAMP, Headers
from streams.serdes import Serde
from streams.stores.change_buffer import RecordOrigin
from streams.stores.store import BatchChangeWriter, ChangeWriter, StateStore


class TaskContext:
    """One per task.

    `timestamp` and `headers` are those of the record that the running node was given; nodes set them before they call
    something that needs them (stores without timestamps of their own, users' processors).
    """

    def __init__(
        self, config: StreamsConfig, task_id: str, collector: RecordCollector, wall_clock_ms: Callable[[], int]
    ) -> None:
        self.config = config
        self.task_id = task_id
        self.application_id = config.application_id
        self.collector = collector
        self.wall_clock_ms = wall_clock_ms
        self.topic: str | None = ""  # until the first record; None in a punctuation
        self.partition = -1
        self.offset = -1
        self.timestamp = NO_TIMESTAMP
        self.headers: Headers = ()
        self.stream_time = NO_TIMESTAMP
        self.dropped_records = 0
        self.has_batch_effects = False
        self.raw: tuple[bytes | None, bytes | None] = (None, None)
        self.is_commit_requested = False
        self.stores: dict[str, StateStore] = {}
        self.global_store_names: set[str] = set()
        self.stream_time_punctuations = PunctuationQueue()
        self.wall_clock_punctuations = PunctuationQueue()
        self._inits: list[Callable[[], None]] = []
        self._closes: list[Callable[[], None]] = []
        self._trackers: dict[int, Any] = {}

    # -- for binding operators

    def on_init(self, action: Callable[[], None]) -> None:
        self._inits.append(action)

    def on_close(self, action: Callable[[], None]) -> None:
        self._closes.append(action)

    def run_inits(self) -> None:
        """Operators are bound from the sinks up; processors are initialised from the sources down."""
        for action in reversed(self._inits):
            action()
        self._inits.clear()

    def run_closes(self) -> None:
        for action in reversed(self._closes):
            action()
        self._closes.clear()

    def processor_context(self, node: NodeContext, forward: Process) -> ProcessorContext:
        return ProcessorContext(node, forward)

    def shared(self, owner: object, make: Callable[[], Any]) -> Any:
        """What the two sides of a join share in this task: made by the first that asks, found by the second."""
        if id(owner) not in self._trackers:
            self._trackers[id(owner)] = make()
        return self._trackers[id(owner)]

    def schedule(
        self,
        node: str,
        interval_ms: int,
        type_: PunctuationType,
        callback: Callable[[int], None],
        start_time_ms: int | None,
    ) -> Schedule:
        is_by_wall_clock = type_ is PunctuationType.WALL_CLOCK_TIME
        now = self.wall_clock_ms() if is_by_wall_clock else self.stream_time
        start = start_time_ms
        if start is None:
            start = now + interval_ms if is_by_wall_clock else 0
        schedule = Schedule(node, start, interval_ms, callback)
        if start_time_ms is not None and start_time_ms < now:
            schedule.advance(now)
        (self.wall_clock_punctuations if is_by_wall_clock else self.stream_time_punctuations).add(schedule)
        return schedule

    def origin(self, timestamp: int, headers: Headers) -> RecordOrigin:
        """Where the record in hand came from, with the timestamp and headers it has by now."""
        return RecordOrigin(timestamp, self.offset, self.partition, self.topic, headers)

    # -- for stores

    @property
    def state_dir(self) -> Path | None:
        return None if self.config.state_dir is None else self.config.state_dir / self.application_id / self.task_id

    @property
    def task_partition(self) -> int:
        return int(self.task_id.rpartition("_")[2])

    @property
    def configs(self) -> dict[str, Any]:
        return asdict(self.config)

    def key_serde(self, serde: Serde[Any] | None, used_by: str) -> Serde[Any]:
        return self._resolved(serde or self.config.default_key_serde, "key", used_by)

    def value_serde(self, serde: Serde[Any] | None, used_by: str) -> Serde[Any]:
        return self._resolved(serde or self.config.default_value_serde, "value", used_by)

    def _resolved(self, serde: Serde[Any] | None, which: str, used_by: str) -> Serde[Any]:
        if serde is None:
            raise StreamsError(f"{used_by} has no {which} serde: name one, or set default_{which}_serde")
        return serde.resolved(self.config.default_key_serde, self.config.default_value_serde)

    def decorated(self, topic: str) -> str:
        """The real name of an internal topic."""
        return f"{self.application_id}-{topic}"

    def changelog_topic(self, store_name: str) -> str:
        return self.decorated(f"{store_name}-changelog")

    def change_writer(self, store_name: str) -> ChangeWriter:
        write = self.collector.change_writer(store_name, self.changelog_topic(store_name))

        def log_change(key: bytes, value: bytes | None, timestamp: int | None, headers: Headers) -> None:
            write(key, value, self.timestamp if timestamp is None else timestamp, headers)

        return log_change

    def batch_change_writer(self, store_name: str) -> BatchChangeWriter:
        return self.collector.batch_change_writer(store_name, self.changelog_topic(store_name))
