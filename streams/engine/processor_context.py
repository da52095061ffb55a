"""What a user's processor may ask of the task it runs in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams.engine.operator import NodeContext, Process
from streams.engine.punctuation import PunctuationType, Schedule
from streams.errors import StateStoreError, StreamsError
from streams.records import FixedKeyRecord, Record, RecordMetadata
from streams.windows import Duration, to_ms

if TYPE_CHECKING:
    from streams.engine.context import TaskContext


class ProcessorContext:
    """Forwarding, stores, punctuations, clocks. Belongs to one node of one task; use it only while that node runs."""

    def __init__(self, node: NodeContext, forward: Process) -> None:
        self._task: TaskContext = node.task
        self._node = node
        self._forward = forward

    def forward(self, record: Record[Any, Any] | FixedKeyRecord[Any, Any], child: str | None = None) -> None:
        """Hand `record` to every child, or to the child of that name."""
        task = self._task
        send = self._forward
        if child is not None:
            named = self._node.children.get(child)
            if named is None:
                raise StreamsError(f"{self._node.name} has no child {child}")
            send = named
        timestamp, headers = task.timestamp, task.headers
        task.timestamp = record.timestamp
        task.headers = record.headers
        send(record.key, record.value, record.timestamp, record.headers)
        task.timestamp = timestamp
        task.headers = headers

    def get_state_store(self, name: str) -> Any:
        """A store connected to this processor, or a global one. Raises StateStoreError for any other."""
        if name not in self._node.store_names and name not in self._task.global_store_names:
            raise StateStoreError(f"processor {self._node.name} has no access to store {name}: connect them")
        return self._task.stores[name]

    def schedule(
        self,
        interval: Duration,
        type_: PunctuationType,
        callback: Callable[[int], None],
        *,
        start_time_ms: int | None = None,
    ) -> Schedule:
        """Call back every `interval` of stream time or wall-clock time, with that time; `.cancel()` stops it.

        Stream-time punctuations are due from time 0 on, so the first record fires them, unless `start_time_ms`
        anchors them. What was missed in between is made up for by one call.
        """
        interval_ms = to_ms(interval)
        if interval_ms < 1:
            raise StreamsError("punctuations can't be closer than 1 ms")
        return self._task.schedule(self._node.name, interval_ms, type_, callback, start_time_ms)

    def record_metadata(self) -> RecordMetadata | None:
        """Topic, partition and offset of the source record; None while processors are initialised."""
        task = self._task
        return RecordMetadata(task.topic, task.partition, task.offset) if task.topic != "" else None

    def commit(self) -> None:
        """Ask for a commit soon."""
        self._task.is_commit_requested = True

    def current_stream_time_ms(self) -> int:
        """The highest timestamp this task has taken in; -1 before the first record."""
        return self._task.stream_time

    def current_system_time_ms(self) -> int:
        return self._task.wall_clock_ms()

    @property
    def application_id(self) -> str:
        return self._task.application_id

    @property
    def task_id(self) -> str:
        return self._task.task_id

    @property
    def state_dir(self) -> Path | None:
        return self._task.state_dir

    @property
    def app_configs(self) -> dict[str, Any]:
        return dict(self._task.configs)
