"""Which leader epoch wrote which offsets, so that replicas that diverge agree where to cut (KIP-101, KIP-320).

An entry (epoch, start_offset) says: records from `start_offset` on, up to the next entry's start, were written under
`epoch`. Both rise strictly. Kept in Kafka's `leader-epoch-checkpoint`: version, count, then one "epoch offset" a line.

The file can be a step behind after power loss when changes were not durable; the batches in the log carry their epochs,
so the loader brings it up to date by assigning each recovered batch's epoch again and cutting what lies past the end.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from storage.checkpoints import CheckpointFile
from storage.disk import Disk

FILE_NAME = "leader-epoch-checkpoint"
UNKNOWN = (-1, -1)


class EpochStart(NamedTuple):
    """One line of the checkpoint."""

    epoch: int
    start_offset: int


class LeaderEpochs:
    """The epochs of one partition, in memory and on disk. An empty one leaves no file behind.

    `is_suspect` is True when the file on disk could not be read as a checkpoint: the map then starts with the lines
    that are whole, and the loader must assign the epoch of every batch in the log again.
    """

    __slots__ = ("_disk", "_epochs", "_file", "_is_stale", "_starts", "is_suspect")

    def __init__(self, path: Path, disk: Disk) -> None:
        self._file = CheckpointFile(path, disk, version=0)
        self._epochs: list[int] = []
        self._starts: list[int] = []
        self._is_stale = True  # whoever wrote the file may have died before it was durable
        self.is_suspect = False
        try:
            self._take(self._file.read())
        except ValueError:
            self.is_suspect = True
            with suppress(ValueError):
                self._take(self._file.salvage())

    def _take(self, lines: list[str]) -> None:
        self._epochs.clear()
        self._starts.clear()
        for line in lines:
            epoch, start_offset = line.split(" ")
            self._append(int(epoch), int(start_offset))

    @property
    def entries(self) -> list[EpochStart]:
        return [EpochStart(*pair) for pair in zip(self._epochs, self._starts, strict=True)]

    def latest(self) -> EpochStart | None:
        return EpochStart(self._epochs[-1], self._starts[-1]) if self._epochs else None

    @property
    def first_epoch(self) -> int:
        """-1 when no epoch is known. The log holds nothing of older ones."""
        return self._epochs[0] if self._epochs else -1

    @property
    def latest_epoch(self) -> int:
        """-1 when no epoch is known."""
        return self._epochs[-1] if self._epochs else -1

    def assign(self, epoch: int, start_offset: int, *, durable: bool = False) -> bool:
        """Note that `epoch` begins at `start_offset`; True when that was news.

        The latest epoch again is no news (hot path: followers call this for every batch), unless it starts earlier.
        Entries that a new one contradicts (same or higher epoch, same or higher start) are dropped.
        `durable` pays for an fsync; without it the file is replaced atomically but may be lost to power failure.
        """
        epochs = self._epochs
        if epochs and epoch == epochs[-1] and start_offset >= self._starts[-1]:
            return False
        if epoch < 0 or start_offset < 0:
            raise ValueError(f"epoch {epoch} cannot start at offset {start_offset}")
        self._append(epoch, start_offset)
        self._write(durable)
        return True

    def _append(self, epoch: int, start_offset: int) -> None:
        while self._epochs and (self._epochs[-1] >= epoch or self._starts[-1] >= start_offset):
            self._epochs.pop()
            self._starts.pop()
        self._epochs.append(epoch)
        self._starts.append(start_offset)

    def end_offset_for(self, epoch: int, log_end: int) -> tuple[int, int]:
        """The largest known epoch <= `epoch` and the offset at which it ended (KIP-320's OffsetForLeaderEpoch).

        - The latest epoch ends at `log_end`.
        - An epoch older than all known ones ended where the first known one starts: its records are gone.
        - (-1, -1) for an epoch newer than the latest, for -1, or when nothing is known.
        """
        if epoch < 0 or not self._epochs or epoch > self._epochs[-1]:
            return UNKNOWN
        if epoch == self._epochs[-1]:
            return epoch, log_end
        higher = bisect_right(self._epochs, epoch)
        return (self._epochs[higher - 1] if higher else epoch), self._starts[higher]

    def epoch_for_offset(self, offset: int) -> int:
        """The epoch under which `offset` was written (or, past the end, would be); -1 when before all of them."""
        at = bisect_right(self._starts, offset)
        return self._epochs[at - 1] if at else -1

    def first_above(self, offset: int) -> EpochStart | None:
        """The first entry that starts above `offset`."""
        at = bisect_right(self._starts, offset)
        return EpochStart(self._epochs[at], self._starts[at]) if at < len(self._starts) else None

    def truncate_from_end(self, offset: int, *, durable: bool = False) -> None:
        """Forget epochs that start at or above `offset`: the log now ends there."""
        keep = bisect_left(self._starts, offset)
        if keep < len(self._starts):
            del self._epochs[keep:], self._starts[keep:]
            self._write(durable)

    def truncate_from_start(self, offset: int, *, durable: bool = False) -> None:
        """Forget epochs that ended at or below `offset`: the log now starts there, in the epoch that holds it."""
        drop = bisect_right(self._starts, offset) - 1
        if drop < 0 or (drop == 0 and self._starts[0] == offset):
            return
        del self._epochs[:drop], self._starts[:drop]
        self._starts[0] = offset
        self._write(durable)

    def clear(self, *, durable: bool = False) -> None:
        """Forget everything: the log starts anew."""
        if self._epochs:
            self._epochs.clear()
            self._starts.clear()
            self._write(durable)

    def flush(self) -> None:
        """Make what was written so far survive power loss; nothing to do when it already does."""
        if self._is_stale and self._epochs:
            self._write(durable=True)

    def take_unsynced(self) -> Path | None:
        """The file, if it is not durable yet and the caller now syncs it (and its directory); None when it is."""
        if not self._is_stale:
            return None
        self._is_stale = False
        return self._file.path

    def moved_to(self, path: Path) -> None:
        """The partition's directory was renamed; further writes go to `path`."""
        self._file.path = path

    def _write(self, durable: bool) -> None:
        pairs = zip(self._epochs, self._starts, strict=True)
        self._file.write([f"{epoch} {start}" for epoch, start in pairs], durable=durable, in_place=True)
        self._is_stale = not durable

    def check(self) -> None:
        """Raises AssertionError unless epochs and starts both rise strictly."""
        for numbers in (self._epochs, self._starts):
            assert all(before < after for before, after in pairwise(numbers)), self.entries
