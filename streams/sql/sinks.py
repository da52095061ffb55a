"""Where a query's results go: its topology with a sink, and what an INSERT asks of the columns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streams.processor import FixedKeyProcessor
from streams.sql.catalog import EventTime, Source, event_time_reader
from streams.sql.columns import Column
from streams.sql.errors import SqlError
from streams.sql.planned import Planned
from streams.sql.statements import InsertSelect
from streams.sql.types import fits


class _SetTime(FixedKeyProcessor[Any, Any, Any]):
    """Gives records the time that a column says."""

    def __init__(self, read: Any) -> None:
        self._read = read

    def process(self, record: Any) -> None:
        moment = self._read(record.key, record.value)
        self.context.forward(record if moment is None or moment < 0 else record.with_timestamp(moment))


def with_sink(planned: Planned, sink: Source) -> Any:
    """The topology, writing to the sink's topic."""
    flow = planned.flow.to_stream() if planned.is_table else planned.flow
    if sink.event_time is not None:
        read = _time_of(sink, sink.event_time)
        flow = flow.process_values(lambda: _SetTime(read))
    flow.to(sink.topic, key=sink.key_serde(), value=sink.value_serde())
    return planned.builder.build()


def _time_of(sink: Source, event_time: EventTime) -> Any:
    index = [column.name for column in sink.columns].index(event_time.column) - len(sink.key)
    read, several = event_time_reader(event_time), len(sink.key) > 1

    def moment(k: Any, v: Any) -> int | None:
        if v is None:
            return None
        if index >= 0:
            found = v[index]
        else:
            bare = k if sink.window is None else k[0]
            found = bare[index + len(sink.key)] if several else bare
        return None if found is None else read(found)

    return moment


def renamed(planned: Planned, target: Source, statement: InsertSelect) -> Planned:
    """The query's columns as the target's: in order, of types that fit. Raises SqlError otherwise."""
    at = statement.select.at
    if (len(planned.key), len(planned.value)) != (len(target.key), len(target.value)):
        wanted = ", ".join(f"{column.name} {column.type}" for column in target.columns)
        given = ", ".join(f"{column.name} {column.type}" for column in planned.key + planned.value)
        raise SqlError(f"{target.name} has columns ({wanted}), the SELECT gives ({given})", at)
    for mine, its in zip(planned.key + planned.value, target.columns, strict=True):
        is_exact = mine in planned.key
        if not (mine.type == its.type if is_exact else fits(mine.type, its.type)):
            raise SqlError(f"column {its.name} of {target.name} is {its.type}, the SELECT gives {mine.type}", at)
    names = [column.name for column in target.columns]
    columns = [Column(name, column.type) for name, column in zip(names, target.columns, strict=True)]
    return replace(planned, key=tuple(columns[: len(target.key)]), value=tuple(columns[len(target.key) :]))
