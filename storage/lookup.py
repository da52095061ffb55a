"""Which record has a timestamp: the search behind ListOffsets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from protocol.records import BatchHeader, Record, decode_records
from storage.segment import Segment


class FoundOffset(NamedTuple):
    """One record, and the leader epoch it was written under."""

    offset: int
    timestamp: int
    leader_epoch: int


def offset_for_timestamp(segments: Sequence[Segment], timestamp: int, log_start: int, up_to: int) -> FoundOffset | None:
    """The first record in [log_start, up_to) whose timestamp is `timestamp` or later."""
    for segment in segments:
        if segment.base_offset >= up_to:
            return None
        if segment.max_timestamp < timestamp:
            continue
        floor = segment.time_index.floor(timestamp).offset
        for header in segment.headers(segment.offset_index.floor(floor).position):
            if header.base_offset >= up_to:
                return None
            if header.max_timestamp < timestamp or header.last_offset < log_start:
                continue
            for record in _records(segment, header):
                if record.timestamp >= timestamp and log_start <= record.offset:
                    return _found(record, header) if record.offset < up_to else None
    return None


def latest_timestamp(segments: Sequence[Segment], log_start: int, up_to: int) -> FoundOffset | None:
    """The first record among those with the largest timestamp in [log_start, up_to)."""
    best: Segment | None = None
    for segment in segments:
        if segment.base_offset < up_to and segment.max_timestamp > (best.max_timestamp if best else -1):
            best = segment
    if best is None:
        return None
    header = best.find(best.offset_of_max_timestamp)
    if header is None or header.last_offset >= up_to or header.base_offset < log_start:
        header = _latest_within(segments, log_start, up_to)  # the largest lies out of sight: look at every batch
    if header is None:
        return None
    segment = next(segment for segment in reversed(segments) if segment.base_offset <= header.base_offset)
    seen = [record for record in _records(segment, header) if log_start <= record.offset < up_to]
    return _found(max(seen, key=lambda record: record.timestamp), header) if seen else None


def _latest_within(segments: Sequence[Segment], log_start: int, up_to: int) -> BatchHeader | None:
    best: BatchHeader | None = None
    for segment in segments:
        for header in segment.headers():
            if header.base_offset >= up_to:
                return best
            if header.last_offset >= log_start and header.max_timestamp > (best.max_timestamp if best else -1):
                best = header
    return best


def _records(segment: Segment, header: BatchHeader) -> list[Record]:
    return decode_records(segment.batch(header), header._replace(position=0))


def _found(record: Record, header: BatchHeader) -> FoundOffset:
    return FoundOffset(record.offset, record.timestamp, header.leader_epoch)
