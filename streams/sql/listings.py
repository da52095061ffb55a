"""SHOW, DESCRIBE, EXPLAIN."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.dsl.builder import StreamsBuilder
from streams.sql.backend import Failures
from streams.sql.catalog import Source
from streams.sql.errors import SqlError, near
from streams.sql.planned import Planned
from streams.sql.results import Result, listing
from streams.sql.statements import CreateAs, Describe, Explain, InsertSelect, Select, Show

if TYPE_CHECKING:
    from streams.sql.engine import SqlEngine


class Listings:
    """Of one engine."""

    def __init__(self, engine: SqlEngine) -> None:
        self._engine = engine

    def show(self, statement: Show) -> Result:
        engine, text = self._engine, statement.text
        match statement.what:
            case "STREAMS" | "TABLES":
                is_table = statement.what == "TABLES"
                return self._sources(statement, is_table=is_table)
            case "TOPICS":
                topics = sorted(engine.backend.topics().items())
                return listing(text, "Topics", ("Topic", "Partitions"), topics)
            case "QUERIES":
                more = ("Reads", "Last failure") if statement.is_extended else ()
                names = ("Query", "State", "Fills", "Failed values", "Statement", *more)
                return listing(text, "Queries", names, self._queries(is_extended=statement.is_extended))
            case "TYPES":
                return listing(text, "Types", ("Name", "Type"), sorted(engine.types.items()))
            case "VARIABLES":
                return listing(text, "Variables", ("Name", "Value"), sorted(engine.variables.items()))
            case "FUNCTIONS":
                scalar = [(name, self._kind(name)) for name in engine.functions.names()]
                aggregates = [(name, "aggregate") for name in engine.aggregates.names()]
                both = sorted([*scalar, *aggregates, ("EXPLODE", "table")])
                return listing(text, "Functions", ("Function", "Kind"), both)
        return listing(text, "Properties", ("Property", "Value"), sorted(engine.properties.items()))

    def _sources(self, statement: Show, *, is_table: bool) -> Result:
        names = ["Name", "Topic", "Key format", "Value format", *(["Windowed"] if is_table else [])]
        names += ["Partitions", "Columns", "Filled by"] if statement.is_extended else []
        rows = list[tuple[object, ...]]()
        for source in self._engine.catalog:
            if source.is_table == is_table:
                row: list[object] = [source.name, source.topic, source.key_format.name, source.value_format.name]
                row += [source.window is not None] if is_table else []
                if statement.is_extended:
                    columns = ", ".join(f"{column.name} {column.type}" for column in source.columns)
                    row += [source.partitions, columns, source.query_id]
                rows.append(tuple(row))
        return listing(statement.text, statement.what.capitalize(), names, rows)

    def _queries(self, *, is_extended: bool) -> list[tuple[object, ...]]:
        backend = self._engine.backend
        rows = list[tuple[object, ...]]()
        for query in self._engine.definitions.queries.values():
            state, text = backend.state_of(query.id), " ".join(query.text.split())
            more = (", ".join(query.sources), query.failures.last) if is_extended else ()
            rows.append((query.id, state, query.sink, query.failures.count, text, *more))
        return rows

    def _kind(self, name: str) -> str:
        return "yours" if any(each.is_yours for each in self._engine.functions.overloads(name)) else "scalar"

    # -- DESCRIBE

    def describe(self, statement: Describe) -> Result:
        if statement.is_function:
            return self._describe_function(statement)
        source = self._engine.catalog.get(statement.name, statement.at)
        rows = [(c.name, c.type, self._key_mark(source)) for c in source.key]
        rows += [(column.name, column.type, "") for column in source.value]
        result = listing(statement.text, f"{source.kind} {source.name}", ("Column", "Type", "Key"), rows)
        if statement.is_extended:
            result.message = "\n".join(f"{name}: {value}" for name, value in self._details(source))
        return result

    def _key_mark(self, source: Source) -> str:
        mark = "primary key" if source.is_table else "key"
        if source.window is None:
            return mark
        size = "" if source.window.size_ms is None else f" {source.window.size_ms} ms"
        return f"{mark} ({source.window.kind.lower()} window{size})"

    def _details(self, source: Source) -> list[tuple[str, str]]:
        queries = self._engine.definitions.queries.values()
        event_time = "ROWTIME" if source.event_time is None else source.event_time.column
        return [
            ("Topic", f"{source.topic}, {source.partitions or '?'} partitions"),
            ("Formats", f"key {source.key_format.name}, value {source.value_format.name}"),
            ("Time of a row", event_time),
            ("Filled by", ", ".join(q.id for q in queries if q.sink == source.name) or "whoever writes to the topic"),
            ("Read by", ", ".join(q.id for q in queries if source.name in q.sources) or "no query"),
            ("Statement", source.text),
        ]

    def _describe_function(self, statement: Describe) -> Result:
        engine, name = self._engine, statement.name
        names = ("Function", "Takes and gives", "What")
        aggregate = engine.aggregates.find(name)
        if aggregate is not None:
            takes = f"{aggregate.least} to {aggregate.most} arguments"
            return listing(statement.text, name, names, [(name, takes, aggregate.describes)])
        if name == "EXPLODE":
            return listing(statement.text, name, names, [(name, "(ARRAY<T>) -> T", "one row for each element")])
        overloads = engine.functions.overloads(name)
        if not overloads:
            known = [*engine.functions.names(), *engine.aggregates.names(), "EXPLODE"]
            raise SqlError(f"no function {name}", statement.at, near(name, known))
        return listing(statement.text, name, names, [(name, each.signature, each.describes) for each in overloads])

    # -- EXPLAIN

    def explain(self, statement: Explain) -> Result:
        definitions = self._engine.definitions
        if statement.query_id is not None:
            by_upper = {query_id.upper(): query for query_id, query in definitions.queries.items()}
            query = by_upper.get(statement.query_id.upper())
            if query is None:
                hint = near(statement.query_id, definitions.queries)
                raise SqlError(f"no query {statement.query_id}", statement.at, hint)
            state = self._engine.backend.state_of(query.id)
            about = f"{query.id}: {state}\n{query.text}\n\n"
            if query.failures.count:
                about += f"{query.failures.count} values could not be computed, the last: {query.failures.last}\n\n"
            return Result(statement.text, about + _steps(query.planned) + f"\n{query.topology.describe()}".rstrip())
        inner = statement.statement
        if isinstance(inner, (CreateAs, InsertSelect)):
            inner = inner.select
        if not isinstance(inner, Select):
            raise SqlError("EXPLAIN takes a query", statement.at)
        planned = definitions.plan(inner, Failures(), keeps_key=False)
        _end(planned)
        return Result(statement.text, _steps(planned) + f"\n{planned.builder.build().describe()}".rstrip())


def _end(planned: Planned) -> StreamsBuilder:
    flow = planned.flow.to_stream() if planned.is_table else planned.flow
    flow.for_each(lambda k, v: None, name="rows")
    return planned.builder


def _steps(planned: Planned) -> str:
    reads = ", ".join(f"{source.name} (topic {source.topic})" for source in planned.sources)
    gives = ", ".join(f"{column.name} {column.type}" for column in planned.key + planned.value)
    kind = "a table" if planned.is_table else "a stream"
    return f"reads {reads}\ngives {kind} of {gives}\n"
