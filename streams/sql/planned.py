"""What planning works with, and what it makes: a query that is ready for a sink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from streams.dsl.builder import StreamsBuilder
from streams.sql.aggregates import Aggregates
from streams.sql.catalog import Catalog, KeyWindow, Source
from streams.sql.code import Code, Counted, Environment, Evaluated
from streams.sql.columns import Column
from streams.sql.compiler import Compiler
from streams.sql.formats import Format
from streams.sql.functions import Registry
from streams.sql.relations import Relation

MATERIALIZED = "Materialized"


@dataclass(frozen=True)
class Materialization:
    """Where a table's rows can be looked up: a store, and what makes a row (or None) of what it holds."""

    store: str
    row: Callable[[Any, Any], Any] | None


@dataclass(frozen=True)
class Planned:
    """A query, ready for a sink. `flow` is a KStream or KTable of value tuples."""

    builder: StreamsBuilder
    flow: Any
    is_table: bool
    key: tuple[Column, ...]
    value: tuple[Column, ...]
    key_format: Format
    window: KeyWindow | None
    sources: tuple[Source, ...]
    materialized: Materialization | None
    together: tuple[Source, ...]
    """Those that must have as many partitions each."""
    output: tuple[int, ...]
    """For each item of the select list where its value lies: i for value i, -1 - i for key column i."""


@dataclass
class Toolbox:
    """What every part of the planner works with."""

    catalog: Catalog
    functions: Registry
    aggregates: Aggregates
    counted: Counted
    builder: StreamsBuilder
    environment: Environment = field(default_factory=Environment)

    def compiler(self, relation: Relation) -> Compiler:
        return Compiler(relation, self.functions, self.environment)


def key_function(compiler: Compiler, codes: list[Code], counted: Counted, *, null_if_any: bool) -> Evaluated:
    """(key, value) → a new key: the bare value of one expression, a tuple of several."""
    if not codes:
        return lambda _k, _v: None
    if len(codes) == 1:
        return compiler.function(codes[0], counted)
    make = compiler.row_function(codes, counted)

    def made(k: Any, v: Any) -> Any:
        key = make(k, v)
        return None if None in key and (null_if_any or key.count(None) == len(key)) else key

    return made
