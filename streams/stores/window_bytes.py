"""Windows of bytes, the layer below `WindowStore`: when they expire and in which order they come back.

In memory a window is gone once its start is `retention` behind the latest start seen; a scan goes by time, then key.
Persistent windows lie in segments of time that expire as a whole; a scan goes by segment, then key, then time.
Both hide windows past retention from readers.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Protocol

from streams.stores.store import StoreContext

WindowEntry = tuple[bytes, int, bytes]
"""key, window start, value"""

_INT = struct.Struct(">i")
NO_TIME = -1


class WindowBytes(Protocol):
    """Windows that start at a time each; with duplicates every put is an entry of its own."""

    def put(self, key: bytes, value: bytes | None, start: int, sequence: int | None = None) -> None:
        """`sequence` comes with a duplicate that is restored: putting it twice changes nothing."""

    def get(self, key: bytes, start: int) -> bytes | None: ...

    def fetch(self, key: bytes, low: int, high: int, reverse: bool) -> Iterator[WindowEntry]: ...

    def fetch_range(
        self, low_key: bytes | None, high_key: bytes | None, low: int, high: int, reverse: bool
    ) -> Iterator[WindowEntry]:
        """By key first where the store has an order for it."""

    def fetch_all(self, low: int, high: int, reverse: bool) -> Iterator[WindowEntry]:
        """All keys; by time first where the store has an order for it."""

    def all(self, reverse: bool) -> Iterator[WindowEntry]: ...

    def commit(self) -> None: ...

    def close(self) -> None: ...


class MemoryWindowBytes:
    """Per key a sorted list of starts; per start the keys that have it, to expire by time.

    With `like_persistent` nothing duplicated is put by None, which then doesn't move time on. Kafka's memory store lets
    it; but its default store is persistent, and ours in memory, so that what nobody chose must behave as that does.
    """

    def __init__(
        self, retention_ms: int, retain_duplicates: bool, context: StoreContext, *, like_persistent: bool = False
    ) -> None:
        self._retention_ms = retention_ms
        self._retain_duplicates = retain_duplicates
        self._ignores_none = like_persistent and retain_duplicates
        self._context = context
        self._latest = NO_TIME
        self._sequence = 0
        self._windows: dict[bytes, dict[int, list[tuple[int, bytes]]]] = {}
        self._starts_of: dict[bytes, list[int]] = {}
        self._keys_at: dict[int, dict[bytes, None]] = {}
        self._starts: list[int] = []

    def put(self, key: bytes, value: bytes | None, start: int, sequence: int | None = None) -> None:
        if value is None and self._ignores_none:
            return
        self._expire()
        self._latest = max(self._latest, start)
        if start <= self._latest - self._retention_ms:
            self._context.dropped_records += 1
        elif value is not None:
            if sequence is not None:
                self._restore(key, value, start, sequence)
                return
            if self._retain_duplicates:
                self._sequence = (self._sequence + 1) & 0x7FFFFFFF
            self._insert(key, value, start)
        elif not self._retain_duplicates:
            self._remove(key, start)

    def _restore(self, key: bytes, value: bytes, start: int, sequence: int) -> None:
        """A duplicate in its own place."""
        latest, self._sequence = self._sequence, sequence
        entries = self._windows.get(key, {}).get(start)
        if entries is not None:
            entries[:] = [entry for entry in entries if entry[0] != sequence]
        self._insert(key, value, start)
        self._sequence = max(latest, sequence)

    def _insert(self, key: bytes, value: bytes, start: int) -> None:
        windows = self._windows.setdefault(key, {})
        entries = windows.get(start)
        if entries is None:
            windows[start] = [(self._sequence, value)]
            insort(self._starts_of.setdefault(key, []), start)
            keys = self._keys_at.get(start)
            if keys is None:
                self._keys_at[start] = {key: None}
                insort(self._starts, start)
            else:
                keys[key] = None
        elif self._retain_duplicates:
            entries.append((self._sequence, value))
        else:
            entries[0] = (self._sequence, value)

    def _remove(self, key: bytes, start: int) -> None:
        windows = self._windows.get(key)
        if windows is None or windows.pop(start, None) is None:
            return
        starts = self._starts_of[key]
        del starts[bisect_left(starts, start)]
        if not starts:
            del self._windows[key], self._starts_of[key]
        keys = self._keys_at[start]
        del keys[key]
        if not keys:
            del self._keys_at[start]
            del self._starts[bisect_left(self._starts, start)]

    def _expire(self) -> None:
        oldest_live = max(0, self._latest - self._retention_ms + 1)
        if not self._starts or self._starts[0] >= oldest_live:
            return
        stop = bisect_left(self._starts, oldest_live)
        for start in self._starts[:stop]:
            for key in self._keys_at.pop(start):
                windows, starts = self._windows[key], self._starts_of[key]
                del windows[start]
                del starts[bisect_left(starts, start)]
                if not starts:
                    del self._windows[key], self._starts_of[key]
        del self._starts[:stop]

    def _oldest(self, low: int) -> int:
        return max(low, self._latest - self._retention_ms + 1)

    def get(self, key: bytes, start: int) -> bytes | None:
        """None where there may be several."""
        if start <= self._latest - self._retention_ms or self._retain_duplicates:
            return None
        entries = self._windows.get(key, {}).get(start)
        return entries[0][1] if entries else None

    def fetch(self, key: bytes, low: int, high: int, reverse: bool) -> Iterator[WindowEntry]:
        self._expire()
        starts = self._starts_of.get(key)
        if starts is None:
            return iter(())
        found = starts[bisect_left(starts, self._oldest(low)) : bisect_right(starts, high)]
        windows = self._windows[key]
        entries = [(key, start, value) for start in found for _, value in windows[start]]
        return reversed(entries) if reverse else iter(entries)

    def fetch_range(
        self, low_key: bytes | None, high_key: bytes | None, low: int, high: int, reverse: bool
    ) -> Iterator[WindowEntry]:
        self._expire()
        found = self._starts[bisect_left(self._starts, self._oldest(low)) : bisect_right(self._starts, high)]
        entries: list[WindowEntry] = []
        for start in found:
            at_start = [
                (key + (_INT.pack(sequence) if self._retain_duplicates else b""), key, value)
                for key in self._keys_at[start]
                if (low_key is None or key >= low_key) and (high_key is None or key <= high_key)
                for sequence, value in self._windows[key][start]
            ]
            at_start.sort()
            entries += [(key, start, value) for _, key, value in at_start]
        return reversed(entries) if reverse else iter(entries)

    def fetch_all(self, low: int, high: int, reverse: bool) -> Iterator[WindowEntry]:
        return self.fetch_range(None, None, low, high, reverse)

    def all(self, reverse: bool) -> Iterator[WindowEntry]:
        return self.fetch_all(0, self._starts[-1] if self._starts else 0, reverse)

    def commit(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        for entries in (self._windows, self._starts_of, self._keys_at, self._starts):
            entries.clear()
