"""Patience with a reason: what tests wait for, and what they are told when it does not come."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class ClusterFailed(Exception):
    """The cluster did not start, or did not reach the awaited state in time. The message ends with its last output."""


@dataclass(frozen=True, slots=True)
class Healed:
    """A kill and its end: `healed_by` is the broker that does the work now, perhaps `broker` itself in a new life.

    `killed_at` is wall-clock time in seconds, `took_s` how long nobody did the work, as a client saw it.
    """

    what: str
    broker: int
    healed_by: int
    killed_at: float
    took_s: float

    @property
    def healed_at(self) -> float:
        return self.killed_at + self.took_s

    def __str__(self) -> str:
        by = "itself, restarted," if self.healed_by == self.broker else f"broker {self.healed_by}"
        return f"{self.what}: broker {self.broker} went, healed by {by} after {self.took_s * 1000:.0f} ms"


def wait_until(claim: Callable[[], Any], *, timeout_s: float = 30.0, what: str = "", every_s: float = 0.02) -> Any:
    """Ask `claim` again and again until it answers something true, and return that. Raises ClusterFailed in the end."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = claim()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise ClusterFailed(f"waited {timeout_s:g} s in vain for {what or claim.__name__}")
        time.sleep(every_s)
