"""What statements say, once parsed. `at` is where the part stands, for errors that are found later."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from streams.sql.errors import NOWHERE, Span
from streams.sql.syntax import Expr
from streams.sql.types import SqlType


@dataclass(frozen=True, slots=True)
class Statement:
    """Root of all. `text` is the statement as written, without its semicolon."""

    text: str = field(default="", compare=False, kw_only=True)
    at: Span = field(default=NOWHERE, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Option:
    """One setting of a WITH clause."""

    name: str
    value: Any
    at: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class ColumnDef:
    """`is_key` for KEY and PRIMARY KEY."""

    name: str
    type: SqlType
    is_key: bool
    at: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class CreateSource(Statement):
    """CREATE STREAM or TABLE over a topic."""

    name: str
    is_table: bool
    columns: tuple[ColumnDef, ...]
    options: tuple[Option, ...]
    or_replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One entry of a select list."""

    expression: Expr
    alias: str | None
    at: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class From:
    """A source, under a name of its own."""

    name: str
    alias: str
    at: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Within:
    """A stream-stream join's window; `grace_ms` is None when not given."""

    before_ms: int
    after_ms: int
    grace_ms: int | None


@dataclass(frozen=True, slots=True)
class Join:
    """`kind` is INNER, LEFT, RIGHT or OUTER."""

    kind: str
    source: From
    within: Within | None
    on: Expr
    at: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Window:
    """`kind` is TUMBLING, HOPPING, SESSION or SLIDING; `size_ms` is a session's gap."""

    kind: str
    size_ms: int
    advance_ms: int
    grace_ms: int | None
    retention_ms: int | None
    at: Span = field(compare=False)


@dataclass(frozen=True, slots=True)
class Select(Statement):
    """`emit` is CHANGES, FINAL, or None for a pull query (and for whatever CREATE … AS makes of it)."""

    items: tuple[Item, ...]
    source: From
    joins: tuple[Join, ...] = ()
    window: Window | None = None
    where: Expr | None = None
    group_by: tuple[Expr, ...] = ()
    partition_by: tuple[Expr, ...] = ()
    having: Expr | None = None
    emit: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Alter(Statement):
    """ALTER STREAM or TABLE … ADD COLUMN."""

    name: str
    is_table: bool
    columns: tuple[ColumnDef, ...]


@dataclass(frozen=True, slots=True)
class CreateType(Statement):
    """A name for a type."""

    name: str
    type: SqlType
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class DropType(Statement):
    name: str
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class CreateAs(Statement):
    """CREATE STREAM or TABLE … AS SELECT."""

    name: str
    is_table: bool
    options: tuple[Option, ...]
    select: Select
    or_replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True, slots=True)
class InsertSelect(Statement):
    target: str
    options: tuple[Option, ...]
    select: Select


@dataclass(frozen=True, slots=True)
class InsertValues(Statement):
    """`columns` is empty when none were named."""

    target: str
    columns: tuple[tuple[str, Span], ...]
    rows: tuple[tuple[Expr, ...], ...]


@dataclass(frozen=True, slots=True)
class Show(Statement):
    """`what` is STREAMS, TABLES, TOPICS, QUERIES, FUNCTIONS, PROPERTIES, TYPES or VARIABLES."""

    what: str
    is_extended: bool = False


@dataclass(frozen=True, slots=True)
class Describe(Statement):
    name: str
    is_function: bool = False
    is_extended: bool = False


@dataclass(frozen=True, slots=True)
class Explain(Statement):
    """A statement, or a running query by its id."""

    query_id: str | None
    statement: Statement | None


@dataclass(frozen=True, slots=True)
class Drop(Statement):
    name: str
    is_table: bool
    if_exists: bool
    deletes_topic: bool


@dataclass(frozen=True, slots=True)
class Terminate(Statement):
    """`query_id` is None for ALL."""

    query_id: str | None


@dataclass(frozen=True, slots=True)
class SetProperty(Statement):
    """`value` is None for UNSET."""

    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Define(Statement):
    """A variable; `value` is None for UNDEFINE."""

    name: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Print(Statement):
    """A topic's records as they are; every `interval`th."""

    topic: str
    limit: int | None
    interval: int = 1
