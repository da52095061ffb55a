"""Records by column, for whoever takes thousands at a time and looks at all of them.

A view finds its timestamp and headers one by one; here they are read batch by batch, in compiled code.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

from clients.records import ConsumerRecord, raw_key_of, raw_value_of

_offset_of, _source_of = map(attrgetter, ("offset", "_source"))


class RecordColumns(NamedTuple):
    """All of one length. Keys and values are bytes or None, before any deserializer; headers are tuples."""

    offsets: list[int]
    timestamps: list[int]
    keys: list[bytes | None]
    values: list[bytes | None]
    headers: list[tuple[tuple[str, bytes | None], ...]]


def columns_of(records: Sequence[ConsumerRecord]) -> RecordColumns:
    """Of records of one partition, in the order that a poll gave them."""
    offsets = list(map(_offset_of, records))
    timestamps: list[int] = []
    headers: list[Any] = []
    at = 0
    for source, part in groupby(records, _source_of):
        count = len(list(part))
        its_offsets, its_timestamps, its_headers = source.columns()
        first = bisect_left(its_offsets, offsets[at])
        timestamps += its_timestamps[first : first + count]
        headers += its_headers[first : first + count]
        at += count
    return RecordColumns(offsets, timestamps, list(map(raw_key_of, records)), list(map(raw_value_of, records)), headers)
