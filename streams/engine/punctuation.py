"""Callbacks by the clock: which are due, and when each is due again."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from streams.java_order import PriorityQueue


class PunctuationType(Enum):
    """Which clock drives a punctuation."""

    STREAM_TIME = "stream time"
    WALL_CLOCK_TIME = "wall-clock time"


class Schedule:
    """One repeating callback."""

    __slots__ = ("callback", "interval_ms", "is_cancelled", "node", "time")

    def __init__(self, node: str, time: int, interval_ms: int, callback: Callable[[int], None]) -> None:
        self.node = node
        self.time = time
        self.interval_ms = interval_ms
        self.callback = callback
        self.is_cancelled = False

    def cancel(self) -> None:
        """It will not fire again."""
        self.is_cancelled = True

    def advance(self, now: int) -> None:
        """Move to the next time on the grid that is after `now`."""
        due = self.time + self.interval_ms
        if now >= due:
            due = self.time + ((now - self.time) // self.interval_ms + 1) * self.interval_ms
        self.time = due


class PunctuationQueue:
    """Schedules by due time."""

    def __init__(self) -> None:
        self._queue: PriorityQueue[Schedule] = PriorityQueue(lambda schedule: schedule.time)

    def add(self, schedule: Schedule) -> None:
        self._queue.offer(schedule)

    def __bool__(self) -> bool:
        return len(self._queue) > 0

    def run_due(self, now: int, punctuate: Callable[[Schedule, int], None]) -> bool:
        """Punctuate everything due at `now`; True if anything was."""
        any_ran = False
        first = self._queue.peek()
        while first is not None and first.time <= now:
            schedule = self._queue.poll()
            if not schedule.is_cancelled:
                punctuate(schedule, now)
                if not schedule.is_cancelled:
                    schedule.advance(now)
                    self._queue.offer(schedule)
                any_ran = True
            first = self._queue.peek()
        return any_ran

    def clear(self) -> None:
        self._queue = PriorityQueue(lambda schedule: schedule.time)
