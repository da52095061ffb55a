"""Aggregations by sliding windows: a window for each set of records within the time difference of each other.

For a record at t three windows may have to come into being: its left window [t - d, t], its right window
[t + 1, t + 1 + d] if later records lie in it, and the right window of the record before it, which now isn't empty.
Every other window that holds t is updated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from streams.engine.batch import BatchProcess, one_by_one
from streams.engine.operator import NodeContext, Process
from streams.operators.late import LateRecords
from streams.operators.window_aggregate import FinalEmitter, WindowedTable
from streams.records import NO_TIMESTAMP, Headers
from streams.stores.builder import StoreBuilder
from streams.windowed_keys import Windowed
from streams.windows import EmitStrategy, SlidingWindows

Row = tuple[Any, int]
"""aggregate, timestamp of the latest record in the window"""


class SlidingAggregate(WindowedTable):
    """`aggregator(key, value, aggregate)` per window. Null keys and values are dropped."""

    def __init__(
        self,
        store: StoreBuilder,
        windows: SlidingWindows,
        initializer: Callable[[], Any],
        aggregator: Callable[[Any, Any, Any], Any],
        emit_strategy: EmitStrategy,
        late: LateRecords | None,
    ) -> None:
        super().__init__(store)
        self.windows = windows
        self.initializer = initializer
        self.aggregator = aggregator
        self.emit_strategy = emit_strategy
        self.late = late

    def bind(self, node: NodeContext, forward: Process) -> Process:
        return _Sliding(self, node, forward).process

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        return None if self.late is not None else one_by_one(self, node, forward)


class _Sliding:
    def __init__(self, operator: SlidingAggregate, node: NodeContext, forward: Process) -> None:
        self._task = node.task
        self._node = node.name
        self._forward = forward
        self._store = node.store(operator.store.name)
        self._initialize, self._aggregate = operator.initializer, operator.aggregator
        self._difference_ms = operator.windows.time_difference_ms
        self._grace_ms = operator.windows.grace_ms
        self._with_old = operator.sends_old_values
        self._is_final = operator.emit_strategy.is_on_window_close
        self._emitter = FinalEmitter(node, forward, self._closed_range, self._fetch) if self._is_final else None
        self._late = None if operator.late is None else operator.late.bind(node)
        self._observed = NO_TIMESTAMP
        self._closed_before = 0

    def process(self, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        _node = self._node
        if key is None or value is None:
            self._task.dropped_records += 1
            return
        self._observed = max(self._observed, timestamp)
        self._closed_before = self._observed - self._grace_ms
        if timestamp + self._difference_ms < self._closed_before:
            self._task.dropped_records += 1
            if self._late is not None:
                self._late(key, value, timestamp, headers)
            return
        if self._difference_ms == 0:
            raise ValueError("a sliding window of one point in time would end before it begins")
        if timestamp < self._difference_ms:
            self._process_early(key, value, timestamp, headers)
            return
        self._process(key, value, timestamp, headers)
        if self._emitter is not None:
            self._emitter.emit(self._closed_before, headers)

    def _process(self, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        difference_ms = self._difference_ms
        starts: set[int] = set()
        left: Row | None = None
        right: Row | None = None
        has_left = has_right = False
        previous: int | None = None
        first = max(0, timestamp - 2 * difference_ms)
        for window, row in list(self._store.backward_fetch_range(key, key, first, timestamp + 1)):
            start, end = window.start, window.start + difference_ms
            starts.add(start)
            if start == timestamp + 1:
                has_right = True
            elif end > timestamp:
                right = right or row
                self._update(key, start, row, value, timestamp, headers)
            elif end == timestamp:
                has_left = True
                self._update(key, start, row, value, timestamp, headers)
                if row[1] >= timestamp:
                    return  # a record of the same time has been here: all its windows exist
                previous = row[1]
            else:
                left, previous = row, row[1]
                break
        if previous is not None and previous + 1 not in starts and previous + 1 + difference_ms >= timestamp:
            self._update(key, previous + 1, (self._initialize(), timestamp), value, timestamp, headers)
        if not has_left:
            reaches_back = previous is not None and timestamp - difference_ms <= previous
            aggregate = left[0] if reaches_back and left is not None else self._initialize()
            self._update(key, timestamp - difference_ms, (aggregate, timestamp), value, timestamp, headers)
        if not has_right and right is not None and right[1] > timestamp:
            self._create_right(key, timestamp, right, headers)

    def _process_early(self, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        """The left window of a record near the epoch would start before it: all such share the window from 0."""
        starts: set[int] = set()
        combined: Row | None = None
        right: Row | None = None
        has_right = False
        previous: int | None = None
        for window, row in list(self._store.fetch_range(key, key, 0, timestamp + 1)):
            start = window.start
            starts.add(start)
            if start == 0:
                combined = row
                if row[1] < timestamp:
                    previous = row[1]
            elif start <= timestamp:
                right = row
                self._update(key, start, row, value, timestamp, headers)
            else:
                has_right = True
        if right is None and combined is not None and combined[1] > timestamp:
            right = combined
        if not has_right and right is not None and right[1] > timestamp:
            self._create_right(key, timestamp, right, headers)
        if previous is not None and previous + 1 not in starts:
            self._update(key, previous + 1, (self._initialize(), timestamp), value, timestamp, headers)
        row = (self._initialize(), timestamp) if combined is None else combined
        self._update(key, 0, row, value, timestamp, headers)

    def _create_right(self, key: Any, timestamp: int, row: Row, headers: Headers) -> None:
        self._task.timestamp = timestamp
        self._store.put(key, row, timestamp + 1)
        self._emit(key, timestamp + 1, row[0], None, row[1], headers)

    def _update(self, key: Any, start: int, row: Row, value: Any, timestamp: int, headers: Headers) -> None:
        if start + self._difference_ms < self._closed_before:
            self._task.dropped_records += 1
            return
        old = row[0]
        new = self._aggregate(key, value, old)
        new_timestamp = timestamp if old is None else max(timestamp, row[1])
        self._task.timestamp = timestamp
        self._store.put(key, None if new is None else (new, new_timestamp), start)
        self._emit(key, start, new, old, new_timestamp, headers)

    def _emit(self, key: Any, start: int, new: Any, old: Any, timestamp: int, headers: Headers) -> None:
        if not self._is_final:
            window = Windowed(key, start, start + self._difference_ms)
            self._forward(window, (new, old if self._with_old else None, True), timestamp, headers)

    def _closed_range(self, closed_before: int, last_closed: int) -> tuple[int, int] | None:
        high = closed_before - self._difference_ms - 1
        low = 0 if last_closed == NO_TIMESTAMP else max(0, last_closed - self._difference_ms)
        return None if high < 0 else (low, high)

    def _fetch(self, low: int, high: int) -> Iterator[tuple[Windowed[Any], Any, int]]:
        for key, (value, timestamp) in self._store.fetch_all(low, high):
            yield key, value, timestamp
