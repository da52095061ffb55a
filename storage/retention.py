"""Which segments have outlived their use. Decides only; the log deletes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from model.configs import LogConfig
from storage.segment import Segment


class Verdict(NamedTuple):
    """How many of the oldest segments go, and why the last of them does (for the log line)."""

    segments: int
    reason: str


def outlived(
    segments: Sequence[Segment], config: LogConfig, *, now_ms: int, high_watermark: int, log_start: int, log_end: int
) -> Verdict:
    """Segments go oldest first, whole, and only when all their offsets are below the high watermark.

    - below the log start (DeleteRecords, or a leader that said so): whatever the policy;
    - by time: their largest timestamp is older than `retention_ms`;
    - by size: without them the log still holds `retention_bytes`.

    The count may include the active segment when it holds anything; the log rolls before it deletes that one.
    """
    excess = sum(segment.size for segment in segments) - config.retention_bytes if config.retention_bytes >= 0 else -1
    reason = ""
    for count, segment in enumerate(segments):
        is_active = count == len(segments) - 1
        next_offset = log_end if is_active else segments[count + 1].base_offset
        if next_offset > high_watermark or (is_active and not segment.size):
            return Verdict(count, reason)
        if next_offset <= log_start and not is_active:
            reason = f"below the log start {log_start}"
        elif config.is_deleted and _is_too_old(segment, config.retention_ms, now_ms):
            reason = f"older than {config.retention_ms} ms"
        elif config.is_deleted and excess >= segment.size > 0:
            reason = f"beyond {config.retention_bytes} bytes"
        else:
            return Verdict(count, reason)
        excess -= segment.size
    return Verdict(len(segments), reason)


def _is_too_old(segment: Segment, retention_ms: int, now_ms: int) -> bool:
    """A segment whose batches carry no timestamp never grows old."""
    return retention_ms >= 0 and 0 <= segment.max_timestamp < now_ms - retention_ms
