"""The real log, watched: beside each one a list of the batches that it holds, so that logs can be compared quickly.

The list follows every append and truncation, and is read anew from the disk whenever the log is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from protocol.records import BatchHeader
from storage.log import AppendInfo, Log


class Batch(NamedTuple):
    """What tells one batch from another."""

    base_offset: int
    next_offset: int
    leader_epoch: int
    crc: int
    producer_id: int
    base_sequence: int


def batch_of(header: BatchHeader) -> Batch:
    return Batch(
        header.base_offset,
        header.next_offset,
        header.leader_epoch,
        header.crc,
        header.producer_id,
        header.base_sequence,
    )


class WatchedLog(Log):
    """`batches` are those from the log start on; `checked` of them are known to equal the committed ones.

    After a power loss the log `is_doubtful`: what it calls committed may have been lost, so it may take that back.
    """

    batches: list[Batch]
    checked: int = 0
    is_doubtful: bool = False
    on_cut: Callable[[WatchedLog, int], None] | None = None

    @classmethod
    def open(cls, directory: Path, *args: Any, **kwargs: Any) -> WatchedLog:
        log = super().open(directory, *args, **kwargs)
        assert isinstance(log, WatchedLog)
        log.batches = [batch_of(header) for segment in log.segments for header in segment.headers()]
        return log

    def _append(self, view: memoryview, headers: Sequence[BatchHeader], now_ms: int, append_time_ms: int) -> AppendInfo:
        info = super()._append(view, headers, now_ms, append_time_ms)
        self.batches += map(batch_of, headers)
        return info

    def truncate_to(self, offset: int) -> None:
        super().truncate_to(offset)
        self._cut(self.log_end_offset)

    def truncate_fully_and_start_at(self, offset: int) -> None:
        super().truncate_fully_and_start_at(offset)
        self._cut(0)

    def delete(self) -> None:
        super().delete()
        self._cut(0)

    def _cut(self, end: int) -> None:
        batches = self.batches
        while batches and batches[-1].next_offset > end:
            batches.pop()
        self.checked = 0
        if self.on_cut is not None:
            self.on_cut(self, end)
