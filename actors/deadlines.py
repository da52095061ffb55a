"""Requests that have to be answered in time, whatever comes: looked after by the broker's timer round.

A timer for each would cost more than all else that is done about time; hardly any of them ever fires.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class HasDeadline(Protocol):
    """A request under way."""

    def time_out(self) -> None:
        """Its time is up."""


class Deadlines:
    """Times are kept to the grain of the timer round, never early."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._open: dict[HasDeadline, float] = {}

    def __len__(self) -> int:
        return len(self._open)

    def add(self, request: HasDeadline, timeout_ms: int) -> None:
        self._open[request] = self._loop.time() + timeout_ms / 1000

    def discard(self, request: HasDeadline) -> None:
        self._open.pop(request, None)

    def timer_round(self) -> None:
        """Call `time_out` of all whose time is up."""
        if self._open:
            now = self._loop.time()
            for request in [request for request, until in self._open.items() if until <= now]:
                if self._open.pop(request, None) is not None:
                    request.time_out()
