"""An ordered map of bytes in RocksDB, through rocksdict (extra `streams`).

Writes gather in this process and go to RocksDB in one batch: when they are many, when somebody scans, and at `flush`,
which a commit calls. Between flushes the changelog is the durable copy, so RocksDB's own log need not be synced.
"""

from __future__ import annotations

from collections.abc import Iterator
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

    def __init__(self, path: Path) -> None:
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
        try:
            self._db: Any = Rdict(str(path), options)
        except Exception as error:  # rocksdict raises plain Exception
            raise StateStoreError(f"can't open the store at {path}: {error}") from error
        self.path = path
        self._batch_type = WriteBatch
        self._pending: dict[bytes, bytes | None] = {}

    def get(self, key: bytes) -> bytes | None:
        pending = self._pending
        if key in pending:
            return pending[key]
        value: bytes | None = self._db.get(key)
        return value

    def put(self, key: bytes, value: bytes) -> None:
        self._pending[key] = value
        if len(self._pending) >= MAX_PENDING:
            self._write()

    def delete(self, key: bytes) -> None:
        self._pending[key] = None
        if len(self._pending) >= MAX_PENDING:
            self._write()

    def _write(self) -> None:
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
        self._write()
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
        self._write()
        self._db.delete_range(low, high)

    def approximate_count(self) -> int:
        self._write()
        return int(self._db.property_int_value("rocksdb.estimate-num-keys") or 0)

    def flush(self) -> None:
        self._write()
        self._db.flush()

    def close(self) -> None:
        self.flush()
        self._db.close()


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


def rocks_byte_maps(directory: Path) -> ByteMaps:
    """Each store in a RocksDB of its own below `directory`."""

    def open_map(store_name: str) -> ByteMap:
        return RocksByteMap(directory / "rocksdb" / store_name)

    return open_map
