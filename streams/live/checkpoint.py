"""How far the files of a task's stores are, by changelog: what need not be read again after a restart or a kill.

Written after every commit. The files may be ahead of it (a kill came between), never behind: the changelog's records
can be applied twice. Three things make it void: another boot, unless the stores were closed in order (what a power loss
took from the disk's cache is unknown); an age past which a changelog may have forgotten deletions; a changelog that
begins later or ends earlier than the position.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from streams.live.settings import this_host

MOST_AGE_MS = 20 * 3600 * 1000  # topics keep deletions for 24 h (delete.retention.ms)


class _Written(msgspec.Struct):
    offsets: dict[str, int]
    host: str = ""
    is_clean: bool = False
    written_ms: int = 0


class Checkpoint:
    """Of the task whose files lie in `directory`; without one there is nothing to remember.

    `logged` are its stores that have a changelog: the files of others are never removed.
    """

    def __init__(self, directory: Path | None, logged: Iterable[str] = ()) -> None:
        self._directory = directory
        self._logged = tuple(logged)
        self._path = None if directory is None else directory / "checkpoint.json"

    def read(self) -> dict[str, int]:
        """Offsets by changelog; empty, and the files removed, when they can't be trusted."""
        if self._path is None:
            return {}
        try:
            said = msgspec.json.decode(self._path.read_bytes(), type=_Written)
        except (OSError, msgspec.DecodeError):
            self.wipe()
            return {}
        is_same_boot = said.host == this_host()
        if not (is_same_boot or said.is_clean) or said.written_ms < time.time() * 1000 - MOST_AGE_MS:
            self.wipe()
            return {}
        return said.offsets

    def wipe(self) -> None:
        """Remove the stores' files: they begin anew."""
        if self._directory is not None:
            for name in self._logged:
                shutil.rmtree(self._directory / "rocksdb" / name, ignore_errors=True)
            (self._directory / "checkpoint.json").unlink(missing_ok=True)

    def write(self, offsets: Mapping[str, int], *, is_clean: bool = False) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".tmp")
        said = _Written(dict(offsets), this_host(), is_clean, int(time.time() * 1000))
        fresh.write_bytes(msgspec.json.encode(said))
        os.replace(fresh, self._path)


def is_trusted(position: int, start: int, end: int) -> bool:
    """Whether a position lies in the changelog as it is now: neither cut away in front nor beyond its end."""
    return start <= position <= end
