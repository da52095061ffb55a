"""Making a log durable without holding up the event loop: begin on the loop, run anywhere, finish on the loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from model.errors import StorageFailure
from storage.disk import Disk


@dataclass(frozen=True, slots=True)
class FlushJob:
    """Syncs what a log held when the job was made. Touches no shared state, so `run` may take a worker thread."""

    up_to: int
    paths: tuple[str, ...]
    directory: Path | None
    disk: Disk
    truncations: int

    def run(self) -> None:
        """Raises StorageFailure; then nothing may be taken for durable, and the partition goes offline.

        A file that is gone was removed since by retention, compaction or the deletion of the topic; with it went what
        had to be made durable.
        """
        for path in self.paths:
            self._sync(self.disk.sync, path)
        if self.directory is not None:
            self._sync(self.disk.sync_directory, self.directory)

    def _sync(self, sync: Callable[[str | Path], None], path: str | Path) -> None:
        try:
            sync(path)
        except StorageFailure:
            if self.disk.exists(path):
                raise
