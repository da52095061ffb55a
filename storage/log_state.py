"""What a log is made of: segments in a row, the offsets that bound it, its memory of epochs and producers."""

from __future__ import annotations

import logging
import zlib
from bisect import bisect_right
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from model.configs import LogConfig
from model.errors import StorageFailure
from model.ids import TopicPartition
from storage.disk import Disk
from storage.flushing import FlushJob
from storage.loader import LoadedLog
from storage.segment import Segment

logger = logging.getLogger(__name__)

_MAX_RELATIVE_OFFSET = (1 << 31) - 1  # index rows hold offsets relative to the segment's base in 4 bytes
P = ParamSpec("P")
R = TypeVar("R")
Self = TypeVar("Self", bound="LogState")


def changes(method: Callable[Concatenate[Self, P], R]) -> Callable[Concatenate[Self, P], R]:
    """A StorageFailure amid a change leaves memory and disk apart: from then on the log refuses to change."""

    @wraps(method)
    def guarded(self: Self, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.is_failed:
            raise StorageFailure(f"{self.topic_partition} is offline on this broker since its disk failed")
        try:
            return method(self, *args, **kwargs)
        except StorageFailure as error:
            self.mark_failed(error)
            raise

    return guarded  # type: ignore[return-value]  # wraps() forgets that self is positional


class LogState:
    """`recovery_point` is the offset below which everything is durable; the broker checkpoints it."""

    def __init__(
        self,
        directory: Path,
        topic_partition: TopicPartition,
        config: LogConfig,
        disk: Disk,
        loaded: LoadedLog,
        *,
        log_start_offset: int,
        recovery_point: int,
        now_ms: int,
    ) -> None:
        self.directory = directory
        self.topic_partition = topic_partition
        self.config = config
        self.segments = loaded.segments
        self.log_end_offset = loaded.log_end_offset
        self.torn_bytes = loaded.truncated_bytes  # cut off by recovery
        self.log_start_offset = max(log_start_offset, loaded.log_start_offset, loaded.segments[0].base_offset)
        self.recovery_point = min(max(recovery_point, self.log_start_offset), self.log_end_offset)
        self.leader_epochs = loaded.epochs
        self.producers = loaded.producers
        self.is_failed = False
        self.on_roll: Callable[[], None] | None = None  # what lies behind a new segment may be flushed now
        self._disk = disk
        self._snapshots = loaded.snapshots
        self._bases = [segment.base_offset for segment in loaded.segments]
        self._last_flush_ms = now_ms
        self._names_changed = True  # files made or renamed since the directory was last synced
        self._truncations = 0  # a flush that began before one says nothing about what came after

    # --- What it holds ------------------------------------------------------------------------------------------------

    @property
    def active(self) -> Segment:
        return self.segments[-1]

    @property
    def last_epoch(self) -> int:
        """The epoch of the last record, -1 when none is known."""
        return self.leader_epochs.latest_epoch

    @property
    def size_bytes(self) -> int:
        return sum(segment.size for segment in self.segments)

    def _segment_index(self, offset: int) -> int:
        return max(0, bisect_right(self._bases, offset) - 1)

    def segment_base(self, offset: int) -> int:
        """Where the segment begins that holds `offset`, or would."""
        return self._bases[self._segment_index(offset)]

    def mark_failed(self, error: StorageFailure) -> None:
        """The disk failed, here or in a FlushJob: refuse changes until the next start has recovered."""
        self.is_failed = True
        logger.error("%s goes offline on this broker: %s", self.topic_partition, error)

    # --- Segments -----------------------------------------------------------------------------------------------------

    def _roll_is_due(self, more_bytes: int, last_offset: int, newest_timestamp: int) -> bool:
        active, config = self.segments[-1], self.config
        if not active.size:
            return False
        if active.size + more_bytes > config.segment_bytes or last_offset - active.base_offset > _MAX_RELATIVE_OFFSET:
            return True
        room = config.segment_index_bytes
        if active.offset_index.size_bytes() + 8 > room or active.time_index.size_bytes() + 24 > room:
            return True
        first = active.first_timestamp
        return first >= 0 and newest_timestamp - first > self._segment_ms() - self._jitter_ms(active)

    def _segment_ms(self) -> int:
        """Only older segments are compacted, so a compaction that must not wait for long can't wait for the roll."""
        config = self.config
        return min(config.segment_ms, config.max_compaction_lag_ms) if config.is_compacted else config.segment_ms

    def _jitter_ms(self, segment: Segment) -> int:
        """Segments that started together shall not all roll together."""
        if not self.config.segment_jitter_ms:
            return 0
        most = min(self.config.segment_jitter_ms, self._segment_ms())
        return zlib.crc32(f"{self.topic_partition}{segment.base_offset}".encode()) % most if most > 0 else 0

    def _roll(self, base_offset: int) -> None:
        """Start a new segment. A fetch behind it still finds the old one, through its index.

        The epochs become durable first: if a power loss takes the end of the old segment back to what it was before a
        truncation, and leaves the new one, only they know that the two don't belong together.
        """
        epochs = self.leader_epochs.take_unsynced()
        if epochs is not None:
            FlushJob(base_offset, (str(epochs),), self.directory, self._disk, self._truncations).run()
        self.active.seal()
        self.active.close()
        self._snapshots.write(base_offset, self.producers)
        self.segments.append(Segment(self.directory, base_offset, self._disk, is_new=True))
        self._bases.append(base_offset)
        self._names_changed = True
        if self.on_roll is not None:
            self.on_roll()

    def check(self) -> None:
        """Raises AssertionError unless bounds, segments and memories fit together."""
        assert self._bases == [segment.base_offset for segment in self.segments]
        assert self._bases == sorted(set(self._bases)), self._bases
        assert self._bases[0] <= self.log_start_offset <= self.log_end_offset, self
        assert self._bases[-1] <= self.log_end_offset, self
        assert self.recovery_point <= self.log_end_offset, self
        latest = self.leader_epochs.latest()
        assert latest is None or latest.start_offset <= self.log_end_offset, self
        self.leader_epochs.check()
        self.producers.check_invariants()

    def __repr__(self) -> str:
        return f"Log({self.topic_partition}, [{self.log_start_offset}, {self.log_end_offset}), {self._bases})"
