"""Sessions of bytes, the layer below `SessionStore`. Order and expiry go by the end of a session."""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from typing import Protocol

from streams.stores.byte_map import ByteMap, segments_in
from streams.stores.store import StoreContext
from streams.stores.window_bytes import NO_TIME

SessionEntry = tuple[bytes, int, int, bytes]
"""key, start, end, value"""

_LONG = struct.Struct(">q")
_TWO_LONGS = struct.Struct(">qq")
_FAR = 2**63 - 1


class SessionBytes(Protocol):
    """Sessions by key, start and end."""

    def put(self, key: bytes, start: int, end: int, value: bytes | None) -> None: ...

    def remove(self, key: bytes, start: int, end: int) -> None: ...

    def get(self, key: bytes, start: int, end: int) -> bytes | None: ...

    def find(
        self, low_key: bytes | None, high_key: bytes | None, earliest_end: int, latest_start: int, reverse: bool
    ) -> Iterator[SessionEntry]:
        """Sessions that end at `earliest_end` or later and start at `latest_start` or earlier."""

    def find_ended(self, earliest_end: int, latest_end: int) -> Iterator[SessionEntry]: ...

    def close(self) -> None: ...


class MemorySessionBytes:
    """Sessions per end; a scan goes by end, then key, then latest start first. Those past retention are forgotten."""

    def __init__(self, retention_ms: int, context: StoreContext) -> None:
        self._retention_ms = retention_ms
        self._context = context
        self._latest = NO_TIME
        self._ends: list[int] = []
        self._sessions: dict[int, dict[bytes, dict[int, bytes]]] = {}
        self._ends_of: dict[bytes, list[int]] = {}

    def put(self, key: bytes, start: int, end: int, value: bytes | None) -> None:
        self._expire()
        self._latest = max(self._latest, end)
        if end <= self._latest - self._retention_ms:
            self._context.dropped_records += 1
        elif value is None:
            self.remove(key, start, end)
        else:
            at_end = self._sessions.get(end)
            if at_end is None:
                at_end = self._sessions[end] = {}
                insort(self._ends, end)
            of_key = at_end.get(key)
            if of_key is None:
                of_key = at_end[key] = {}
                insort(self._ends_of.setdefault(key, []), end)
            of_key[start] = value

    def remove(self, key: bytes, start: int, end: int) -> None:
        at_end = self._sessions.get(end, {})
        of_key = at_end.get(key)
        if of_key is None or of_key.pop(start, None) is None or of_key:
            return
        del at_end[key]
        self._forget_end(key, end)
        if not at_end:
            del self._sessions[end]
            del self._ends[bisect_left(self._ends, end)]

    def _forget_end(self, key: bytes, end: int) -> None:
        ends = self._ends_of[key]
        del ends[bisect_left(ends, end)]
        if not ends:
            del self._ends_of[key]

    def _expire(self) -> None:
        oldest_live = max(0, self._latest - self._retention_ms + 1)
        stop = bisect_left(self._ends, oldest_live)
        for end in self._ends[:stop]:
            for key in self._sessions.pop(end):
                self._forget_end(key, end)
        del self._ends[:stop]

    def get(self, key: bytes, start: int, end: int) -> bytes | None:
        self._expire()
        if end <= self._latest - self._retention_ms:
            return None
        return self._sessions.get(end, {}).get(key, {}).get(start)

    def find(
        self, low_key: bytes | None, high_key: bytes | None, earliest_end: int, latest_start: int, reverse: bool
    ) -> Iterator[SessionEntry]:
        self._expire()
        earliest_end = max(earliest_end, self._latest - self._retention_ms + 1)
        all_ends = self._ends_of.get(low_key, []) if low_key is not None and low_key == high_key else self._ends
        return self._walk(all_ends[bisect_left(all_ends, earliest_end) :], low_key, high_key, latest_start, reverse)

    def find_ended(self, earliest_end: int, latest_end: int) -> Iterator[SessionEntry]:
        self._expire()
        ends = self._ends[bisect_left(self._ends, earliest_end) : bisect_right(self._ends, latest_end)]
        return self._walk(ends, None, None, _FAR, False)

    def _walk(
        self, ends: list[int], low_key: bytes | None, high_key: bytes | None, latest_start: int, reverse: bool
    ) -> Iterator[SessionEntry]:
        entries: list[SessionEntry] = []
        for end in ends:
            at_end = self._sessions[end]
            for key in sorted(at_end):
                if (low_key is None or key >= low_key) and (high_key is None or key <= high_key):
                    of_key = at_end[key]
                    starts = sorted((start for start in of_key if start <= latest_start), reverse=True)
                    entries += [(key, start, end, of_key[start]) for start in starts]
        return reversed(entries) if reverse else iter(entries)

    def close(self) -> None:
        self._ends.clear()
        self._sessions.clear()
        self._ends_of.clear()


class PersistentSessionBytes:
    """Entries `segment ‖ key ‖ end ‖ start`; a time-ordered store also has an index `segment ‖ end ‖ start ‖ key`."""

    def __init__(
        self, byte_map: ByteMap, retention_ms: int, interval_ms: int, is_time_ordered: bool, context: StoreContext
    ) -> None:
        self._bytes = byte_map
        self._retention_ms = retention_ms
        self._interval_ms = interval_ms
        self._is_time_ordered = is_time_ordered
        self._context = context
        self._latest = NO_TIME
        self._segments: list[int] = segments_in(byte_map)

    def _segment(self, time: int) -> int:
        return int(time / self._interval_ms) if time < 0 else time // self._interval_ms

    def _places(self, key: bytes, start: int, end: int) -> tuple[bytes, bytes]:
        segment = _LONG.pack(self._segment(end))
        times = _TWO_LONGS.pack(end, start)
        return b"\x00" + segment + key + times, b"\x01" + segment + times + key

    def put(self, key: bytes, start: int, end: int, value: bytes | None) -> None:
        self._latest = max(self._latest, end)
        segment = self._segment(end)
        oldest = self._segment(self._latest - self._retention_ms)
        if segment < oldest:
            self._context.dropped_records += 1
            return
        if segment not in self._segments:
            insort(self._segments, segment)
        while self._segments and self._segments[0] < oldest:
            gone = self._segments.pop(0)
            for space in (b"\x00", b"\x01"):
                self._bytes.delete_range(space + _LONG.pack(gone), space + _LONG.pack(gone + 1))
        place, index = self._places(key, start, end)
        if value is None:
            self._bytes.delete(place)
            if self._is_time_ordered:
                self._bytes.delete(index)
        else:
            self._bytes.put(place, value)
            if self._is_time_ordered:
                self._bytes.put(index, b"")

    def remove(self, key: bytes, start: int, end: int) -> None:
        self._latest = max(self._latest, end)
        place, index = self._places(key, start, end)
        self._bytes.delete(place)
        if self._is_time_ordered:
            self._bytes.delete(index)

    def get(self, key: bytes, start: int, end: int) -> bytes | None:
        if end < self._oldest(NO_TIME):
            return None
        return self._bytes.get(self._places(key, start, end)[0])

    def _oldest(self, low: int) -> int:
        return max(low, self._latest - self._retention_ms + 1)

    def find(
        self, low_key: bytes | None, high_key: bytes | None, earliest_end: int, latest_start: int, reverse: bool
    ) -> Iterator[SessionEntry]:
        earliest_end = self._oldest(earliest_end)
        segments = [segment for segment in self._segments if segment >= self._segment(earliest_end)]
        for segment in reversed(segments) if reverse else segments:
            prefix = b"\x00" + _LONG.pack(segment)
            bottom = prefix + (low_key or b"")
            if low_key is not None and low_key == high_key:
                bottom += _LONG.pack(max(earliest_end, 0))
            top = b"\x00" + _LONG.pack(segment + 1) if high_key is None else prefix + high_key + b"\xff" * 17
            for place, value in self._bytes.scan(bottom, top, reverse=reverse):
                key = place[9:-16]
                end, start = _TWO_LONGS.unpack(place[-16:])
                if (
                    end >= earliest_end
                    and start <= latest_start
                    and (low_key is None or key >= low_key)
                    and (high_key is None or key <= high_key)
                ):
                    yield key, start, end, value

    def find_ended(self, earliest_end: int, latest_end: int) -> Iterator[SessionEntry]:
        for segment in self._segments:
            if self._segment(earliest_end) <= segment <= self._segment(latest_end):
                prefix = b"\x01" + _LONG.pack(segment)
                bottom, top = prefix + _LONG.pack(max(earliest_end, 0)), prefix + _LONG.pack(latest_end) + b"\xff" * 64
                for place, _ in self._bytes.scan(bottom, top):
                    end, start = _TWO_LONGS.unpack(place[9:25])
                    value = self._bytes.get(b"\x00" + place[1:9] + place[25:] + place[9:25])
                    if value is not None and end <= latest_end:
                        yield place[25:], start, end, value

    def close(self) -> None:
        self._bytes.flush()
        self._bytes.close()
