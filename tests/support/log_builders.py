"""Logs and batches for the tests of this room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.configs import LogConfig
from model.ids import TopicPartition
from protocol.records import Record, encode_batch
from storage.disk import OsDisk
from storage.log import Log

NOW_MS = 1_700_000_000_000


def a_batch(count: int = 1, *, value: bytes = b"v" * 20, timestamp: int = NOW_MS, **how: Any) -> bytearray:
    base_offset = how.get("base_offset", 0)
    records = [Record(base_offset + n, timestamp + n, b"key-%d" % n, value) for n in range(count)]
    return encode_batch(records, **how)


def a_log(directory: Path, *, was_clean: bool = True, disk: Any = None, **how: Any) -> Log:
    """Any LogConfig field or argument of Log.open by name."""
    opening = {name: how.pop(name) for name in ("recovery_point", "log_start_offset", "topic_id") if name in how}
    return Log.open(
        directory / "events-0",
        TopicPartition("events", 0),
        LogConfig(**how),
        disk=disk or OsDisk(),
        now_ms=NOW_MS,
        was_clean=was_clean,
        **opening,
    )


def offsets_in(log: Log, start: int | None = None) -> list[int]:
    """The offset of every record, read in small fetches."""
    from protocol.records import decode_records, iter_batches

    offset = log.log_start_offset if start is None else start
    found: list[int] = []
    while chunk := log.read(offset, 500, up_to=log.log_end_offset):
        for header in iter_batches(chunk):
            found += [record.offset for record in decode_records(chunk, header) if record.offset >= offset]
            last = header.next_offset
        offset = last
    return found
