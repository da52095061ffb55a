"""Giving memory back after a burst: glibc keeps freed frames and batches for itself unless it is told to let go."""

from __future__ import annotations

import ctypes
from collections.abc import Callable


class MemoryReturn:
    """Trims the heap in the first round without traffic after one with; the hot path never pays for it.

    `traffic` is any number that rises with the work done (frames received). Does nothing where the C library has no
    malloc_trim.
    """

    def __init__(self, traffic: Callable[[], int]) -> None:
        self._traffic = traffic
        self._seen = traffic()
        self._is_dirty = True
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)

    def round(self) -> bool:
        """Call it every few seconds. True when it trimmed."""
        now = self._traffic()
        is_idle, self._seen = now == self._seen, now
        if not is_idle:
            self._is_dirty = True
        elif self._is_dirty and self._trim is not None:
            self._is_dirty = False
            self._trim(0)
            return True
        return False
