"""Versioned stores: every version of a key within the history, so that late records find the value of their time."""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from typing import Generic, NamedTuple, TypeVar

from streams.errors import StateStoreError
from streams.records import Headers
from streams.stores.builder import StoreBuilder
from streams.stores.byte_map import ByteMap
from streams.stores.store import StateStore, StoreContext
from streams.windowed_keys import MAX_TIME

K = TypeVar("K")
V = TypeVar("V")

NOT_PUT = -(2**63)
IS_LATEST = -1
NO_TIME = -1

_VERSION = struct.Struct(">qi")


class VersionedRecord(NamedTuple, Generic[V]):
    """A version: valid from `timestamp` until `valid_to`, None while it is the latest."""

    value: V
    timestamp: int
    valid_to: int | None = None


class _Versions:
    """One key's versions in order of time; a None value is a tombstone.

    Kafka knows most tombstones only as the end of the version before. Those in `late`, put before a later version,
    are versions of their own. `ends` are times at which there was a tombstone before there was a value.
    """

    __slots__ = ("ends", "late", "times", "values")

    def __init__(self) -> None:
        self.times: list[int] = []
        self.values: list[bytes | None] = []
        self.late: set[int] = set()
        self.ends: set[int] = set()

    @classmethod
    def read(cls, data: bytes | None) -> _Versions:
        """From the bytes that `written` gave: time, length (-1: tombstone, -2: late) and value of each version."""
        versions, at = cls(), 0
        while data and at < len(data):
            timestamp, length = _VERSION.unpack_from(data, at)
            at += _VERSION.size + max(length, 0)
            versions.times.append(timestamp)
            versions.values.append(None if length < 0 else data[at - length : at])
            if length == -2:
                versions.late.add(timestamp)
        return versions

    def written(self) -> bytes:
        parts = []
        for timestamp, value in zip(self.times, self.values, strict=True):
            length = len(value) if value is not None else -2 if timestamp in self.late else -1
            parts += [_VERSION.pack(timestamp, length), value or b""]
        return b"".join(parts)

    def replace(self, at: int, value: bytes | None) -> None:
        """A tombstone in place of the latest version leaves nothing behind where no version ends then."""
        timestamp, is_latest = self.times[at], at + 1 == len(self.times)
        follows_version = at > 0 and (self.values[at - 1] is not None or self.times[at - 1] in self.late)
        if self.values[at] is None and value is not None and is_latest:
            self.ends.add(timestamp)
        if value is None and is_latest and not (
            follows_version or self.values[at] is None or timestamp in self.ends
        ):
            del self.times[at], self.values[at]
            return
        self.values[at] = value
        self.mark(at)

    def mark(self, at: int) -> None:
        """Note whether what was put at `at` is a late tombstone."""
        if self.values[at] is None and at + 1 < len(self.times):
            self.late.add(self.times[at])
        else:
            self.late.discard(self.times[at])


class VersionedKeyValueStore(StateStore, Generic[K, V]):
    """`put(key, value, timestamp)` and `get(key)` or `get_as_of(key, timestamp)`."""

    is_persistent = True
    max_cached = 50_000

    def __init__(self, builder: StoreBuilder, context: StoreContext, byte_map: ByteMap) -> None:
        self.name = builder.name
        self.history_ms = builder.supplier.retention_ms
        interval_ms = builder.supplier.segment_interval_ms
        self._segment_ms = default_segment_interval_ms(self.history_ms) if interval_ms is None else interval_ms
        self._context = context
        self._latest = NO_TIME
        self._keys: dict[bytes, _Versions] = {}
        self._dirty: set[bytes] = set()
        self._bytes = byte_map
        topic = context.changelog_topic(self.name)
        key_serde = context.key_serde(builder.key_serde, self.name)
        value_serde = context.value_serde(builder.value_serde, self.name)
        self._key_bytes = key_serde.serializer(topic)
        self._value_bytes = value_serde.serializer(topic)
        self._value_object = value_serde.deserializer(topic)
        self._write = context.change_writer(self.name) if builder.is_logged else None

    def put(self, key: K, value: V | None, timestamp: int) -> int:
        """Returns IS_LATEST, or the time at which the next version takes over, or NOT_PUT when it is too late."""
        if key is None:
            raise StateStoreError(f"store {self.name}: a key can't be None")
        key_bytes, value_bytes = self._key_bytes(key) or b"", self._value_bytes(value)
        valid_to = self._put(key_bytes, value_bytes, timestamp)
        if valid_to == NOT_PUT and timestamp < self._latest - self.history_ms:
            self._context.dropped_records += 1
        if self._write is not None:
            self._write(key_bytes, value_bytes, timestamp, ())
        return valid_to

    def delete(self, key: K, timestamp: int) -> VersionedRecord[V] | None:
        """Put a tombstone, and return the version that was valid then."""
        previous = self.get_as_of(key, timestamp) if timestamp >= self._latest - self.history_ms else None
        self.put(key, None, timestamp)
        return previous

    def _put(self, key: bytes, value: bytes | None, timestamp: int) -> int:
        if timestamp < self._latest - self.history_ms:
            return NOT_PUT
        self._latest = max(self._latest, timestamp)
        versions = self._versions(key)
        self._dirty.add(key)
        self._forget_expired(versions)
        times, values = versions.times, versions.values
        at = bisect_left(times, timestamp)
        valid_to = times[at] if at < len(times) else IS_LATEST
        if at < len(times) and times[at] == timestamp:
            valid_to = times[at + 1] if at + 1 < len(times) else IS_LATEST
            versions.replace(at, value)
        elif valid_to != IS_LATEST and self._is_expired(valid_to):
            return NOT_PUT
        else:
            times.insert(at, timestamp)
            values.insert(at, value)
            versions.mark(at)
        return valid_to

    def _versions(self, key: bytes) -> _Versions:
        versions = self._keys.get(key)
        if versions is None:
            if len(self._keys) >= self.max_cached:
                self.commit()
                self._keys.clear()
            versions = self._keys[key] = _Versions.read(self._bytes.get(key))
        return versions

    def commit(self) -> None:
        for key in self._dirty:
            self._bytes.put(key, self._keys[key].written())
        self._dirty.clear()

    def close(self) -> None:
        self.commit()
        self._bytes.flush()
        self._bytes.close()

    def _is_expired(self, valid_to: int) -> bool:
        """Whether the segment that would hold a version valid until then is gone."""
        oldest = self._latest - self.history_ms
        return valid_to // self._segment_ms < oldest // self._segment_ms

    def _forget_expired(self, versions: _Versions) -> None:
        times = versions.times
        gone = 0
        while gone + 1 < len(times) and self._is_expired(times[gone + 1]):
            gone += 1
        if gone:
            versions.late.difference_update(times[:gone])
            versions.ends.difference_update(times[:gone])
            del times[:gone]
            del versions.values[:gone]

    def restore(self, key: bytes, value: bytes | None, timestamp: int, headers: Headers) -> None:
        self._put(key, value, timestamp)

    def get(self, key: K) -> VersionedRecord[V] | None:
        """The latest version; None when there is none or it is a tombstone."""
        versions = self._versions(self._key_bytes(key) or b"")
        if not versions.times or versions.values[-1] is None:
            return None
        return VersionedRecord(self._value_object(versions.values[-1]), versions.times[-1])

    def get_as_of(self, key: K, timestamp: int) -> VersionedRecord[V] | None:
        """The version valid at `timestamp`; None when there was none, or its time is past the history."""
        versions = self._versions(self._key_bytes(key) or b"")
        at = bisect_right(versions.times, timestamp) - 1
        if at < 0 or versions.values[at] is None:
            return None
        is_latest = at + 1 == len(versions.times)
        if not is_latest and timestamp < self._latest - self.history_ms:
            return None
        valid_to = None if is_latest else versions.times[at + 1]
        return VersionedRecord(self._value_object(versions.values[at]), versions.times[at], valid_to)

    def get_between(
        self, key: K, time_from: int = 0, time_to: int = MAX_TIME, *, descending: bool = True
    ) -> list[VersionedRecord[V]]:
        """The versions valid at some time in [time_from, time_to]."""
        versions = self._versions(self._key_bytes(key) or b"")
        times = versions.times
        first, last = max(bisect_right(times, time_from) - 1, 0), bisect_right(times, time_to)
        found = [
            VersionedRecord(self._value_object(value), times[at], times[at + 1] if at + 1 < len(times) else None)
            for at, value in enumerate(versions.values[first:last], first)
            if value is not None
        ]
        return found[::-1] if descending else found


def default_segment_interval_ms(history_ms: int) -> int:
    """Kafka's default length of a segment of versions."""
    return max(history_ms // 3, 2_000) if history_ms <= 60_000 else max(history_ms // 5, 60_000)
