"""The `.txnindex` beside a segment: transactions that were aborted by a marker in that segment.

A reader of committed records gets, with each fetch, the aborted transactions that overlap it, and drops their batches.
Rows of 34 bytes, ordered by the marker's offset: version 2 (0) | producer id 8 | first offset 8 | last offset 8 |
last stable offset 8. There is no file before the first abort.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from model.errors import StorageFailure
from storage.disk import Disk

SUFFIX = ".txnindex"
_ROW = struct.Struct(">hqqqq")
_VERSION = 0


class AbortedTransaction(NamedTuple):
    """`first_offset` is its first batch, `last_offset` its marker; `last_stable_offset` that of the moment it ended."""

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int


class TxnIndex:
    """One segment's index. Read once on first use and kept, for aborts are few."""

    __slots__ = ("_disk", "_rows", "path")

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self._disk = disk
        self._rows: list[AbortedTransaction] | None = None

    @property
    def entries(self) -> list[AbortedTransaction]:
        """Ordered by `last_offset`; not to be changed. A torn last row is ignored, the next append overwrites it."""
        if self._rows is None:
            self._rows = self._load()
        return self._rows

    def _load(self) -> list[AbortedTransaction]:
        if not self._disk.exists(self.path):
            return []
        content = self._disk.read_all(self.path)
        rows = []
        for version, *row in _ROW.iter_unpack(content[: len(content) - len(content) % _ROW.size]):
            if version != _VERSION:
                raise StorageFailure(f"{self.path} has a row of version {version}: remove the file, it will be rebuilt")
            rows.append(AbortedTransaction._make(row))
        return rows

    def append(self, aborted: AbortedTransaction) -> None:
        """Raises ValueError unless its marker comes after those known."""
        rows = self.entries
        if rows and aborted.last_offset <= rows[-1].last_offset:
            raise ValueError(f"{aborted} does not follow {rows[-1]} in {self.path}")
        self._disk.write(self.path, _ROW.pack(_VERSION, *aborted), len(rows) * _ROW.size)
        rows.append(aborted)

    def aborted_between(self, start: int, end: int) -> tuple[list[AbortedTransaction], bool]:
        """Aborted transactions with records in [start, end), and whether later segments' indexes need no look.

        A transaction's marker may lie segments behind its records, so a search goes on through the following
        segments until one answers True: from there on, all transactions began at or after `end`.
        """
        found = []
        for row in self.entries:
            if row.last_offset >= start and row.first_offset < end:
                found.append(row)
            if row.last_stable_offset >= end:
                return found, True
        return found, False

    def truncate_to(self, offset: int) -> None:
        """Forget transactions whose marker stood at or above `offset`: they are open again."""
        rows = self.entries
        keep = len(rows)
        while keep and rows[keep - 1].last_offset >= offset:
            keep -= 1
        if keep < len(rows):
            del rows[keep:]
            self._disk.truncate(self.path, keep * _ROW.size)

    def clear(self) -> None:
        """Forget all, before a rebuild; works on a damaged file too."""
        self._rows = []
        if self._disk.exists(self.path):
            self._disk.truncate(self.path, 0)

    def flush(self) -> None:
        if self._rows or (self._rows is None and self._disk.exists(self.path)):
            self._disk.sync(self.path)

    def delete(self) -> None:
        self._rows = []
        self._disk.remove(self.path)

    def check(self, base_offset: int) -> None:
        """Raises AssertionError unless rows rise and all markers lie in a segment that starts at `base_offset`."""
        offsets = [row.last_offset for row in self.entries]
        assert offsets == sorted(set(offsets)) and all(offset >= base_offset for offset in offsets), self.entries
