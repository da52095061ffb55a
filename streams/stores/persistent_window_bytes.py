"""Windows of bytes on disk: segments of time that expire as a whole, and for final results an index by time."""

from __future__ import annotations

import struct
from bisect import insort
from collections.abc import Iterator

from streams.stores.byte_map import ByteMap, segments_in
from streams.stores.store import StoreContext
from streams.stores.window_bytes import NO_TIME, WindowEntry

_LONG = struct.Struct(">q")
_TAIL = struct.Struct(">qi")


def segment_interval_ms(retention_ms: int) -> int:
    """Kafka's default length of a segment of windows or sessions."""
    return max(retention_ms // 2, 60_000)


class PersistentWindowBytes:
    """Entries `segment ‖ key ‖ start ‖ sequence` in an ordered map.

    A time-ordered store, for emit-on-close, also writes an index `segment ‖ start ‖ key ‖ sequence`, and scans by that;
    with `has_key_index` (Kafka gives one to sliding windows) only when it scans all keys.
    """

    def __init__(
        self,
        byte_map: ByteMap,
        retention_ms: int,
        interval_ms: int,
        retain_duplicates: bool,
        is_time_ordered: bool,
        has_key_index: bool,
        context: StoreContext,
    ) -> None:
        self._bytes = byte_map
        self._retention_ms = retention_ms
        self._interval_ms = interval_ms
        self._retain_duplicates = retain_duplicates
        self._is_time_ordered = is_time_ordered
        self._has_key_index = has_key_index
        self._context = context
        self._latest = NO_TIME
        self._sequence = 0
        self._segments: list[int] = segments_in(byte_map)

    def _segment(self, time: int) -> int:
        return int(time / self._interval_ms) if time < 0 else time // self._interval_ms

    def put(self, key: bytes, value: bytes | None, start: int, sequence: int | None = None) -> None:
        if self._retain_duplicates:
            if value is None:
                return
            latest, self._sequence = self._sequence, (self._sequence + 1) & 0x7FFFFFFF
            if sequence is not None:
                self._sequence = max(latest, sequence)
        self._latest = max(self._latest, start)
        segment = self._segment(start)
        if segment < self._segment(self._latest - self._retention_ms):
            self._context.dropped_records += 1
            return
        if segment not in self._segments:
            insort(self._segments, segment)
        self._drop_expired_segments()
        prefix = _LONG.pack(segment)
        tail = _TAIL.pack(start, self._sequence if sequence is None else sequence)
        place = b"\x00" + prefix + key + tail
        index = b"\x01" + prefix + _LONG.pack(start) + key + tail[8:]
        if value is None:
            self._bytes.delete(place)
        else:
            self._bytes.put(place, value)
        if self._is_time_ordered:
            if value is None:
                self._bytes.delete(index)
            else:
                self._bytes.put(index, b"")

    def _drop_expired_segments(self) -> None:
        oldest = self._segment(self._latest - self._retention_ms)
        while self._segments and self._segments[0] < oldest:
            segment = self._segments.pop(0)
            for space in (b"\x00", b"\x01"):
                self._bytes.delete_range(space + _LONG.pack(segment), space + _LONG.pack(segment + 1))

    def _oldest(self, low: int) -> int:
        return max(0, low, self._latest - self._retention_ms + (0 if self._is_time_ordered else 1))

    def get(self, key: bytes, start: int) -> bytes | None:
        if start < self._latest - self._retention_ms + (0 if self._is_time_ordered else 1):
            return None
        return self._bytes.get(b"\x00" + _LONG.pack(self._segment(start)) + key + _TAIL.pack(start, self._sequence))

    def _segments_between(self, low: int, high: int, reverse: bool) -> list[int]:
        first, last = self._segment(low), self._segment(high)
        found = [segment for segment in self._segments if first <= segment <= last]
        return found[::-1] if reverse else found

    def fetch(self, key: bytes, low: int, high: int, reverse: bool) -> Iterator[WindowEntry]:
        low = self._oldest(low)
        size = 9 + len(key) + 12
        for segment in self._segments_between(low, high, reverse) if high >= low else ():
            prefix = b"\x00" + _LONG.pack(segment) + key
            bottom, top = prefix + _TAIL.pack(low, 0), prefix + _TAIL.pack(high, 0x7FFFFFFF) + b"\x00"
            for place, value in self._bytes.scan(bottom, top, reverse=reverse):
                if len(place) == size:
                    yield key, _LONG.unpack(place[-12:-4])[0], value

    def fetch_range(
        self, low_key: bytes | None, high_key: bytes | None, low: int, high: int, reverse: bool
    ) -> Iterator[WindowEntry]:
        low = self._oldest(low)
        if self._is_time_ordered and not self._has_key_index:
            yield from self._fetch_by_time(low_key, high_key, low, high, reverse)
            return
        for segment in self._segments_between(low, high, reverse) if high >= low else ():
            prefix = b"\x00" + _LONG.pack(segment)
            bottom = prefix + (low_key or b"")
            top = b"\x00" + _LONG.pack(segment + 1) if high_key is None else prefix + _above(high_key, high)
            for place, value in self._bytes.scan(bottom, top, reverse=reverse):
                key, start = place[9:-12], _LONG.unpack(place[-12:-4])[0]
                if (
                    low <= start <= high
                    and (low_key is None or key >= low_key)
                    and (high_key is None or key <= high_key)
                ):
                    yield key, start, value

    def fetch_all(self, low: int, high: int, reverse: bool) -> Iterator[WindowEntry]:
        if not self._is_time_ordered:
            return self.fetch_range(None, None, low, high, reverse)
        return self._fetch_by_time(None, None, self._oldest(low), high, reverse)

    def _fetch_by_time(
        self, low_key: bytes | None, high_key: bytes | None, low: int, high: int, reverse: bool
    ) -> Iterator[WindowEntry]:
        for segment in self._segments_between(low, high, reverse) if high >= low else ():
            prefix = b"\x01" + _LONG.pack(segment)
            bottom, top = prefix + _LONG.pack(low), prefix + _LONG.pack(high) + b"\xff" * 64
            for place, _ in self._bytes.scan(bottom, top, reverse=reverse):
                start, key = _LONG.unpack(place[9:17])[0], place[17:-4]
                if (low_key is None or key >= low_key) and (high_key is None or key <= high_key):
                    value = self._bytes.get(b"\x00" + place[1:9] + key + place[9:17] + place[-4:])
                    if value is not None:
                        yield key, start, value

    def all(self, reverse: bool) -> Iterator[WindowEntry]:
        last = self._segments[-1] * self._interval_ms + self._interval_ms if self._segments else 0
        return self.fetch_all(0, last, reverse)

    def commit(self) -> None:
        """Writes went through already."""

    def close(self) -> None:
        self._bytes.flush()
        self._bytes.close()


def _above(key: bytes, time: int) -> bytes:
    """Where a scan up to `key` ends: behind its windows up to `time`, as in Kafka.

    What sorts behind that is not found, be its key smaller: a later window of a key that `key` continues with zeros.
    Times that don't begin with a zero byte could hide more than that, and get a wider end.
    """
    return key + (_TAIL.pack(time, 0x7FFFFFFF) + b"\x00" if time < 1 << 56 else b"\xff" * 13)
