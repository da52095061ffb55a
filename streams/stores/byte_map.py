"""An ordered map of bytes: what persistent stores are laid out in.

`MemoryByteMap` keeps it in a dict and sorts when somebody scans; `stores/rocks_byte_map.py` keeps it in RocksDB.
Scans take a half-open range [low, high), `None` meaning no bound, and see the map as it was when they began.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Protocol

_LONG = struct.Struct(">q")

Entry = tuple[bytes, bytes]


class ByteMap(Protocol):
    """Keys in unsigned byte order."""

    def get(self, key: bytes) -> bytes | None: ...

    def put(self, key: bytes, value: bytes) -> None: ...

    def delete(self, key: bytes) -> None: ...

    def put_all(self, entries: Mapping[bytes, bytes | None]) -> None:
        """Many at once; None deletes."""

    def scan(self, low: bytes | None, high: bytes | None, *, reverse: bool = False) -> Iterator[Entry]: ...

    def delete_range(self, low: bytes, high: bytes) -> None:
        """Forget every key in [low, high)."""

    def approximate_count(self) -> int: ...

    def flush(self) -> None:
        """What was written survives a kill of this process."""

    def close(self) -> None: ...


def segments_in(entries: ByteMap, space: bytes = b"\x00") -> list[int]:
    """The numbers of the segments that a reopened map holds entries of: keys are `space ‖ number ‖ ...`."""
    found: list[int] = []
    low: bytes | None = space
    while low is not None:
        first = next(entries.scan(low, after_prefix(space)), None)
        if first is None:
            break
        found.append(_LONG.unpack(first[0][1:9])[0])
        low = after_prefix(first[0][:9])
    return found


def after_prefix(prefix: bytes) -> bytes | None:
    """The smallest key above every key that starts with `prefix`; None when there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


class SortedKeys:
    """Byte keys that are sorted only when asked for a range, and then cheaply if few are new."""

    __slots__ = ("_fresh", "_known", "_sorted")

    def __init__(self) -> None:
        self._known: set[bytes] = set()
        self._sorted: list[bytes] = []
        self._fresh: list[bytes] = []

    def add(self, key: bytes) -> None:
        if key not in self._known:
            self._known.add(key)
            self._fresh.append(key)

    def discard_all(self, keys: list[bytes]) -> None:
        """Forget `keys`; linear in all keys, so call it with many at once."""
        self._settle()
        self._known.difference_update(keys)
        known = self._known
        self._sorted = [key for key in self._sorted if key in known]

    def discard_slice(self, low: bytes, high: bytes) -> list[bytes]:
        """Forget and return the keys in [low, high)."""
        self._settle()
        start, stop = bisect_left(self._sorted, low), bisect_left(self._sorted, high)
        gone = self._sorted[start:stop]
        del self._sorted[start:stop]
        self._known.difference_update(gone)
        return gone

    def __len__(self) -> int:
        return len(self._known)

    def range(self, low: bytes | None, high: bytes | None) -> list[bytes]:
        self._settle()
        keys = self._sorted
        start = 0 if low is None else bisect_left(keys, low)
        stop = len(keys) if high is None else bisect_left(keys, high)
        return keys[start:stop]

    def _settle(self) -> None:
        if self._fresh:
            self._sorted += self._fresh
            self._fresh.clear()
            self._sorted.sort()  # linear on a sorted run with a short tail


class MemoryByteMap:
    """In this process only. Deleted keys leave the index once they are many."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}
        self._keys = SortedKeys()
        self.get = self._values.get

    def put(self, key: bytes, value: bytes) -> None:
        if key not in self._values:
            self._keys.add(key)
        self._values[key] = value

    def put_all(self, entries: Mapping[bytes, bytes | None]) -> None:
        for key, value in entries.items():
            if value is None:
                self.delete(key)
            else:
                self.put(key, value)

    def delete(self, key: bytes) -> None:
        self._values.pop(key, None)
        if len(self._keys) > 64 and len(self._keys) > 2 * len(self._values):
            self._keys.discard_all([key for key in self._keys.range(None, None) if key not in self._values])

    def scan(self, low: bytes | None, high: bytes | None, *, reverse: bool = False) -> Iterator[Entry]:
        keys = self._keys.range(low, high)
        if reverse:
            keys.reverse()
        values = self._values
        return iter([(key, values[key]) for key in keys if key in values])

    def delete_range(self, low: bytes, high: bytes) -> None:
        for key in self._keys.discard_slice(low, high):
            self._values.pop(key, None)

    def approximate_count(self) -> int:
        return len(self._values)

    def flush(self) -> None:
        """Nothing to do: a kill forgets it all, and the changelog restores it."""

    def close(self) -> None:
        self._values.clear()
        self._keys = SortedKeys()
