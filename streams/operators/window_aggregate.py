"""Aggregations by tumbling, hopping or unlimited windows, and what they share with sliding windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from streams.engine.batch import BatchProcess, one_by_one
from streams.engine.operator import NodeContext, Process, ValueGetter
from streams.operators.aggregate import StoredTable
from streams.operators.late import LateRecords
from streams.records import NO_TIMESTAMP, Headers
from streams.stores.builder import StoreBuilder
from streams.windowed_keys import MAX_TIME, Windowed
from streams.windows import EmitStrategy, TimeWindows, UnlimitedWindows


class WindowedTable(StoredTable):
    """A table of windowed keys in a window store."""

    def view(self, node: NodeContext) -> ValueGetter:
        return WindowView(node.store(self.store.name))


class WindowView:
    """Rows of windowed keys."""

    is_versioned = False

    def __init__(self, store: Any) -> None:
        self._store = store

    def get(self, key: Windowed[Any]) -> tuple[Any, int] | None:
        row: tuple[Any, int] | None = self._store.fetch(key.key, key.start)
        return row

    def get_as_of(self, key: Any, timestamp: int) -> tuple[Any, int] | None:
        raise NotImplementedError("windowed tables have no history")


class FinalEmitter:
    """Emits each window once, after it closed: looks up what closed since it last looked, at most once an interval.

    `range_of(closed_before, last_closed_before)` gives the range of window starts to fetch, or None for nothing.
    """

    def __init__(
        self,
        node: NodeContext,
        forward: Process,
        range_of: Callable[[int, int], tuple[int, int] | None],
        fetch: Callable[[int, int], Iterator[tuple[Windowed[Any], Any, int]]],
    ) -> None:
        self._task = node.task
        self._interval_ms = node.task.config.emit_interval_ms
        self._forward = forward
        self._range_of = range_of
        self._fetch = fetch
        self._next_time_ms = 0
        self._last_closed = NO_TIMESTAMP

    def emit(self, closed_before: int, headers: Headers) -> None:
        now_ms = self._task.wall_clock_ms()
        if now_ms < self._next_time_ms:
            return
        self._next_time_ms = now_ms + self._interval_ms
        if self._last_closed != NO_TIMESTAMP and self._last_closed >= closed_before:
            return
        starts = self._range_of(closed_before, self._last_closed)
        if starts is None:
            return
        for key, value, timestamp in self._fetch(*starts):
            self._forward(key, (value, None, True), timestamp, headers)
        self._last_closed = closed_before


class WindowAggregate(WindowedTable):
    """`aggregator(key, value, aggregate)` per window that holds the record. Windows past their grace take no more."""

    def __init__(
        self,
        store: StoreBuilder,
        windows: TimeWindows | UnlimitedWindows,
        initializer: Callable[[], Any],
        aggregator: Callable[[Any, Any, Any], Any],
        emit_strategy: EmitStrategy,
        late: LateRecords | None,
    ) -> None:
        super().__init__(store)
        self._windows = windows
        self._initializer = initializer
        self._aggregator = aggregator
        self._emit_strategy = emit_strategy
        self._late = late

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, store, with_old = node.task, node.store(self.store.name), self.sends_old_values
        fetch, put = store.fetch, store.put
        initialize, aggregate = self._initializer, self._aggregator
        starts_for, size_ms, grace_ms = self._windows.starts_for, self._windows.size_ms, self._windows.grace_ms
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
            closed_before = observed - grace_ms
            is_late = False
            for start in starts_for(timestamp):
                end = start + size_ms
                if end <= closed_before:
                    task.dropped_records += 1
                    is_late = True
                    continue
                row = fetch(key, start)
                if row is None:
                    old, new_timestamp = initialize(), timestamp
                else:
                    old, new_timestamp = row[0], max(timestamp, row[1])
                new = aggregate(key, value, old)
                task.timestamp = timestamp
                put(key, None if new is None else (new, new_timestamp), start)
                if not is_final:
                    windowed = Windowed(key, start, min(end, MAX_TIME))
                    forward(windowed, (new, old if with_old else None, True), new_timestamp, headers)
            if is_late and late is not None:
                late(key, value, timestamp, headers)
            if emitter is not None:
                emitter.emit(closed_before, headers)

        return process

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        return None if self._late is not None else one_by_one(self, node, forward)

    def _emitter(self, node: NodeContext, forward: Process) -> FinalEmitter:
        store, windows = node.store(self.store.name), self._windows
        size_ms = windows.size_ms

        def range_of(closed_before: int, last_closed: int) -> tuple[int, int] | None:
            high = closed_before - size_ms
            if high < 0:
                return None
            low = 0 if last_closed == NO_TIMESTAMP else max(0, last_closed - size_ms) + 1
            if last_closed != NO_TIMESTAMP and list(windows.starts_for(high)) == list(windows.starts_for(low - 1)):
                return None
            return low, high

        def fetch(low: int, high: int) -> Iterator[tuple[Windowed[Any], Any, int]]:
            for key, (value, timestamp) in store.fetch_all(low, high):
                yield key, value, timestamp

        return FinalEmitter(node, forward, range_of, fetch)
