"""Holding a table's changes back: until their window closes, or for a while, within a bounded buffer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streams.dsl.suppressed import Suppressed
from streams.engine.operator import Change, NodeContext, Process, TableOperator, ValueGetter
from streams.errors import StreamsError
from streams.records import NO_TIMESTAMP, Headers
from streams.stores.builder import StoreBuilder
from streams.stores.change_buffer import ChangeBuffer


class Suppress(TableOperator):
    """Forwards the latest change of a key once `wait_ms` of stream time have passed since its buffer time."""

    def __init__(self, parent: TableOperator, store: StoreBuilder, suppressed: Suppressed, wait_ms: int) -> None:
        self._parent = parent
        self._store = store
        self._suppressed = suppressed
        self._wait_ms = wait_ms
        parent.enable_sending_old_values(True)

    @property
    def stores(self) -> Sequence[StoreBuilder]:
        return (self._store,)

    def enable_sending_old_values(self, force_materialization: bool) -> bool:
        return self._parent.enable_sending_old_values(force_materialization)

    @property
    def view_store_names(self) -> list[str]:
        return [self._store.name, *self._parent.view_store_names]

    def view(self, node: NodeContext) -> ValueGetter:
        return SuppressedView(node.store(self._store.name), self._parent.view(node))

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, buffer, wait_ms = node.task, node.store(self._store.name), self._wait_ms
        bounds, is_final = self._suppressed.bounds, self._suppressed.is_until_window_closes
        emit = _emitter(node, forward, buffer, drops_tombstones=is_final)
        observed = NO_TIMESTAMP

        def is_full() -> bool:
            return bounds.is_exceeded(buffer.count, buffer.size_bytes)

        def process(key: Any, change: Change, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            nonlocal observed
            observed = max(observed, timestamp)
            time = key.end if is_final else timestamp
            buffer.put(time, key, change[0], change[1], task.origin(timestamp, headers))
            expiry = observed - wait_ms
            emit(lambda: buffer.min_time <= expiry)
            if is_full():
                if not bounds.emits_early:
                    raise StreamsError(
                        f"{node.name} buffer exceeded its max capacity. Currently [{buffer.count}/{bounds.max_records}]"
                        f" records and [{buffer.size_bytes}/{bounds.max_bytes}] bytes."
                    )
                emit(is_full)

        return process


def _emitter(
    node: NodeContext, forward: Process, buffer: ChangeBuffer, *, drops_tombstones: bool
) -> Callable[[Callable[[], bool]], None]:
    task = node.task

    def emit(claim: Callable[[], bool]) -> None:
        here = task.topic, task.partition, task.offset, task.timestamp
        for key, new, old, origin in buffer.evict_while(claim):
            if new is not None or not drops_tombstones:
                task.topic, task.partition, task.offset = origin.topic, origin.partition, origin.offset
                forward(key, (new, old, True), origin.timestamp, origin.headers)
        task.topic, task.partition, task.offset, task.timestamp = here

    return emit


class SuppressedView:
    """Rows as downstream knows them: of what is held back, the value before."""

    is_versioned = False

    def __init__(self, buffer: ChangeBuffer, parent: ValueGetter) -> None:
        self._buffer = buffer
        self._parent = parent

    def get(self, key: Any) -> tuple[Any, int] | None:
        is_buffered, prior = self._buffer.prior_value(key)
        if is_buffered:
            return None if prior is None else (prior, NO_TIMESTAMP)
        return self._parent.get(key)

    def get_as_of(self, key: Any, timestamp: int) -> tuple[Any, int] | None:
        raise NotImplementedError("suppressed tables have no history")
