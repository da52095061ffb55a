"""An ordered map of bytes in RocksDB, through rocksdict (extra `streams`).

Writes gather in this process and go to RocksDB in one batch: when they are many, when somebody scans, and at
`write_pending`, which a commit calls. Between commits the changelog is the durable copy, so RocksDB's own log need not
be synced. While the map `holds` its writes back (a transaction is open), only `write_pending` lets them go: a kill then
leaves nothing in the files that was never committed.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

from streams.errors import StateStoreError
from streams.stores.byte_map import ByteMap, Entry
from streams.stores.factory import ByteMaps

MAX_PENDING = 20_000


class RocksByteMap:
    """One RocksDB at `path`, made if it isn't there. One process at a time may have it open.

    Raises StateStoreError when it can't be opened: another process holds it, or its files are damaged.
    """

    def __init__(self, path: Path, *, holds: bool = False, patience_s: float = 0.0) -> None:
        try:
            from rocksdict import Options, Rdict, WriteBatch
        except ImportError as error:
            raise StateStoreError("persistent stores need rocksdict: pip install 'odradek[streams]'") from error
        path.mkdir(parents=True, exist_ok=True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(16 << 20)
        options.set_max_write_buffer_number(3)
        options.set_keep_log_file_num(1)
        self._db: Any = _open(lambda: Rdict(str(path), options), path, patience_s)
        self.path = path
        self.holds = holds
        self._batch_type = WriteBatch
        self._pending: dict[bytes, bytes | None] = {}
        self._dropped: list[tuple[bytes, bytes]] = []  # ranges to delete, held back with the rest

    def get(self, key: bytes) -> bytes | None:
        pending = self._pending
        if key in pending:
            return pending[key]
        if self._dropped and self._is_dropped(key):
            return None
        value: bytes | None = self._db.get(key)
        return value

    def _is_dropped(self, key: bytes) -> bool:
        return any(low <= key < high for low, high in self._dropped)

    def put(self, key: bytes, value: bytes) -> None:
        self._pending[key] = value
        if len(self._pending) >= MAX_PENDING and not self.holds:
            self.write_pending()

    def delete(self, key: bytes) -> None:
        self._pending[key] = None
        if len(self._pending) >= MAX_PENDING and not self.holds:
            self.write_pending()

    def put_all(self, entries: Mapping[bytes, bytes | None]) -> None:
        """Many at once; None deletes."""
        self._pending.update(entries)
        if len(self._pending) >= MAX_PENDING and not self.holds:
            self.write_pending()

    def write_pending(self) -> None:
        """To RocksDB, where it survives a kill of this process."""
        for low, high in self._dropped:
            self._db.delete_range(low, high)
        self._dropped.clear()
        if not self._pending:
            return
        batch = self._batch_type(raw_mode=True)
        for key, value in self._pending.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        self._db.write(batch)
        self._pending.clear()

    def scan(self, low: bytes | None, high: bytes | None, *, reverse: bool = False) -> Iterator[Entry]:
        if not self.holds:
            self.write_pending()
        elif self._pending or self._dropped:
            return self._scan_with_pending(low, high, reverse)
        return self._scan_written(low, high, reverse)

    def _scan_with_pending(self, low: bytes | None, high: bytes | None, reverse: bool) -> Iterator[Entry]:
        """What is held back over what RocksDB has."""
        held = {
            key: value
            for key, value in self._pending.items()
            if (low is None or key >= low) and (high is None or key < high)
        }
        written: Iterator[Entry] = self._scan_written(low, high, reverse)
        if self._dropped:
            dropped = self._dropped[:]
            written = (row for row in written if not any(first <= row[0] < last for first, last in dropped))
        fresh = iter(sorted(((key, value) for key, value in held.items() if value is not None), reverse=reverse))
        unchanged = (row for row in written if row[0] not in held)
        return heapq.merge(fresh, unchanged, key=itemgetter(0), reverse=reverse)

    def _scan_written(self, low: bytes | None, high: bytes | None, reverse: bool) -> Iterator[Entry]:
        # The iterator pins what RocksDB holds right now: writes during the scan stay invisible to it.
        places: _Places = self._db.iter()
        if not reverse:
            if low is None:
                places.seek_to_first()
            else:
                places.seek(low)
            return self._forward(places, high)
        if high is None:
            places.seek_to_last()
        else:
            places.seek_for_prev(high)
            if places.valid() and places.key() == high:
                places.prev()
        return self._backward(places, low)

    @staticmethod
    def _forward(places: _Places, high: bytes | None) -> Iterator[Entry]:
        while places.valid():
            key = places.key()
            if high is not None and key >= high:
                return
            yield key, places.value()
            places.next()

    @staticmethod
    def _backward(places: _Places, low: bytes | None) -> Iterator[Entry]:
        while places.valid():
            key = places.key()
            if low is not None and key < low:
                return
            yield key, places.value()
            places.prev()

    def delete_range(self, low: bytes, high: bytes) -> None:
        if self.holds:
            for key in [key for key in self._pending if low <= key < high]:
                del self._pending[key]
            self._dropped.append((low, high))
            return
        self.write_pending()
        self._db.delete_range(low, high)

    def approximate_count(self) -> int:
        if not self.holds:
            self.write_pending()
        return int(self._db.property_int_value("rocksdb.estimate-num-keys") or 0)

    def flush(self) -> None:
        if not self.holds:
            self.write_pending()
        self._db.flush()

    def close(self) -> None:
        """What is held back is forgotten: it belongs to a transaction that somebody else will do again."""
        self.flush()
        self._pending.clear()
        self._dropped.clear()
        self._db.close()


def _open(make: Callable[[], Any], path: Path, patience_s: float) -> Any:
    """The instance that had these files may still be closing them: try for a while."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return make()
        except Exception as error:  # rocksdict raises plain Exception
            if "lock" not in str(error).lower() or time.monotonic() > deadline:
                raise StateStoreError(f"can't open the store at {path}: {error}") from error
        time.sleep(0.05)


class _Places(Protocol):
    """What rocksdict's iterators offer, for the type checker."""

    def valid(self) -> bool: ...

    def seek(self, key: bytes) -> None: ...

    def seek_for_prev(self, key: bytes) -> None: ...

    def seek_to_first(self) -> None: ...

    def seek_to_last(self) -> None: ...

    def key(self) -> bytes: ...

    def value(self) -> bytes: ...

    def next(self) -> None: ...

    def prev(self) -> None: ...


def rocks_byte_maps(
    directory: Path, opened: list[RocksByteMap] | None = None, *, patience_s: float = 0.0
) -> ByteMaps:
    """Each store in a RocksDB of its own below `directory`; `opened` gets those that were asked for.

    `patience_s` is how long to wait for another instance that still has the files.
    """

    def open_map(store_name: str) -> ByteMap:
        found = RocksByteMap(directory / "rocksdb" / store_name, patience_s=patience_s)
        if opened is not None:
            opened.append(found)
        return found

    return open_map
