"""Streams and tables by name: their columns, topics and formats; and what WITH may say about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from streams.records import ConsumedRecord
from streams.serdes import Serde
from streams.sql.code import PSEUDO
from streams.sql.columns import Column
from streams.sql.errors import NOWHERE, Span, SqlError, near
from streams.sql.formats import FORMATS, Format, key_serde, value_serde
from streams.sql.statements import Alter, ColumnDef, Option
from streams.sql.time_patterns import parse_iso, parser
from streams.windowed_keys import MAX_TIME, SessionWindowedSerde, TimeWindowedSerde

_OPTIONS = (
    "KAFKA_TOPIC", "FORMAT", "KEY_FORMAT", "VALUE_FORMAT", "PARTITIONS", "REPLICAS", "TIMESTAMP", "TIMESTAMP_FORMAT",
    "WINDOW_TYPE", "WINDOW_SIZE", "KEY_DELIMITER", "VALUE_DELIMITER", "WRAP_SINGLE_VALUE", "RETENTION_MS", "QUERY_ID",
)  # fmt: skip
_DELIMITERS = {"SPACE": " ", "TAB": "\t"}


@dataclass(frozen=True, slots=True)
class KeyWindow:
    """How a source's keys are windowed; `size_ms` is None for sessions."""

    kind: str
    size_ms: int | None

    def serde(self, inner: Serde[Any]) -> Serde[Any]:
        if self.size_ms is None:
            return SessionWindowedSerde(inner)
        return TimeWindowedSerde(inner, min(self.size_ms, MAX_TIME))


@dataclass(frozen=True, slots=True)
class EventTime:
    """Which column has a record's time, and how it is written there; None means ms or a TIMESTAMP."""

    column: str
    pattern: str | None = None


@dataclass(frozen=True)
class Source:
    """A stream or table. `query_id` is the query that fills it, if one of ours does."""

    name: str
    is_table: bool
    key: tuple[Column, ...]
    value: tuple[Column, ...]
    topic: str
    key_format: Format
    value_format: Format
    window: KeyWindow | None = None
    event_time: EventTime | None = None
    partitions: int | None = None
    replicas: int | None = None
    query_id: str | None = None
    text: str = ""

    @property
    def kind(self) -> str:
        return "TABLE" if self.is_table else "STREAM"

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.key + self.value

    def key_serde(self) -> Serde[Any]:
        inner = key_serde(self.key_format, self.key)
        return inner if self.window is None else self.window.serde(inner)

    def value_serde(self) -> Serde[Any]:
        return value_serde(self.value_format, self.value)

    def timestamp_extractor(self) -> Callable[[ConsumedRecord, int], int] | None:
        """Event time from a column; -1, which drops the record, when it can't be read there."""
        if self.event_time is None:
            return None
        names = [column.name for column in self.columns]
        index, keys, single = names.index(self.event_time.column), len(self.key), len(self.key) == 1
        read = event_time_reader(self.event_time)

        def extract(record: ConsumedRecord, _partition_time: int) -> int:
            key: Any = record.key
            value: Any = record.value
            if index < keys:
                found = key if single else None if key is None else key[index]
            else:
                found = None if value is None else value[index - keys]
            if found is None:
                return record.timestamp if value is None else -1  # a tombstone has no columns
            return read(found)

        return extract


def event_time_reader(event_time: EventTime) -> Callable[[Any], int]:
    """Column value → ms; -1 for text that isn't written as promised."""
    read = parser(event_time.pattern) if event_time.pattern is not None else None

    def from_text(text: str) -> int:
        try:
            return read(text) if read is not None else parse_iso("TIMESTAMP", text)
        except ValueError:
            return -1

    return lambda value: from_text(value) if isinstance(value, str) else int(value)


class Options:
    """A WITH clause, checked: unknown names, repeated names and wrong kinds of values are errors that point there."""

    def __init__(self, options: Iterable[Option]) -> None:
        self._found: dict[str, Option] = {}
        for option in options:
            if option.name not in _OPTIONS:
                raise SqlError(f"no setting {option.name}", option.at, near(option.name, _OPTIONS))
            if option.name in self._found:
                raise SqlError(f"setting {option.name} is there twice", option.at)
            self._found[option.name] = option

    def at(self, name: str) -> Span:
        option = self._found.get(name)
        return NOWHERE if option is None else option.at

    def text(self, name: str) -> str | None:
        option = self._found.get(name)
        return None if option is None else str(option.value)

    def number(self, name: str) -> int | None:
        option = self._found.get(name)
        if option is None:
            return None
        if not isinstance(option.value, int) or isinstance(option.value, bool) or option.value < 1:
            raise SqlError(f"{name} is a number from 1", option.at)
        return option.value

    def format(self, which: str, default: Format) -> Format:
        """KEY or VALUE format."""
        name = f"{which}_FORMAT" if f"{which}_FORMAT" in self._found else "FORMAT"
        chosen = (self.text(name) or default.name).upper()
        if not chosen:
            return default
        if chosen not in FORMATS:
            known = near(chosen, FORMATS) or "there are JSON, DELIMITED and KAFKA"
            raise SqlError(f"no format {chosen}", self.at(name), known)
        delimiter = self.text(f"{which}_DELIMITER") or default.delimiter
        delimiter = _DELIMITERS.get(delimiter.upper(), delimiter)
        if len(delimiter) != 1:
            raise SqlError("a delimiter is one character, SPACE or TAB", self.at(f"{which}_DELIMITER"))
        return Format(chosen, delimiter)

    def window(self) -> KeyWindow | None:
        kind = self.text("WINDOW_TYPE")
        if kind is None:
            return None
        kind, size = kind.upper(), self.text("WINDOW_SIZE")
        if kind not in ("TUMBLING", "HOPPING", "SESSION"):
            raise SqlError(f"no windows of type {kind}", self.at("WINDOW_TYPE"), "TUMBLING, HOPPING or SESSION")
        if kind == "SESSION":
            return KeyWindow(kind, None)
        if size is None:
            raise SqlError(f"{kind} keys need WINDOW_SIZE", self.at("WINDOW_TYPE"), "WINDOW_SIZE='10 SECONDS'")
        return KeyWindow(kind, _duration_ms(size, self.at("WINDOW_SIZE")))

    def event_time(self, columns: Sequence[Column]) -> EventTime | None:
        name = self.text("TIMESTAMP")
        pattern, at = self.text("TIMESTAMP_FORMAT"), self.at("TIMESTAMP")
        if name is None:
            if pattern is not None:
                raise SqlError("TIMESTAMP_FORMAT needs TIMESTAMP, the column", self.at("TIMESTAMP_FORMAT"))
            return None
        by_name = {column.name: column for column in columns}
        column = by_name.get(name) or by_name.get(name.upper())
        if column is None:
            raise SqlError(f"no column {name}", at, near(name, by_name))
        if column.type.kind not in ("BIGINT", "TIMESTAMP", "STRING"):
            raise SqlError(f"a record's time is a BIGINT, TIMESTAMP or STRING, {column.name} is {column.type}", at)
        if pattern is not None:
            try:
                parser(pattern)
            except ValueError as error:
                raise SqlError(str(error), self.at("TIMESTAMP_FORMAT")) from None
        return EventTime(column.name, pattern)


def _duration_ms(text: str, at: Span) -> int:
    from streams.sql.cursor import UNITS_MS

    count, _, unit = text.strip().upper().partition(" ")
    if not count.isdecimal() or unit.strip().removesuffix("S") not in UNITS_MS:
        raise SqlError(f"{text} is no duration", at, "write it as '10 SECONDS'")
    return int(count) * UNITS_MS[unit.strip().removesuffix("S")]


def source_of(
    name: str, is_table: bool, columns: Sequence[ColumnDef], options: Options, at: Span, text: str = ""
) -> Source:
    """What CREATE STREAM or TABLE declares. Raises SqlError for what can't be."""
    key = tuple(Column(each.name, each.type) for each in columns if each.is_key)
    value = tuple(Column(each.name, each.type) for each in columns if not each.is_key)
    for each in columns:
        if each.name in PSEUDO:
            raise SqlError(f"{each.name} is a column that every row has", each.at, "choose another name")
    if is_table and not key:
        raise SqlError("a table needs a PRIMARY KEY column", at)
    topic = options.text("KAFKA_TOPIC")
    if topic is None:
        raise SqlError("WITH (KAFKA_TOPIC='…') says where the data is", at)
    value_format = options.format("VALUE", Format(""))
    if not value_format.name:
        raise SqlError("WITH (VALUE_FORMAT='…') says how the data is written", at, "JSON, DELIMITED or KAFKA")
    source = Source(
        name, is_table, key, value, topic, options.format("KEY", Format("KAFKA")), value_format, options.window(),
        options.event_time(key + value), options.number("PARTITIONS"), options.number("REPLICAS"), text=text,
    )  # fmt: skip
    check_formats(source, at, options)
    return source


def check_formats(source: Source, at: Span, options: Options) -> None:
    """Raises SqlError when a format can't hold the columns."""
    for which, make in (("KEY", source.key_serde), ("VALUE", source.value_serde)):
        try:
            make()
        except ValueError as error:
            where = options.at(f"{which}_FORMAT")
            where = options.at("FORMAT") if where == NOWHERE else where
            raise SqlError(f"{which.lower()}: {error}", at if where == NOWHERE else where) from None


def with_more_columns(source: Source, statement: Alter) -> Source:
    """What ALTER makes of it. Raises SqlError."""
    if source.is_table != statement.is_table:
        right = f"ALTER {source.kind} {source.name}"
        raise SqlError(f"{source.name} is a {source.kind.lower()}", statement.at, right)
    if source.query_id is not None:
        hint = f"CREATE OR REPLACE {source.kind} {source.name} AS …"
        raise SqlError(f"{source.name} has the columns that its query selects", statement.at, hint)
    known = {column.name for column in source.columns}
    for column in statement.columns:
        if column.name in known:
            raise SqlError(f"column {column.name} is there already", column.at)
        known.add(column.name)
    more = tuple(Column(each.name, each.type) for each in statement.columns)
    changed = replace(source, value=source.value + more, text=f"{source.text};\n{statement.text}")
    check_formats(changed, statement.columns[0].at, Options(()))
    return changed


class Catalog:
    """All sources of an engine."""

    def __init__(self) -> None:
        self._sources: dict[str, Source] = {}

    def __iter__(self) -> Iterator[Source]:
        return iter(self._sources.values())

    def find(self, name: str) -> Source | None:
        return self._sources.get(name)

    def get(self, name: str, at: Span = NOWHERE) -> Source:
        """Raises SqlError with a hint."""
        source = self._sources.get(name)
        if source is None:
            raise SqlError(f"no stream or table {name}", at, near(name, self._sources))
        return source

    def put(self, source: Source) -> None:
        self._sources[source.name] = source

    def drop(self, name: str) -> None:
        self._sources.pop(name, None)

    def with_partitions(self, name: str, partitions: int) -> None:
        source = self._sources.get(name)
        if source is not None:
            self._sources[name] = replace(source, partitions=partitions)
