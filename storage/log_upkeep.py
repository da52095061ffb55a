"""What a log undergoes besides appends and reads: truncation, retention, flushing, deletion, closing."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence

from model.configs import LogConfig
from model.errors import OffsetOutOfRange
from storage.flushing import FlushJob
from storage.log_state import LogState, changes
from storage.retention import outlived
from storage.segment import Segment
from storage.snapshots import rebuild

logger = logging.getLogger(__name__)

_SMALL_BYTES = 64 * 1024


class LogUpkeep(LogState):
    """The half of Log that is not hot."""

    def update_config(self, config: LogConfig) -> None:
        """Holds from the next append, roll or retention on."""
        self.config = config

    @changes
    def roll(self, now_ms: int) -> None:
        """Start a new segment now, unless the active one is empty."""
        if self.active.size:
            self._roll(self.log_end_offset)
            self.active.create()

    # --- Forgetting the end -------------------------------------------------------------------------------------------

    @changes
    def truncate_to(self, offset: int) -> None:
        """Forget every record at or above `offset`.

        Called by a follower when its leader's epochs disagree (KIP-101). Segments wholly above are deleted, the one
        that holds `offset` is cut at a batch boundary: a batch that straddles it goes whole, and the log then ends
        before that batch. What `read` returned earlier stays readable.

        At or above the log end no record goes, but an epoch does that we led without writing anything: the leader does
        not know it, and would send us here again and again.

        Raises OffsetOutOfRange when `offset` is below the log start.
        """
        if offset < self.log_start_offset:
            raise OffsetOutOfRange(f"cannot truncate to {offset}, the log starts at {self.log_start_offset}")
        if offset >= self.log_end_offset:
            self.leader_epochs.truncate_from_end(self.log_end_offset)
            return
        keep = self._segment_index(offset)
        self._drop_newest(keep + 1)
        cut = self.active.find(offset)
        end = offset if cut is None else min(offset, cut.base_offset)
        if cut is not None:
            self.active.truncate(cut.position, end)
        self.log_end_offset = end
        self.log_start_offset = min(self.log_start_offset, end)
        # the cut has to be flushed too, even if the log goes on in another segment
        self.recovery_point = min(self.recovery_point, max(self.active.base_offset, self.log_start_offset))
        self.leader_epochs.truncate_from_end(end)
        self._snapshots.remove_above(end)
        self.producers = rebuild(self.segments, self._snapshots, up_to=end)
        self._truncations += 1

    def _drop_newest(self, keep: int) -> None:
        """Newest first, so that a crash in between leaves no hole."""
        while len(self.segments) > keep:
            self.segments.pop().delete()
            self._bases.pop()
            self._names_changed = True

    @changes
    def truncate_fully_and_start_at(self, offset: int) -> None:
        """Forget everything; the next append is at `offset`. For a follower whose leader starts above its end."""
        self._drop_newest(0)
        self._snapshots.remove_above(-1)
        self.leader_epochs.clear()
        self.producers.reset()
        fresh = Segment(self.directory, offset, self._disk, is_new=True)
        fresh.create()
        self.segments.append(fresh)
        self._bases.append(offset)
        self.log_start_offset = self.log_end_offset = self.recovery_point = offset
        self._truncations += 1

    # --- Forgetting the start -----------------------------------------------------------------------------------------

    @changes
    def advance_log_start(self, offset: int) -> bool:
        """Records below `offset` are no longer served (DeleteRecords, or the leader's start); True when that was news.

        Whole segments below go at the next `apply_retention`. Raises OffsetOutOfRange above the log end; the caller
        sees to it that it is not above the high watermark.
        """
        if offset > self.log_end_offset:
            raise OffsetOutOfRange(f"cannot start at {offset}, the log ends at {self.log_end_offset}")
        if offset <= self.log_start_offset:
            return False
        self.log_start_offset = offset
        self.recovery_point = max(self.recovery_point, offset)
        self.leader_epochs.truncate_from_start(offset)
        return True

    @changes
    def apply_retention(self, now_ms: int, high_watermark: int) -> int:
        """Delete the segments that have outlived their use, never above the high watermark; how many."""
        count, reason = outlived(
            self.segments,
            self.config,
            now_ms=now_ms,
            high_watermark=high_watermark,
            log_start=self.log_start_offset,
            log_end=self.log_end_offset,
        )
        if not count:
            return 0
        if count == len(self.segments):
            self._roll(self.log_end_offset)
            self.active.create()
        for segment in self.segments[:count]:
            segment.delete()
        del self.segments[:count], self._bases[:count]
        self._names_changed = True
        self.log_start_offset = max(self.log_start_offset, self._bases[0])
        self.recovery_point = max(self.recovery_point, self.log_start_offset)
        self.leader_epochs.truncate_from_start(self.log_start_offset)
        self._snapshots.remove_below(self._bases[0])
        logger.info("%s: deleted %d segments %s, starts at %d", self.topic_partition, count, reason, self._bases[0])
        return count

    def replace_segments(self, old: Sequence[Segment], new: Segment) -> None:
        """Compaction has put `new` in the place of `old`, neighbours in this order, on disk; now here."""
        first = self.segments.index(old[0])
        assert self.segments[first : first + len(old)] == list(old), (self.segments, old)
        self.segments[first : first + len(old)] = [new]
        self._bases[first : first + len(old)] = [new.base_offset]
        self._names_changed = True

    # --- Durability ---------------------------------------------------------------------------------------------------

    @changes
    def begin_flush(self) -> FlushJob | None:
        """What has to be synced now; None when everything is durable. Run it anywhere, then `finish_flush`."""
        if self.recovery_point >= self.log_end_offset:
            return None
        dirty = self.segments[self._segment_index(self.recovery_point) :]
        paths = []
        for segment in dirty:
            segment.write_indexes()
            if segment.size:  # below the recovery point the indexes are trusted as well
                paths.append(segment.log_path)
                paths += segment.offset_index.take_unsynced() + segment.time_index.take_unsynced()
            if segment.txn_index.entries:
                paths.append(str(segment.txn_index.path))
        epochs = self.leader_epochs.take_unsynced()
        if epochs is not None:
            paths.append(str(epochs))
        directory = self.directory if self._names_changed or epochs is not None else None
        self._names_changed = False
        return FlushJob(self.log_end_offset, tuple(paths), directory, self._disk, self._truncations)

    def finish_flush(self, job: FlushJob, now_ms: int | None = None) -> None:
        """The job has run without a StorageFailure (else: `mark_failed`)."""
        if now_ms is not None:
            self._last_flush_ms = now_ms
        if job.truncations == self._truncations:
            self.recovery_point = max(self.recovery_point, job.up_to)

    @changes
    def flush(self, now_ms: int | None = None) -> None:
        """Make all of it durable, before returning."""
        job = self.begin_flush()
        if job is not None:
            job.run()
            self.finish_flush(job, now_ms)

    def flush_is_due(self, now_ms: int) -> bool:
        """By `flush.messages` or `flush.ms`."""
        unflushed = self.log_end_offset - self.recovery_point
        if unflushed <= 0:
            return False
        return unflushed >= self.config.flush_messages or now_ms - self._last_flush_ms >= self.config.flush_ms

    def maybe_flush(self, now_ms: int) -> bool:
        """Flush if `flush.messages` or `flush.ms` say so; for the end of an append and for a timer."""
        is_due = self.flush_is_due(now_ms)
        if is_due:
            self.flush(now_ms)
        return is_due

    # --- The end ------------------------------------------------------------------------------------------------------

    def close(self, *, sync: bool = True) -> None:
        """Leave the log so that the next start needs no recovery (if all logs of the broker did, it says so).

        `sync=False` skips the fsync: good against the death of the process, not of the machine.
        """
        if not self.is_failed:
            self._close_in_order(sync)
        for segment in self.segments:
            segment.close()

    @changes
    def _close_in_order(self, sync: bool) -> None:
        if sync:
            self.flush()
        if len(self.segments) == 1 and self.active.size < _SMALL_BYTES and not len(self.producers):
            return  # the next start reads it quicker than we could write an index and a snapshot
        self.active.seal()
        if self.log_end_offset > max([-1, *self._snapshots.offsets[-1:]]) and self.active.size:
            self._snapshots.write(self.log_end_offset, self.producers)

    def delete(self) -> None:
        """Remove the partition from this disk; the log must not be used any more.

        Renamed first, as one step: a crash leaves either the log or a directory that the next start removes.
        """
        self.is_failed = True
        doomed = self.directory.with_name(f"{self.topic_partition}.{uuid.uuid4().hex}-delete")
        if not self._disk.exists(self.directory):
            return
        self._disk.rename(self.directory, doomed)
        self._disk.remove_tree(doomed)
