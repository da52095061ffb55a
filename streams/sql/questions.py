"""Statements that ask and tell: SELECT (push and pull), INSERT INTO … VALUES, PRINT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from streams.serdes import Serde
from streams.sql.aggregates import aggregate_names
from streams.sql.backend import Failures, Query, StoredRow, TopicRecord
from streams.sql.catalog import Source
from streams.sql.code import PSEUDO
from streams.sql.columns import Column
from streams.sql.compiler import Compiler, constant
from streams.sql.errors import Span, SqlError, near
from streams.sql.key_lookup import wanted_keys
from streams.sql.planned import Planned
from streams.sql.relations import Relation, source_columns
from streams.sql.results import PushResult, Result
from streams.sql.statements import InsertValues, Print, Select
from streams.sql.syntax import ALL_FIELDS, Expr, Field, Name, Star, walk
from streams.sql.transient import Transient
from streams.sql.types import BIGINT, STRING
from streams.windowed_keys import Windowed

if TYPE_CHECKING:
    from streams.sql.engine import SqlEngine


class Questions:
    """Of one engine."""

    def __init__(self, engine: SqlEngine) -> None:
        self._engine = engine

    # -- SELECT

    def select(self, statement: Select) -> Result:
        """Raises SqlError also where a query that fills what is asked has failed: the answer would stand still."""
        for asked in (statement.source, *(join.source for join in statement.joins)):
            self._check_filled(self._engine.catalog.get(asked.name, asked.at), asked.at)
        if statement.emit is not None:
            return self._push(statement)
        found = self._looked_up(statement)
        return found if found is not None else self._read_through(statement)

    def _check_filled(self, source: Source, at: Span) -> None:
        query = self._engine.definitions.queries.get(source.query_id or "")
        if query is None:
            return
        failure = self._engine.backend.failure_of(query.id)
        if failure is not None:
            raise SqlError(f"{source.name} stands still, its query {query.id} has failed: {failure}", at)
        for each in query.planned.sources:
            self._check_filled(each, at)

    def _push(self, statement: Select) -> PushResult:
        planned = self._planned(statement)
        result = PushResult(statement.text, _output_columns(planned), statement.limit)
        if planned.is_table and planned.window is None:
            places = [planned.output.index(-1 - i) for i in range(len(planned.key)) if -1 - i in planned.output]
            result.key_places = tuple(places) if len(places) == len(planned.key) else ()
        backend = self._engine.backend
        topics = list(dict.fromkeys(source.topic for source in planned.sources))
        is_early = self._engine.properties["auto.offset.reset"] == "earliest"

        def take(k: Any, v: Any) -> None:
            if v is not None:
                result.add(_output_row(planned, k, v))

        transient = Transient(planned, take)
        records = backend.read(topics, from_beginning=is_early, follows=True)

        def more() -> Iterator[None]:
            for record in records:
                if result.is_closed:
                    return
                if record is not None:
                    transient.pipe(record)
                yield

        def close() -> None:
            _close(records)
            transient.close()

        result.connect(more, close)
        return result

    def _read_through(self, statement: Select) -> Result:
        """Run the query over what its topics hold now, and answer with what there is in the end."""
        planned = self._planned(statement)
        rows: list[tuple[Any, ...]] = []
        latest: dict[Any, tuple[Any, ...]] = {}

        def take(k: Any, v: Any) -> None:
            if not planned.is_table:
                if v is not None:
                    rows.append(_output_row(planned, k, v))
            elif v is None:
                latest.pop(_hashable(k), None)
            else:
                latest[_hashable(k)] = _output_row(planned, k, v)

        transient = Transient(planned, take)
        topics = list(dict.fromkeys(source.topic for source in planned.sources))
        try:
            for record in self._engine.backend.read(topics, from_beginning=True, follows=False):
                if record is not None:
                    transient.pipe(record)
                if statement.limit is not None and not planned.is_table and len(rows) >= statement.limit:
                    break
        finally:
            transient.close()
        found = list(latest.values()) if planned.is_table else rows
        return Result(statement.text, columns=_output_columns(planned), rows=found[: statement.limit])

    def _planned(self, statement: Select) -> Planned:
        return self._engine.definitions.plan(statement, Failures(), keeps_key=False)

    # -- looking rows up in the store of a running query

    def _looked_up(self, statement: Select) -> Result | None:
        """From the store that a query of ours keeps; None when the statement wants more than that."""
        engine = self._engine
        if statement.joins or statement.group_by or statement.partition_by or statement.window or statement.having:
            return None
        source = engine.catalog.get(statement.source.name, statement.source.at)
        query = engine.definitions.queries.get(source.query_id or "")
        if query is None or query.planned.materialized is None or not source.is_table:
            return None
        expressions = [item.expression for item in statement.items]
        if any(isinstance(each, Field) and each.name == ALL_FIELDS for each in expressions):
            return None
        expressions += [] if statement.where is None else [statement.where]
        if aggregate_names(expressions, engine.aggregates) or _asks_rowtime(expressions):
            return None
        columns = source_columns(source, statement.source.alias)
        relation = Relation(None, True, columns, source.key, source.key_format, source.window, 0, None)
        where = None if statement.where is None else relation.qualified(statement.where)
        keys = wanted_keys(where, source, relation, engine.functions)
        if keys is None and source.window is not None:
            return None  # the store forgets old windows, the topic doesn't
        rows = self._stored(query, keys)
        if rows is None:
            return None
        return self._chosen(statement, relation, where, rows)

    def _stored(self, query: Query, keys: list[Any] | None) -> list[StoredRow] | None:
        materialized = query.planned.materialized
        assert materialized is not None
        found: list[StoredRow] = []
        for key in [None] if keys is None else keys:
            rows = self._engine.backend.rows(query, materialized.store, key, has_key=keys is not None)
            if rows is None:
                return None
            for row in rows:
                value = row.value if materialized.row is None else materialized.row(row.key, row.value)
                if value is not None:
                    found.append(row._replace(value=value))
        return found

    def _chosen(self, statement: Select, relation: Relation, where: Expr | None, rows: list[StoredRow]) -> Result:
        compiler = Compiler(relation, self._engine.functions)
        failures = Failures()
        items: list[tuple[Expr, str]] = []
        for number, item in enumerate(statement.items):
            if isinstance(item.expression, Star):
                items += [(Name(c.name, c.source), c.name) for c in relation.star(item.expression, with_window=True)]
                continue
            name = item.alias or getattr(item.expression, "name", f"KSQL_COL_{number}")
            items.append((relation.qualified(item.expression), str(name)))
        codes = [compiler.code(expression) for expression, _ in items]
        project = compiler.row_function(codes, failures)
        passes = None
        if where is not None:
            passes = compiler.function(compiler.condition(where, "WHERE"), failures)
        found = [project(r.key, r.value) for r in rows if passes is None or passes(r.key, r.value)]
        columns = tuple(Column(name, code.type) for (_, name), code in zip(items, codes, strict=True))
        return Result(statement.text, columns=columns, rows=found[: statement.limit])

    # -- INSERT INTO … VALUES

    def insert(self, statement: InsertValues) -> Result:
        engine = self._engine
        source = engine.catalog.get(statement.target, statement.at)
        if source.window is not None:
            raise SqlError(f"{source.name} is windowed: its rows are made by queries", statement.at)
        if source.query_id in engine.definitions.queries:
            raise SqlError(f"{source.name} is filled by query {source.query_id}", statement.at)
        columns = {column.name: column for column in source.columns}
        columns["ROWTIME"] = Column("ROWTIME", BIGINT)
        named = list(statement.columns) or [(column.name, statement.at) for column in source.columns]
        seen: set[str] = set()
        for name, at in named:
            if name not in columns:
                raise SqlError(f"no column {name} in {source.name}", at, near(name, columns))
            if name in seen:
                raise SqlError(f"column {name} is there twice", at)
            seen.add(name)
        records = [self._record(source, columns, named, row, statement.at) for row in statement.rows]
        engine.backend.write(records)
        count = len(records)
        return Result(statement.text, f"{count} row{'s' * (count != 1)} written to {source.name}")

    def _record(
        self, source: Source, columns: dict[str, Column], named: list[tuple[str, Span]], row: Sequence[Expr], at: Span
    ) -> TopicRecord:
        if len(row) != len(named):
            raise SqlError(f"{len(named)} columns, {len(row)} values", row[0].at if row else at)
        values: dict[str, Any] = {}
        for (name, _), expression in zip(named, row, strict=True):
            values[name] = constant(expression, columns[name].type, self._engine.functions)
        keys = tuple(values.get(column.name) for column in source.key)
        if source.is_table and None in keys:
            raise SqlError(f"the key of table {source.name} can't be NULL", at)
        key: Any = None if not keys else keys[0] if len(keys) == 1 else keys
        value: Any = tuple(values.get(column.name) for column in source.value)
        if source.is_table and source.value and not any(name in values for name in (c.name for c in source.value)):
            value = None  # only the key was given: the row is deleted
        timestamp = values.get("ROWTIME")
        return TopicRecord(
            source.topic,
            _bytes(source.key_serde(), source.topic, key, at),
            _bytes(source.value_serde(), source.topic, value, at),
            -1 if timestamp is None else timestamp,
        )

    # -- PRINT

    def print(self, statement: Print) -> PushResult:
        backend = self._engine.backend
        topics = backend.topics()
        name = statement.topic if statement.topic in topics else statement.topic.upper()
        if name not in topics:
            raise SqlError(f"no topic {statement.topic}", statement.at, near(statement.topic, topics))
        columns = (Column("ROWTIME", BIGINT), Column("KEY", STRING), Column("VALUE", STRING))
        result = PushResult(statement.text, columns, statement.limit)
        records = backend.read([name], from_beginning=True, follows=True)

        def more() -> Iterator[None]:
            count = 0
            for record in records:
                if record is not None:
                    if count % statement.interval == 0:
                        result.add((record.timestamp, _text(record.key), _text(record.value)))
                    count += 1
                yield

        result.connect(more, lambda: _close(records))
        return result


def _close(records: Iterator[TopicRecord | None]) -> None:
    close = getattr(records, "close", None)
    if close is not None:
        close()


def _text(data: bytes | None) -> str | None:
    if data is None:
        return None
    try:
        text = data.decode()
        return text if text.isprintable() else data.hex()
    except UnicodeDecodeError:
        return data.hex()


def _bytes(serde: Serde[Any], topic: str, value: Any, at: Span) -> bytes | None:
    from streams.errors import SerdeError

    try:
        return serde.serializer(topic)(value)
    except SerdeError as error:
        raise SqlError(str(error), at) from error


def _output_columns(planned: Planned) -> tuple[Column, ...]:
    return tuple(planned.value[i] if i >= 0 else planned.key[-1 - i] for i in planned.output)


def _output_row(planned: Planned, k: Any, v: tuple[Any, ...]) -> tuple[Any, ...]:
    """A result as it was selected: key columns among the values."""
    if all(index >= 0 for index in planned.output):
        return v
    bare = k[0] if planned.window is not None and k is not None else k
    keys = (bare,) if len(planned.key) == 1 else bare or (None,) * len(planned.key)
    return tuple(v[index] if index >= 0 else keys[-1 - index] for index in planned.output)


def _hashable(key: Any) -> Any:
    from streams.sql.functions.collections import hashable

    return hashable(list(key)) if isinstance(key, (list, dict)) else tuple(key) if isinstance(key, Windowed) else key


def _asks_rowtime(expressions: Sequence[Expr]) -> bool:
    return any(isinstance(p, Name) and p.name == PSEUDO[0] for e in expressions for p in walk(e))
