"""The `.snapshot` files of a log: the producers' state at some offsets, so that a start replays only what follows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from model.errors import CorruptMessage, StorageFailure
from protocol.control_batches import end_txn_marker
from protocol.records import BatchHeader
from storage.checkpoints import write_atomically
from storage.disk import Disk
from storage.producer_state import CompletedTransaction, ProducerStateMap
from storage.segment import Segment

SUFFIX = ".snapshot"
logger = logging.getLogger(__name__)

OnTransaction = Callable[[Segment, CompletedTransaction], None]


class ProducerSnapshots:
    """Those of one log, by offset; `offsets` is what the directory held when it was opened."""

    __slots__ = ("_directory", "_disk", "_offsets")

    def __init__(self, directory: Path, disk: Disk, offsets: Iterable[int] = ()) -> None:
        self._directory = directory
        self._disk = disk
        self._offsets = sorted(offsets)

    def _path(self, offset: int) -> Path:
        return self._directory / f"{offset:020d}{SUFFIX}"

    @property
    def offsets(self) -> list[int]:
        return list(self._offsets)

    def write(self, offset: int, producers: ProducerStateMap, *, durable: bool = False) -> None:
        """Keep the state as of `offset`, which is not below the newest one."""
        write_atomically(self._disk, self._path(offset), producers.encode(), durable=durable)
        if not self._offsets or self._offsets[-1] != offset:
            self._offsets.append(offset)

    def remove_above(self, offset: int) -> None:
        while self._offsets and self._offsets[-1] > offset:
            self._disk.remove(self._path(self._offsets.pop()))

    def remove_below(self, offset: int) -> None:
        while self._offsets and self._offsets[0] < offset:
            self._disk.remove(self._path(self._offsets.pop(0)))

    def remove_strays(self, segments: Sequence[Segment]) -> None:
        """Those that belong to no segment, but for the newest."""
        bases = {segment.base_offset for segment in segments}
        for offset in self._offsets[:-1]:
            if offset not in bases:
                self._disk.remove(self._path(offset))
                self._offsets.remove(offset)

    def newest(self, up_to: int) -> tuple[int, ProducerStateMap]:
        """The newest readable state at or below `up_to`, with its offset; an empty one at -1 when there is none."""
        for offset in reversed(self._offsets):
            if offset > up_to:
                continue
            try:
                return offset, ProducerStateMap.decode(self._disk.read_all(self._path(offset)))
            except (CorruptMessage, StorageFailure) as error:
                logger.warning("ignoring the producer snapshot %s: %s", self._path(offset), error)
                self._disk.remove(self._path(offset))
                self._offsets.remove(offset)
        return -1, ProducerStateMap()


def rebuild(
    segments: Sequence[Segment],
    snapshots: ProducerSnapshots,
    *,
    up_to: int,
    not_after: int | None = None,
    on_transaction: OnTransaction | None = None,
) -> ProducerStateMap:
    """The producers' state at `up_to`, from the newest snapshot (at or below `not_after`) and the batches since.

    `on_transaction` hears of every transaction that a marker in those batches ends.
    """
    start, producers = snapshots.newest(up_to if not_after is None else not_after)
    for index, segment in enumerate(segments):
        if index + 1 < len(segments) and segments[index + 1].base_offset <= start:
            continue
        first = segment.find(start) if start > segment.base_offset else None
        if first is None and start > segment.base_offset:
            continue
        for header in segment.headers(first.position if first else 0):
            if header.base_offset >= up_to:
                return producers
            completed = take_in(segment, header, producers) if header.producer_id >= 0 else None
            if completed is not None and on_transaction is not None:
                on_transaction(segment, completed)
    return producers


def take_in(segment: Segment, header: BatchHeader, producers: ProducerStateMap) -> CompletedTransaction | None:
    """Replay one batch that stands in `segment`."""
    if not header.is_control:
        return producers.update(header)
    here = header._replace(position=0)
    return producers.update(here, end_txn_marker(segment.batch(header), here))
