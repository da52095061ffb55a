"""A SELECT as steps of a StreamsBuilder: sources, joins, WHERE, PARTITION BY, GROUP BY, HAVING, projection."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from streams.dsl.builder import StreamsBuilder
from streams.processor import FixedKeyProcessor
from streams.sql.aggregates import Aggregates
from streams.sql.catalog import Catalog, KeyWindow, Source
from streams.sql.columns import Column
from streams.sql.compiler import Code, Compiler, Counted, Environment, Evaluated
from streams.sql.errors import Span, SqlError
from streams.sql.formats import Format, PackedRowSerde, key_serde
from streams.sql.functions import Registry
from streams.sql.relations import Bound, Relation, source_columns, tuple_columns
from streams.sql.statements import From, Item, Select
from streams.sql.syntax import Call, Expr, Literal, Name, Star, walk
from streams.sql.types import BIGINT

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


class AddRowtime(FixedKeyProcessor[Any, Any, Any]):
    """The record's time as one more value."""

    def process(self, record: Any) -> None:
        value = record.value
        self.context.forward(record if value is None else record.with_value((*value, record.timestamp)))


class QueryPlanner:
    """Plans one SELECT. `keeps_key` is false for queries whose rows only go to a person: then `*` is all there is,
    and nobody has to select the key."""

    def __init__(self, select: Select, tools: Toolbox, *, keeps_key: bool, key_format: Format | None = None) -> None:
        self.select = select
        self._tools = tools
        self._keeps_key = keeps_key
        self._wanted_format = key_format
        self._flows: dict[tuple[str, bool, bool], Any] = {}
        self._sources: list[Source] = []
        self.together: list[Source] = []
        self._key_expressions: list[list[Expr]] = []
        self._materialized: Materialization | None = None

    def plan(self) -> Planned:
        """Raises SqlError for whatever can't be."""
        from streams.sql.group_planner import GroupPlanner, aggregate_calls
        from streams.sql.join_planner import JoinPlanner

        select = self.select
        relation = self.source(select.source, self.needs_rowtime(select.source.alias))
        self._key_expressions = [[Name(c.name, c.source)] for c in relation.columns if c.is_key]
        if select.joins:
            joiner = JoinPlanner(self, self._tools)
            for join in select.joins:
                relation, self._key_expressions = joiner.joined(relation, self._key_expressions, join)
            if self.needs_rowtime(None):
                relation = self._with_joined_rowtime(relation)
        relation = self._filtered(relation)
        if select.partition_by:
            relation = self._partitioned(relation)
        items = self._items(relation)
        calls = aggregate_calls([*(e for e, _, _ in items), *([select.having] if select.having else [])], self._tools)
        if select.group_by:
            grouped = GroupPlanner(self, self._tools, relation, calls)
            relation, items, having = grouped.grouped(items)
            self._key_expressions = grouped.key_expressions
            if having is not None:
                test = _passing(self._tools.compiler(relation), having, self._tools.counted, "HAVING")
                relation = relation.with_flow(relation.flow.filter(test))
            return self._projected(relation, items, grouped.store_name, None if having is None else test)
        self._check_ungrouped(calls)
        return self._projected(relation, items, None, None)

    def _check_ungrouped(self, calls: list[Call]) -> None:
        select = self.select
        if calls:
            raise SqlError(f"{calls[0].name} needs a GROUP BY", calls[0].at, "GROUP BY says what is one group")
        if select.window is not None:
            raise SqlError("a WINDOW needs a GROUP BY", select.window.at)
        if select.having is not None:
            raise SqlError("HAVING needs a GROUP BY", select.having.at, "WHERE filters rows")
        if select.emit == "FINAL":
            raise SqlError("EMIT FINAL needs a WINDOW: nothing else is ever final", select.at, "EMIT CHANGES")

    # -- sources

    def needs_rowtime(self, alias: str | None) -> bool:
        """Whether the statement looks at ROWTIME: of this source, or (None) of joined rows."""
        select = self.select
        several = bool(select.joins)
        expressions = [item.expression for item in select.items]
        expressions += [*select.group_by, *select.partition_by, *(join.on for join in select.joins)]
        expressions += [each for each in (select.where, select.having) if each is not None]
        for part in itertools.chain.from_iterable(map(walk, expressions)):
            if isinstance(part, Name) and part.name == "ROWTIME":
                if part.source is None and (alias is None or not several):
                    return True
                if part.source is not None and part.source == alias:
                    return True
        return False

    def source(self, wanted: From, has_rowtime: bool) -> Relation:
        """A source of the catalog as a relation."""
        source = self._tools.catalog.get(wanted.name, wanted.at)
        for other in self._sources:
            if other.topic == source.topic and other.name != source.name:
                words = (
                    f"{other.name} and {source.name} both read topic {source.topic}, which a query reads one way only"
                )
                raise SqlError(words, wanted.at, f"use {other.name} twice, or copy one with CREATE STREAM … AS SELECT")
        self._sources.append(source)
        same = [
            each.alias
            for each in (self.select.source, *(j.source for j in self.select.joins))
            if each.name == source.name
        ]
        has_rowtime = has_rowtime or any(self.needs_rowtime(alias) for alias in same)
        cached = (source.name, source.is_table, has_rowtime)
        if cached not in self._flows:
            self._flows[cached] = self._flow(source, has_rowtime)
        columns = source_columns(source, wanted.alias, has_rowtime=has_rowtime)
        return Relation(
            self._flows[cached], source.is_table, columns, source.key, source.key_format, source.window,
            len(source.value) + has_rowtime, source.key_serde(),
        )  # fmt: skip

    def _flow(self, source: Source, has_rowtime: bool) -> Any:
        builder = self._tools.builder
        serdes: dict[str, Any] = {"key": source.key_serde(), "value": source.value_serde()}
        times = source.timestamp_extractor()
        if source.is_table and not has_rowtime:
            return builder.table(source.topic, timestamp_extractor=times, **serdes)
        stream = builder.stream(source.topic, timestamp_extractor=times, **serdes)
        if has_rowtime:
            stream = stream.process_values(AddRowtime)
        if not source.is_table:
            return stream
        types = [*(column.type for column in source.value), BIGINT]
        return stream.to_table(key=serdes["key"], value=PackedRowSerde(types))

    def _with_joined_rowtime(self, relation: Relation) -> Relation:
        if relation.is_table:
            at = next(n.at for n in self._names() if n.name == "ROWTIME" and n.source is None)
            raise SqlError("ROWTIME of joined tables", at, "name a source: its ROWTIME is known")
        bound = Bound("", "ROWTIME", BIGINT, f"v[{relation.width}]", is_hidden=True)
        return relation.with_flow(
            relation.flow.process_values(AddRowtime), columns=(*relation.columns, bound), width=relation.width + 1
        )

    def _names(self) -> list[Name]:
        select = self.select
        expressions = [*(item.expression for item in select.items), *select.group_by, *select.partition_by]
        expressions += [each for each in (select.where, select.having) if each is not None]
        return [part for e in expressions for part in walk(e) if isinstance(part, Name)]

    # -- rows

    def _filtered(self, relation: Relation) -> Relation:
        where = self.select.where
        if where is None:
            return relation
        for part in walk(where):
            if isinstance(part, Call) and self._tools.aggregates.find(part.name):
                raise SqlError(f"{part.name} can't be used in WHERE", part.at, "HAVING filters groups")
        test = _passing(self._tools.compiler(relation), relation.qualified(where), self._tools.counted, "WHERE")
        return relation.with_flow(relation.flow.filter(test))

    def _partitioned(self, relation: Relation) -> Relation:
        select = self.select
        if relation.is_table:
            raise SqlError("a table is partitioned by its key", select.partition_by[0].at, "GROUP BY makes new keys")
        if select.group_by:
            raise SqlError("PARTITION BY and GROUP BY contradict each other", select.partition_by[0].at)
        if relation.window is not None:
            raise SqlError("a windowed stream can't be partitioned anew", select.partition_by[0].at)
        compiler = self._tools.compiler(relation)
        by = [relation.qualified(each) for each in select.partition_by]
        if len(by) == 1 and isinstance(by[0], Literal) and by[0].value is None:
            by = []
        codes = [compiler.code(each) for each in by]
        new_key = key_function(compiler, codes, self._tools.counted, null_if_any=False)
        flat = compiler.evaluated(relation.flat_text())

        def rekeyed(k: Any, v: Any) -> tuple[Any, Any]:
            return new_key(k, v), None if v is None else flat(k, v)

        columns = tuple_columns(relation.columns)
        key = tuple(Column(self._key_name(e, i), c.type) for i, (e, c) in enumerate(zip(by, codes, strict=True)))
        format_ = self.key_format(relation.key_format, key)
        self._key_expressions = [[each] for each in by]
        flow = relation.flow.map(rekeyed)
        return Relation(flow, False, columns, key, format_, None, len(columns), self.key_serde(format_, key))

    def _key_name(self, expression: Expr, index: int) -> str:
        return expression.name if isinstance(expression, Name) else f"KSQL_COL_{index}"

    def key_format(self, inherited: Format, key: tuple[Column, ...]) -> Format:
        """What WITH says, else the source's; where KAFKA can't hold the key, JSON."""
        return self._wanted_format or self.inherited_key_format(inherited, key)

    def inherited_key_format(self, inherited: Format, key: tuple[Column, ...]) -> Format:
        try:
            key_serde(inherited if inherited.name != "NONE" else Format("KAFKA"), key)
        except ValueError:
            return Format("JSON")
        return inherited if inherited.name != "NONE" else Format("KAFKA")

    def key_serde(self, format_: Format, key: tuple[Column, ...]) -> Any:
        try:
            return key_serde(format_, key)
        except ValueError as error:
            raise SqlError(f"key: {error}", self.select.at, "WITH (KEY_FORMAT='JSON')") from None

    # -- the select list

    @property
    def window_names(self) -> tuple[str, ...]:
        """Columns that a WINDOW clause is going to add."""
        return () if self.select.window is None else ("WINDOWSTART", "WINDOWEND")

    def _items(self, relation: Relation) -> list[tuple[Expr, str, Span]]:
        """(expression under full names, name, place), with `*` written out."""
        found: list[tuple[Expr, str, Span]] = []
        for number, item in enumerate(self.select.items):
            if isinstance(item.expression, Star):
                columns = relation.star(item.expression, with_window=not self._keeps_key)
                prefixes = bool(self.select.joins) and item.expression.source is None
                for column in columns:
                    name = f"{column.source}_{column.name}" if prefixes and column.source else column.name
                    found.append((Name(column.name, column.source, at=item.at), name, item.at))
                continue
            expression = relation.qualified(item.expression, self.window_names)
            found.append((expression, item.alias or _default_name(item, number), item.at))
        seen: dict[str, Span] = {}
        for _, name, at in found:
            if name in seen:
                raise SqlError(f"column {name} is there twice", at, "give one of them a name with AS")
            seen[name] = at
        return found

    def _projected(
        self, relation: Relation, items: list[tuple[Expr, str, Span]], store: str | None, having: Evaluated | None
    ) -> Planned:
        key, values, output = self._split(relation, items)
        compiler = self._tools.compiler(relation)
        explodes = [e for e, _ in values if isinstance(e, Call) and e.name == "EXPLODE"]
        for expression, _ in values:
            for part in walk(expression):
                if isinstance(part, Call) and part.name == "EXPLODE" and part not in explodes:
                    raise SqlError("EXPLODE can't be inside something else", part.at)
        if explodes:
            return self._exploded(relation, key, values, output)
        codes = [compiler.code(expression) for expression, _ in values]
        value = tuple(Column(name, code.type) for (_, name), code in zip(values, codes, strict=True))
        project = compiler.row_function(codes, self._tools.counted)

        def row(k: Any, v: Any) -> Any:
            return None if v is None else project(k, v)

        if store is not None:

            def materialized(k: Any, v: Any) -> Any:
                return None if v is None or (having is not None and not having(k, v)) else project(k, v)

            kept: Materialization | None = Materialization(store, materialized)
            flow = relation.flow.map_values(row)
        elif relation.is_table:
            types = [column.type for column in value]
            flow = relation.flow.map_values(row, store=MATERIALIZED, value=PackedRowSerde(types))
            kept = Materialization(MATERIALIZED, None)
        else:
            flow, kept = relation.flow.map_values(row), None
        return self._result(relation, flow, key, value, kept, output)

    def _result(
        self,
        relation: Relation,
        flow: Any,
        key: tuple[Column, ...],
        value: tuple[Column, ...],
        kept: Materialization | None,
        output: tuple[int, ...],
    ) -> Planned:
        format_ = self.key_format(relation.key_format, key) if key else Format("KAFKA")
        return Planned(
            self._tools.builder, flow, relation.is_table, key, value, format_, relation.window,
            tuple(self._sources), kept, tuple(self.together), output,
        )  # fmt: skip

    def _split(
        self, relation: Relation, items: list[tuple[Expr, str, Span]]
    ) -> tuple[tuple[Column, ...], list[tuple[Expr, str]], tuple[int, ...]]:
        """Key columns under their new names, value expressions, and where each item went."""
        names = [column.name for column in relation.key]
        is_selected = [False] * len(names)
        values: list[tuple[Expr, str]] = []
        output = []
        for expression, name, _ in items:
            index = next((i for i, same in enumerate(self._key_expressions) if expression in same), None)
            if index is not None and not is_selected[index]:
                is_selected[index], names[index] = True, name
                output.append(-1 - index)
                continue
            output.append(len(values))
            values.append((expression, name))
        if self._keeps_key and not all(is_selected):
            missing = relation.key[is_selected.index(False)].name
            alternatives = self._key_expressions[is_selected.index(False)]
            shown = str(alternatives[0]) if isinstance(alternatives[0], Name) else missing
            raise SqlError(f"the key column {missing} must be selected", self.select.at, f"add {shown} to the list")
        key = tuple(replace(column, name=name) for column, name in zip(relation.key, names, strict=True))
        taken = {column.name for column in key}
        if self._keeps_key:
            for _, name in values:
                if name in taken:
                    raise SqlError(f"column {name} is there twice", self.select.at)
        return key, values, tuple(output)

    def _exploded(
        self, relation: Relation, key: tuple[Column, ...], values: list[tuple[Expr, str]], output: tuple[int, ...]
    ) -> Planned:
        """One row per element; arrays of different lengths are filled up with NULL."""
        if relation.is_table:
            at = next(e.at for e, _ in values if isinstance(e, Call) and e.name == "EXPLODE")
            raise SqlError("EXPLODE makes rows of a stream's rows, this is a table", at)
        compiler = self._tools.compiler(relation)
        codes, columns, exploded = list[Code](), list[Column](), list[int]()
        for expression, name in values:
            if isinstance(expression, Call) and expression.name == "EXPLODE":
                if len(expression.arguments) != 1:
                    raise SqlError("EXPLODE takes one array", expression.at)
                code = compiler.code(expression.arguments[0])
                if code.type.kind != "ARRAY":
                    raise SqlError(f"EXPLODE takes an array, this is {code.type}", expression.arguments[0].at)
                exploded.append(len(codes))
                columns.append(Column(name, code.type.items[0]))
            else:
                code = compiler.code(expression)
                columns.append(Column(name, code.type))
            codes.append(code)
        project = compiler.row_function(codes, self._tools.counted)

        def rows(k: Any, v: Any) -> list[Any]:
            if v is None:
                return []
            row = project(k, v)
            if len(exploded) == 1:
                at = exploded[0]
                before, after = row[:at], row[at + 1 :]
                return [(*before, element, *after) for element in row[at] or ()]
            longest = itertools.zip_longest(*(row[at] or () for at in exploded))
            return [_filled(row, exploded, elements) for elements in longest]

        return self._result(relation, relation.flow.flat_map_values(rows), key, tuple(columns), None, output)


def _filled(row: tuple[Any, ...], places: list[int], elements: tuple[Any, ...]) -> tuple[Any, ...]:
    filled = list(row)
    for place, element in zip(places, elements, strict=True):
        filled[place] = element
    return tuple(filled)


def _default_name(item: Item, number: int) -> str:
    """A column keeps its name, as does the last field of a struct; anything else is numbered."""
    name = getattr(item.expression, "name", None)
    if isinstance(item.expression, Call) or name is None:
        return f"KSQL_COL_{number}"
    return str(name)


def _passing(compiler: Compiler, condition: Expr, counted: Counted, what: str) -> Evaluated:
    """A predicate of (key, value): NULL doesn't pass, nor does a row that is none."""
    test = compiler.function(compiler.condition(condition, what), counted)
    return lambda k, v: v is not None and bool(test(k, v))


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
