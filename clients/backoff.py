"""Pauses between attempts: doubling, with jitter, so that a thousand clients don't come back in step."""

from __future__ import annotations

import random


class Backoff:
    """`next_s` gives the pause before the next attempt; `reset` after one that worked."""

    __slots__ = ("_attempts", "_first_s", "_longest_s")

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = max(first_s, longest_s)
        self._attempts = 0

    @property
    def attempts(self) -> int:
        return self._attempts

    def next_s(self) -> float:
        pause: float = min(self._first_s * 2 ** min(self._attempts, 30), self._longest_s)
        self._attempts += 1
        return pause * (0.8 + 0.4 * random.random())

    def reset(self) -> None:
        self._attempts = 0
