"""The real log, watched: beside each one a list of the batches that it holds, so that logs can be compared quickly.

The list follows every append and truncation, and is read anew from the disk whenever the log is opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from actors import offsets_records, transaction_log
from protocol.control_batches import end_txn_marker
from protocol.internal_topics import OffsetCommitValue
from protocol.records import CONTROL_BIT, TRANSACTIONAL_BIT, BatchHeader, Buffer, decode_records
from storage.log import AppendInfo, Log

NOTED = TRANSACTIONAL_BIT | CONTROL_BIT
OFFSETS, DECISIONS = "__consumer_offsets", "__transaction_state"
Note = str | bool | tuple[tuple[int, int], ...] | None
"""The tag of a transactional batch; a marker's outcome; (producer id, status) of each row of the transaction log."""


class Batch(NamedTuple):
    """What tells one batch from another."""

    base_offset: int
    next_offset: int
    leader_epoch: int
    crc: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    note: Note = None


def batch_of(header: BatchHeader, note: Note = None) -> Batch:
    return Batch(
        header.base_offset,
        header.next_offset,
        header.leader_epoch,
        header.crc,
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        note,
    )


_NOTES: dict[tuple[str, int], Note] = {}  # (topic, CRC) → what was found before: every batch is seen by each replica


def note_of(topic: str, data: Buffer, header: BatchHeader) -> Note:
    """What a batch (at `header.position` of `data`) says of transactions."""
    key = topic, header.crc
    if key not in _NOTES:
        if len(_NOTES) > 10_000:
            _NOTES.clear()
        _NOTES[key] = _read_note(topic, data, header)
    return _NOTES[key]


def _read_note(topic: str, data: Buffer, header: BatchHeader) -> Note:
    if header.is_control:
        marker = end_txn_marker(data, header)
        return None if marker is None else marker.is_commit
    if topic == DECISIONS:
        rows = transaction_log.decode(memoryview(data)[header.position : header.position + header.size])
        return tuple((value.producer_id, value.transaction_status) for _, value in rows if value is not None)
    if not header.is_transactional:
        return None
    if topic == OFFSETS:
        found = [row.value for row in offsets_records.decode(data, header)]
        return next((value.metadata for value in found if isinstance(value, OffsetCommitValue)), "")
    return bytes(decode_records(data, header)[0].value or b"").partition(b" ")[0].decode()


class WatchedLog(Log):
    """`batches` are those from the log start on; `checked` of them are known to equal the committed ones.

    After a power loss the log `is_doubtful`: what it calls committed may have been lost, so it may take that back.
    """

    batches: list[Batch]
    checked: int = 0
    listed_from: int = 0  # offset; what is below was deleted on purpose and is not listed, though it may be there
    is_doubtful: bool = False
    on_cut: Callable[[WatchedLog, int], None] | None = None

    @classmethod
    def open(cls, directory: Path, *args: Any, **kwargs: Any) -> WatchedLog:
        log = super().open(directory, *args, **kwargs)
        assert isinstance(log, WatchedLog)
        topic = log.topic_partition.topic
        log.batches = []
        for segment in log.segments:
            for header in segment.headers():
                note: Note = None
                if header.attributes & NOTED or topic == DECISIONS:
                    note = note_of(topic, segment.batch(header), header._replace(position=0))
                if header.next_offset > log.log_start_offset:  # below there may be what a power loss has brought back
                    log.batches.append(batch_of(header, note))
        return log

    def _append(self, view: memoryview, headers: Sequence[BatchHeader], now_ms: int, append_time_ms: int) -> AppendInfo:
        info = super()._append(view, headers, now_ms, append_time_ms)
        topic = self.topic_partition.topic
        for header in headers:
            is_noted = header.attributes & NOTED or topic == DECISIONS
            self.batches.append(batch_of(header, note_of(topic, view, header) if is_noted else None))
        return info

    def truncate_to(self, offset: int) -> None:
        super().truncate_to(offset)
        self._cut(self.log_end_offset)

    def truncate_fully_and_start_at(self, offset: int) -> None:
        super().truncate_fully_and_start_at(offset)
        self.listed_from = offset
        self._cut(0, offset)  # what it had below was deleted on purpose, or the checker will say so

    def delete(self) -> None:
        super().delete()
        self._cut(0)

    def _cut(self, end: int, said: int | None = None) -> None:
        batches = self.batches
        while batches and batches[-1].next_offset > end:
            batches.pop()
        self.checked = 0
        if self.on_cut is not None:
            self.on_cut(self, end if said is None else said)
