"""Which logs a start may trust because the machine has not gone down since they were last sound.

A process that is killed loses nothing it has written: the kernel still has it. Only when the machine went down is there
something to check from the recovery point on. The file `.boot` holds the id of the boot that wrote the directory, then
the name of each log not to be trusted all the same: not opened yet since the machine came up, or its disk fails.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from model.errors import StorageFailure
from storage.checkpoints import read_whole, write_atomically
from storage.disk import Disk

FILE_NAME = ".boot"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def current_boot_id() -> str:
    """The kernel's name for the time since it came up; empty where there is none, and then nothing is trusted."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


class BootRecord:
    """Read at the start, before a log is opened; `save` when `has_changed`. `had_doubts`: then, of any log."""

    def __init__(self, directory: Path, disk: Disk, boot_id: str, logs: Iterable[str]) -> None:
        """`logs` are all that the directory holds; after a clean stop, none: those need no trust."""
        self._path = directory / FILE_NAME
        self._disk = disk
        self._boot_id = boot_id
        lines = (read_whole(disk, self._path) or b"").decode("utf-8", "replace").splitlines()
        is_same_boot = bool(boot_id) and lines[:1] == [boot_id]
        self._doubtful: set[str] = set(lines[1:]) if is_same_boot else set(logs)
        self.had_doubts = bool(self._doubtful)
        self.has_changed = not is_same_boot

    def trusts(self, log: str) -> bool:
        return bool(self._boot_id) and log not in self._doubtful

    def vouch_for(self, log: str) -> None:
        """The log was opened and recovered, or is gone."""
        if log in self._doubtful:
            self._doubtful.remove(log)
            self.has_changed = True

    def doubt(self, log: str) -> None:
        """Its disk failed: what the kernel says it holds need not be what the disk holds. To be saved at once."""
        if log not in self._doubtful:
            self._doubtful.add(log)
            self.has_changed = True

    def save(self) -> None:
        """A record that can't be written is removed: without one, nothing is trusted."""
        content = "".join(f"{line}\n" for line in [self._boot_id, *sorted(self._doubtful)])
        try:
            write_atomically(self._disk, self._path, content.encode("utf-8"), durable=False)
        except StorageFailure:
            self._disk.remove(self._path)
        self.has_changed = False
