"""Deadlines of many actors on one timer: a heap, of which only the earliest is armed with the loop."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable


class Alarms:
    """Calls back once at (or shortly after) a monotonic millisecond. What is set is not taken back: callees look."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_ms = 0

    @staticmethod
    def now_ms() -> int:
        """The clock that deadlines are told by."""
        return time.monotonic_ns() // 1_000_000

    def set(self, deadline_ms: int, callback: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (deadline_ms, next(self._numbers), callback))
        if self._timer is None or deadline_ms < self._armed_ms:
            self._arm()

    def close(self) -> None:
        """Nobody is called any more."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_ms = self._heap[0][0]
        self._timer = self._loop.call_later(max(self._armed_ms - self.now_ms(), 1) / 1000, self._ring)

    def _ring(self) -> None:
        self._timer = None
        now_ms = self.now_ms()
        while self._heap and self._heap[0][0] <= now_ms:
            heapq.heappop(self._heap)[2]()
        if self._heap and self._timer is None:
            self._arm()
