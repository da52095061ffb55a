"""Stream-stream joins over a window of time: inner, left and outer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streams.engine.operator import NodeContext, Operator, Process
from streams.records import NO_TIMESTAMP, Headers
from streams.stores.builder import StoreBuilder
from streams.windowed_keys import MAX_TIME
from streams.windows import JoinWindows


class JoinWindow(Operator):
    """Passes a record on to the join, then remembers it for the records of the other side to come."""

    def __init__(self, store: StoreBuilder) -> None:
        self.store = store

    @property
    def stores(self) -> Sequence[StoreBuilder]:
        return (self.store,)

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, put = node.task, node.store(self.store.name).put

        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            forward(key, value, timestamp, headers)
            if key is not None:
                task.timestamp = timestamp
                put(key, value, timestamp)

        return process


class JoinClock:
    """The stream time of both sides of a join, and the oldest record that may still be unmatched."""

    __slots__ = ("next_emit_ms", "oldest_unmatched", "stream_time")

    def __init__(self) -> None:
        self.stream_time = NO_TIMESTAMP
        self.oldest_unmatched = MAX_TIME
        self.next_emit_ms = 0


class StreamJoin(Operator):
    """One side: looks the record up in the other side's window store.

    A record of an outer side that meets nobody waits in `unmatched` until its window has closed, and is then joined
    with nothing. `joiner(key, this value, other value)`.
    """

    def __init__(
        self,
        windows: JoinWindows,
        joiner: Callable[[Any, Any, Any], Any],
        *,
        is_left: bool,
        is_outer: bool,
        other_store: StoreBuilder,
        unmatched: StoreBuilder | None,
        clock_owner: object,
    ) -> None:
        self._windows = windows
        self._joiner = joiner
        self._is_left = is_left
        self._is_outer = is_outer
        self._other_store = other_store
        self._unmatched = unmatched
        self._clock_owner = clock_owner

    @property
    def stores(self) -> Sequence[StoreBuilder]:
        return (self._other_store,) if self._unmatched is None else (self._other_store, self._unmatched)

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, join, is_left, is_outer = node.task, self._joiner, self._is_left, self._is_outer
        fetch = node.store(self._other_store.name).fetch_between
        unmatched = None if self._unmatched is None else node.store(self._unmatched.name)
        windows = self._windows
        before_ms, after_ms = windows.before_ms, windows.after_ms
        if not is_left:
            before_ms, after_ms = after_ms, before_ms
        clock: JoinClock = task.shared(self._clock_owner, JoinClock)
        emit_unmatched = None if unmatched is None else self._emitter(node, forward, unmatched, clock, after_ms)

        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            if timestamp > clock.stream_time:
                clock.stream_time = timestamp
            if key is None or value is None:
                if is_outer and value is not None:
                    forward(key, join(key, value, None), timestamp, headers)
                else:
                    task.dropped_records += 1
                return
            task.timestamp = timestamp
            if emit_unmatched is not None and timestamp == clock.stream_time:
                emit_unmatched(headers)
                task.timestamp = timestamp
            last = max(0, timestamp + after_ms)
            is_alone = True
            for other_timestamp, other in fetch(key, max(0, timestamp - before_ms), last):
                is_alone = False
                if unmatched is not None:
                    unmatched.delete_if_present(other_timestamp, not is_left, key)
                forward(key, join(key, value, other), max(timestamp, other_timestamp), headers)
                task.timestamp = timestamp
            if is_outer and is_alone:
                if unmatched is None or last < clock.stream_time:
                    forward(key, join(key, value, None), timestamp, headers)
                else:
                    clock.oldest_unmatched = min(clock.oldest_unmatched, timestamp)
                    unmatched.put(timestamp, is_left, key, value)

        return process

    def _emitter(
        self, node: NodeContext, forward: Process, unmatched: Any, clock: JoinClock, after_ms: int
    ) -> Callable[[Headers], None]:
        task, join, this_is_left = node.task, self._joiner, self._is_left
        grace_ms, windows = self._windows.grace_ms, self._windows
        interval_ms = task.config.outer_join_emit_interval_ms

        waits_ms = after_ms + grace_ms

        def emit_closed(headers: Headers) -> None:
            oldest = clock.oldest_unmatched
            # With nothing waiting Kafka's sum overflows, so that it looks, and has then looked for this interval.
            if oldest + waits_ms >= clock.stream_time and not (oldest == MAX_TIME and waits_ms > 0):
                return
            now_ms = task.wall_clock_ms()
            if now_ms < clock.next_emit_ms:
                return
            clock.next_emit_ms = now_ms + interval_ms
            clock.oldest_unmatched = MAX_TIME
            timestamp_now = task.timestamp
            emitted: tuple[int, bool, Any] | None = None
            open_sides: set[bool] = set()
            for timestamp, is_left, key, value in unmatched.all():
                clock.oldest_unmatched = timestamp
                if len(open_sides) == 2:
                    break
                look_ahead_ms = windows.after_ms if is_left else windows.before_ms
                if timestamp + look_ahead_ms + grace_ms >= clock.stream_time:
                    open_sides.add(is_left)
                    continue
                this, other = (value, None) if is_left is this_is_left else (None, value)
                forward(key, join(key, this, other), timestamp, headers)
                task.timestamp = timestamp_now
                if emitted is not None and emitted != (timestamp, is_left, key):
                    unmatched.delete(*emitted)
                emitted = (timestamp, is_left, key)
            if emitted is not None:
                unmatched.delete(*emitted)

        return emit_closed


class SelfJoin(Operator):
    """A stream joined with itself, over one store instead of two; same results in the same order."""

    def __init__(self, store: StoreBuilder, windows: JoinWindows, joiner: Callable[[Any, Any, Any], Any]) -> None:
        self._store = store
        self._windows = windows
        self._joiner = joiner

    @property
    def stores(self) -> Sequence[StoreBuilder]:
        return (self._store,)

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, join, windows = node.task, self._joiner, self._windows
        fetch = node.store(self._store.name).fetch_between
        before_ms, after_ms, retention_ms = windows.before_ms, windows.after_ms, windows.retention_ms
        latest = NO_TIMESTAMP

        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            nonlocal latest
            if key is None or value is None:
                task.dropped_records += 1
                return
            with_self = join(key, value, value)
            latest = max(latest, timestamp)
            meets_itself = timestamp > latest - retention_ms + 1
            for other_timestamp, other in fetch(key, max(0, timestamp - before_ms), max(0, timestamp + after_ms)):
                forward(key, join(key, value, other), max(timestamp, other_timestamp), headers)
            for other_timestamp, other in fetch(key, max(0, timestamp - after_ms), max(0, timestamp + before_ms)):
                if meets_itself and other_timestamp > timestamp:
                    meets_itself = False
                    forward(key, with_self, timestamp, headers)
                forward(key, join(key, other, value), max(timestamp, other_timestamp), headers)
            if meets_itself:
                forward(key, with_self, timestamp, headers)

        return process
