"""Which part of a log is worth compacting now, and what cleaning needs of a log. The cleaning is in `cleaner.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from model.configs import LogConfig
from model.errors import StorageFailure
from storage.flushing import FlushJob
from storage.producer_state import ProducerStateMap
from storage.segment import Segment
from storage.txn_index import AbortedTransaction


class CleanableLog(Protocol):
    """What cleaning needs of a Log."""

    directory: Path
    config: LogConfig
    segments: list[Segment]
    log_start_offset: int
    log_end_offset: int
    recovery_point: int
    producers: ProducerStateMap
    is_failed: bool

    def aborted_transactions(self, start: int, end: int) -> list[AbortedTransaction]: ...
    def begin_flush(self) -> FlushJob | None: ...
    def finish_flush(self, job: FlushJob, now_ms: int | None = None) -> None: ...
    def mark_failed(self, error: StorageFailure) -> None: ...

    def replace_segments(self, old: Sequence[Segment], new: Segment) -> None:
        """`new` has taken the place of `old` on disk; from now on it is part of the log, and they are not."""


@dataclass(frozen=True, slots=True)
class CleaningPlan:
    """`segments` are all that lie below `end_offset`; of their bytes, `dirty_bytes` lie above the last cleaning."""

    first_dirty_offset: int
    end_offset: int
    segments: tuple[Segment, ...]
    dirty_bytes: int
    total_bytes: int
    is_overdue: bool

    @property
    def dirty_ratio(self) -> float:
        """The filthiest log is cleaned first."""
        return self.dirty_bytes / self.total_bytes


def plan_cleaning(
    log: CleanableLog, *, cleaned_up_to: int | None, high_watermark: int, now_ms: int
) -> CleaningPlan | None:
    """What to clean, or None when it isn't worth it yet.

    Whole segments, never the active one; only what is replicated and whose transactions are decided; only records
    older than `min.compaction.lag.ms`. Worth it is a dirty part of more than `min.cleanable.dirty.ratio`, or one with
    records older than `max.compaction.lag.ms`. `cleaned_up_to` comes from the checkpoint, None when it has no entry.
    """
    config, segments = log.config, log.segments
    start = max(log.log_start_offset, segments[0].base_offset)
    first_dirty = start if cleaned_up_to is None or not start <= cleaned_up_to <= log.log_end_offset else cleaned_up_to
    unstable = log.producers.first_unstable_offset
    bound = high_watermark if unstable is None else min(high_watermark, unstable)
    chosen: list[Segment] = []
    dirty_bytes, is_overdue, end = 0, False, segments[0].base_offset
    for segment, following in pairwise(segments):
        is_dirty = following.base_offset > first_dirty
        if following.base_offset > bound or (is_dirty and _is_too_young(segment, config.min_compaction_lag_ms, now_ms)):
            break
        chosen.append(segment)
        end = following.base_offset
        if is_dirty:
            dirty_bytes += segment.size
            is_overdue = is_overdue or 0 < segment.first_timestamp < now_ms - config.max_compaction_lag_ms
    total_bytes = sum(segment.size for segment in chosen)
    plan = CleaningPlan(first_dirty, end, tuple(chosen), dirty_bytes, max(1, total_bytes), is_overdue)
    is_worth_it = dirty_bytes > 0 and (is_overdue or plan.dirty_ratio > config.min_cleanable_dirty_ratio)
    return plan if is_worth_it else None


def _is_too_young(segment: Segment, min_compaction_lag_ms: int, now_ms: int) -> bool:
    return min_compaction_lag_ms > 0 and segment.max_timestamp > now_ms - min_compaction_lag_ms
