"""The one timer of an actor that has little to do most of the time: soon when something is urgent, else at leisure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Ticks:
    """`schedule(delay_ms)` has the actor told; one tick at a time, and none while nobody has armed it."""

    def __init__(self, urgent_ms: int, idle_ms: int, schedule: Callable[[int], asyncio.TimerHandle]) -> None:
        self._urgent_ms = urgent_ms
        self._idle_ms = idle_ms
        self._schedule = schedule
        self._timer: asyncio.TimerHandle | None = None
        self._is_urgent = False

    def arm(self, *, urgent: bool) -> None:
        """See to it that a tick comes, and comes soon if it is urgent."""
        if self._timer is not None:
            if self._is_urgent or not urgent:
                return
            self._timer.cancel()
        self._is_urgent = urgent
        self._timer = self._schedule(self._urgent_ms if urgent else self._idle_ms)

    def fired(self) -> None:
        """The tick has come: the next one is to be armed."""
        self._timer = None

    def cancel(self) -> None:
        """No tick comes."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
