"""A SELECT as steps of a StreamsBuilder: sources, joins, WHERE, PARTITION BY, GROUP BY, HAVING, projection."""

from __future__ import annotations

import itertools
from typing import Any

from streams.processor import FixedKeyProcessor
from streams.sql.catalog import Source
from streams.sql.code import Counted, Evaluated
from streams.sql.columns import Column
from streams.sql.compiler import Compiler
from streams.sql.errors import SqlError
from streams.sql.formats import Format, PackedRowSerde, key_serde
from streams.sql.group_planner import GroupPlanner, aggregate_calls
from streams.sql.join_planner import JoinPlanner
from streams.sql.planned import Planned, Toolbox, key_function
from streams.sql.projection import Projection
from streams.sql.relations import Bound, Relation, source_columns, tuple_columns
from streams.sql.statements import From, Select
from streams.sql.syntax import Call, Expr, Literal, Name, walk
from streams.sql.types import BIGINT


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
        self.keeps_key = keeps_key
        self._wanted_format = key_format
        self._flows: dict[tuple[str, bool, bool], Any] = {}
        self.sources: list[Source] = []
        self.together: list[Source] = []
        self.key_expressions: list[list[Expr]] = []

    def plan(self) -> Planned:
        """Raises SqlError for whatever can't be."""
        select = self.select
        relation = self.source(select.source, self.needs_rowtime(select.source.alias))
        self.key_expressions = [[Name(c.name, c.source)] for c in relation.columns if c.is_key]
        if select.joins:
            joiner = JoinPlanner(self, self._tools)
            for join in select.joins:
                relation, self.key_expressions = joiner.joined(relation, self.key_expressions, join)
            if self.needs_rowtime(None):
                relation = self._with_joined_rowtime(relation)
        relation = self._filtered(relation)
        if select.partition_by:
            relation = self._partitioned(relation)
        projection = Projection(self, self._tools)
        items = projection.items(relation)
        calls = aggregate_calls([*(e for e, _, _ in items), *([select.having] if select.having else [])], self._tools)
        if select.group_by:
            grouped = GroupPlanner(self, self._tools, relation, calls)
            relation, items, having = grouped.grouped(items)
            self.key_expressions = grouped.key_expressions
            if having is not None:
                test = _passing(self._tools.compiler(relation), having, self._tools.counted, "HAVING")
                relation = relation.with_flow(relation.flow.filter(test))
            return projection.projected(relation, items, grouped.store_name, None if having is None else test)
        self._check_ungrouped(calls)
        return projection.projected(relation, items, None, None)

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
        for other in self.sources:
            if other.topic == source.topic and other.name != source.name:
                words = (
                    f"{other.name} and {source.name} both read topic {source.topic}, which a query reads one way only"
                )
                raise SqlError(words, wanted.at, f"use {other.name} twice, or copy one with CREATE STREAM … AS SELECT")
        self.sources.append(source)
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
        self.key_expressions = [[each] for each in by]
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

    @property
    def window_names(self) -> tuple[str, ...]:
        """Columns that a WINDOW clause is going to add."""
        return () if self.select.window is None else ("WINDOWSTART", "WINDOWEND")

def _passing(compiler: Compiler, condition: Expr, counted: Counted, what: str) -> Evaluated:
    """A predicate of (key, value): NULL doesn't pass, nor does a row that is none."""
    test = compiler.function(compiler.condition(condition, what), counted)
    return lambda k, v: v is not None and bool(test(k, v))
