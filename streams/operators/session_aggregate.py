"""Aggregations by session: a record may start one, extend one, or merge several."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from streams.engine.batch import BatchProcess, one_by_one
from streams.engine.operator import NodeContext, Process, ValueGetter
from streams.operators.aggregate import StoredTable
from streams.operators.late import LateRecords
from streams.operators.window_aggregate import FinalEmitter
from streams.records import NO_TIMESTAMP, Headers
from streams.stores.builder import StoreBuilder
from streams.windowed_keys import Windowed
from streams.windows import EmitStrategy, SessionWindows


class SessionView:
    """Rows of sessions; a session's timestamp is its end."""

    is_versioned = False

    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, key: Windowed[Any]) -> tuple[Any, int] | None:
        value = self._store.fetch_session(key.key, key.start, key.end)
        return None if value is None else (value, key.end)

    def get_as_of(self, key: Any, timestamp: int) -> tuple[Any, int] | None:
        raise NotImplementedError("sessions have no history")


class SessionAggregate(StoredTable):
    """Sessions that a record touches are removed, with a tombstone each, and replaced by the merged one."""

    def __init__(
        self,
        store: StoreBuilder,
        windows: SessionWindows,
        initializer: Callable[[], Any],
        aggregator: Callable[[Any, Any, Any], Any],
        merger: Callable[[Any, Any, Any], Any],
        emit_strategy: EmitStrategy,
        late: LateRecords | None,
    ) -> None:
        super().__init__(store)
        self._windows = windows
        self._initializer = initializer
        self._aggregator = aggregator
        self._merger = merger
        self._emit_strategy = emit_strategy
        self._late = late

    def view(self, node: NodeContext) -> ValueGetter:
        return SessionView(node.store(self.store.name))

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, store, with_old = node.task, node.store(self.store.name), self.sends_old_values
        find, put, remove = store.find_sessions, store.put, store.remove
        initialize, aggregate, merge = self._initializer, self._aggregator, self._merger
        gap_ms, grace_ms = self._windows.gap_ms, self._windows.grace_ms
        is_final = self._emit_strategy.is_on_window_close
        emitter = self._emitter(node, forward) if is_final else None
        late = None if self._late is None else self._late.bind(node)
        observed = NO_TIMESTAMP

        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            nonlocal observed
            if key is None:
                task.dropped_records += 1
                return
            if timestamp > observed:
                observed = timestamp
            closed_before = observed - grace_ms - gap_ms
            start = end = timestamp
            total = initialize()
            touched = list(find(key, timestamp - gap_ms, timestamp + gap_ms))
            for session, session_value in touched:
                total = merge(key, total, session_value)
                start, end = min(start, session.start), max(end, session.end)
            if end < closed_before:
                task.dropped_records += 1
                if late is not None:
                    late(key, value, timestamp, headers)
            else:
                task.timestamp = timestamp
                if start != end:
                    for session, session_value in touched:
                        remove(session)
                        if not is_final:
                            forward(session, (None, session_value if with_old else None, True), session.end, ())
                            task.timestamp = timestamp
                total = aggregate(key, value, total)
                merged = Windowed(key, start, end)
                put(merged, total)
                if not is_final:
                    forward(merged, (total, None, True), end, ())
            if emitter is not None:
                emitter.emit(closed_before, headers)

        return process

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        return None if self._late is not None else one_by_one(self, node, forward)

    def _emitter(self, node: NodeContext, forward: Process) -> FinalEmitter:
        store = node.store(self.store.name)

        def range_of(closed_before: int, last_closed: int) -> tuple[int, int] | None:
            low, high = max(0, last_closed), closed_before - 1
            return None if high < low else (low, high)

        def fetch(low: int, high: int) -> Iterator[tuple[Windowed[Any], Any, int]]:
            for key, value in store.find_ended(low, high):
                yield key, value, key.end

        return FinalEmitter(node, forward, range_of, fetch)
