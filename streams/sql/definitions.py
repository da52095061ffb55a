"""Statements that last: CREATE, CREATE … AS, INSERT INTO … SELECT, DROP, TERMINATE."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streams.dsl.builder import StreamsBuilder
from streams.errors import StreamsError, TopologyError
from streams.sql.backend import Failures, Query
from streams.sql.catalog import Options, Source, check_formats, source_of, with_more_columns
from streams.sql.errors import SqlError, listed, near
from streams.sql.formats import Format
from streams.sql.journal import Entries, Entry, still_valid
from streams.sql.parser import parse
from streams.sql.planned import Planned, Toolbox
from streams.sql.planner import QueryPlanner
from streams.sql.query_checks import check_copartitioned, check_kind, check_loop
from streams.sql.results import Result
from streams.sql.sinks import renamed, with_sink
from streams.sql.statements import (
    Alter,
    CreateAs,
    CreateSource,
    CreateType,
    Drop,
    DropType,
    InsertSelect,
    Select,
    Statement,
    Terminate,
)

if TYPE_CHECKING:
    from streams.sql.engine import SqlEngine

log = logging.getLogger(__name__)
DEFINITIONS = (CreateSource, CreateAs, CreateType, DropType, Alter, InsertSelect, Drop, Terminate)


class Definitions:
    """The catalog's only writer, and the owner of persistent queries."""

    def __init__(self, engine: SqlEngine) -> None:
        self._engine = engine
        self._catalog = engine.catalog
        self._number = 0
        self._has_caught_up = False
        self._stopped: set[int] = set()
        self._read: Entries = []
        """Of others, not carried out yet."""
        self.queries: dict[str, Query] = {}
        self.started: set[str] = set()
        """Those that run in this engine."""
        self.problems: list[str] = []
        """Statements of earlier engines that can't be taken up again, and why."""

    # -- the statements of others

    def catch_up(self) -> None:
        """Take up what other engines of the service have defined, and what an earlier one did.

        Raises what the cluster raises; the next call goes on where this one had to stop.
        """
        journal = getattr(self._engine.backend, "journal", None)
        if journal is None:
            return
        journal.settle()
        types = dict(self._engine.types)
        types |= {made.name: made.type for _, made in self._read if isinstance(made, CreateType)}
        for entry in journal.news():
            try:
                self._read.append((entry, parse(entry.text, types)[0]))
            except SqlError as error:
                self._cannot(entry, error)
        if not self._has_caught_up:
            self._has_caught_up = True
            if self._read:
                self._number = self._read[-1][0].number + 1
            self._read, self._stopped = still_valid(self._read)
        while self._read:
            entry, statement = self._read[0]
            number, self._number = self._number, entry.number
            try:
                self._carry_out(statement, entry.properties, is_ours=False)
            except StreamsError as error:
                self._cannot(entry, error)
            finally:
                self._number = max(number, entry.number + 1)
            self._read.pop(0)
        self._stopped = set()

    def _cannot(self, entry: Entry, error: StreamsError) -> None:
        problem = error.in_text(entry.text) if isinstance(error, SqlError) else error
        self.problems.append(f"{entry.text}\n{problem}")
        log.warning("a statement can't be taken up again: %s", problem)

    def define(self, statement: Statement) -> Result:
        """Check, carry out, write down."""
        properties, number = dict(self._engine.properties), self._number
        message = self._carry_out(statement, properties, is_ours=True)
        journal = getattr(self._engine.backend, "journal", None)
        if journal is not None and self._number != number:  # else nothing was done
            journal.write(Entry(statement.text, properties, number))
        return Result(statement.text, message)

    def _carry_out(self, statement: Statement, properties: Mapping[str, str], *, is_ours: bool) -> str:
        """What was done, in words. Every statement that did something takes a number. Topics are deleted only by the
        engine whose statement it is."""
        match statement:
            case CreateSource():
                message = self._create(statement)
            case CreateAs():
                message = self._create_as(statement, properties, is_ours)
            case InsertSelect():
                message = self._insert(statement, properties, is_ours)
            case Drop():
                message = self._drop(statement, is_ours=is_ours)
            case CreateType():
                self._engine.types[statement.name] = statement.type
                self._number += 1
                message = f"TYPE {statement.name} is {statement.type}"
            case DropType():
                was_there = self._engine.types.pop(statement.name, None) is not None
                self._number += was_there
                message = f"TYPE {statement.name} dropped" if was_there else f"there is no type {statement.name}"
            case Alter():
                message = self._alter(statement)
            case Terminate():
                message = self._terminate(statement)
            case _:
                raise SqlError("this statement doesn't last", statement.at)
        return message

    # -- sources

    def _create(self, statement: CreateSource) -> str:
        if (known := self._known(statement)) is not None:
            return known
        options = Options(statement.options)
        source = source_of(statement.name, statement.is_table, statement.columns, options, statement.at, statement.text)
        self._catalog.put(self._with_topic(source, options))
        self._number += 1
        return f"{source.kind} {source.name} created"

    def _alter(self, statement: Alter) -> str:
        source = with_more_columns(self._catalog.get(statement.name, statement.at), statement)
        self._catalog.put(source)
        self._number += 1
        return f"{source.kind} {source.name} has {listed(each.name for each in statement.columns)} now"

    def _known(self, statement: CreateSource | CreateAs) -> str | None:
        known = self._catalog.find(statement.name)
        if known is None:
            return None
        if statement.if_not_exists:
            return f"{known.kind} {known.name} is there already"
        if statement.or_replace and known.is_table == statement.is_table:
            self._check_unused(known, statement.at, "replaced")
            if known.query_id is not None:
                self._stop(known.query_id)
            return None
        raise SqlError(f"there is a {known.kind.lower()} {known.name} already", statement.at, "DROP it, or OR REPLACE")

    def _with_topic(self, source: Source, options: Options, default_partitions: int | None = None) -> Source:
        """Its topic exists, with as many partitions as it says."""
        backend = self._engine.backend
        topics = backend.topics()
        wanted = source.partitions or default_partitions
        if source.topic in topics:
            there = topics[source.topic]
            if source.partitions is not None and source.partitions != there:
                hint = "leave PARTITIONS out, or name another topic"
                raise SqlError(f"topic {source.topic} has {there} partitions", options.at("PARTITIONS"), hint)
            return replace(source, partitions=there)
        if wanted is None:
            hint = near(source.topic, topics) or "PARTITIONS=… creates it"
            raise SqlError(f"no topic {source.topic}", options.at("KAFKA_TOPIC"), hint)
        is_compacted = source.is_table and source.window is None
        backend.create_topic(source.topic, wanted, source.replicas, is_compacted=is_compacted)
        return replace(source, partitions=wanted)

    # -- queries

    def _create_as(self, statement: CreateAs, properties: Mapping[str, str], is_ours: bool) -> str:
        if (known := self._known(statement)) is not None:
            return known
        options = Options(statement.options)
        failures = Failures()
        given = options.format("KEY", Format(""))
        planned = self.plan(statement.select, failures, key_format=given if given.name else None)
        check_kind(statement, planned)
        first = planned.sources[0]
        source = Source(
            statement.name, statement.is_table, planned.key, planned.value,
            options.text("KAFKA_TOPIC") or statement.name, planned.key_format,
            options.format("VALUE", first.value_format), planned.window,
            options.event_time(planned.key + planned.value), options.number("PARTITIONS"), options.number("REPLICAS"),
            text=statement.text,
        )  # fmt: skip
        check_formats(source, statement.at, options)
        check_loop(statement.select, [source.topic], planned)
        check_copartitioned(statement.select, planned)
        query_id = f"{'CTAS' if statement.is_table else 'CSAS'}_{statement.name}_{self._number}"
        topology = with_sink(planned, source)
        source = self._with_topic(source, options, first.partitions or 1)
        if self._number in self._stopped:
            self._number += 1
        else:
            query = Query(query_id, statement.text, source.name, planned, topology, failures, properties)
            self._start(query, is_ours)
        self._catalog.put(replace(source, query_id=query_id))
        return f"{source.kind} {source.name} created, filled by query {query_id}"

    def _insert(self, statement: InsertSelect, properties: Mapping[str, str], is_ours: bool) -> str:
        target = self._catalog.get(statement.target, statement.at)
        if target.is_table:
            raise SqlError("INSERT INTO … SELECT goes into streams", statement.at, "CREATE TABLE … AS SELECT")
        failures = Failures()
        planned = self.plan(statement.select, failures, key_format=target.key_format, keeps_key=bool(target.key))
        if planned.is_table or planned.window is not None:
            raise SqlError("this SELECT gives a table, and the target is a stream", statement.select.at)
        planned = renamed(planned, target, statement)
        check_loop(statement.select, [target.topic], planned)
        check_copartitioned(statement.select, planned)
        query_id = f"INSERTQUERY_{self._number}"
        query = Query(query_id, statement.text, target.name, planned, with_sink(planned, target), failures, properties)
        self._start(query, is_ours)
        return f"query {query_id} writes to {target.name}"

    def plan(
        self, select: Select, failures: Failures, *, key_format: Format | None = None, keeps_key: bool = True
    ) -> Planned:
        """Raises SqlError for a SELECT that can't be."""
        engine = self._engine
        tools = Toolbox(engine.catalog, engine.functions, engine.aggregates, failures, StreamsBuilder())
        try:
            return QueryPlanner(select, tools, keeps_key=keeps_key, key_format=key_format).plan()
        except TopologyError as error:
            raise SqlError(str(error), select.at) from error

    def _start(self, query: Query, is_ours: bool) -> None:
        if is_ours or self._engine.takes_up:
            self._engine.backend.start(query)
            self.started.add(query.id)
        self.queries[query.id] = query
        self._number += 1

    def _stop(self, query_id: str) -> None:
        self.queries.pop(query_id, None)
        self.started.discard(query_id)
        self._engine.backend.stop(query_id)

    # -- the end of things

    def _check_unused(self, source: Source, at: Any, what: str) -> None:
        users = [q.id for q in self.queries.values() if source.name in q.sources]
        users += [q.id for q in self.queries.values() if q.sink == source.name and q.id != source.query_id]
        if users:
            raise SqlError(
                f"{source.name} can't be {what}: {listed(users)} use{'s' if len(users) == 1 else ''} it", at,
                f"TERMINATE {users[0]} first",
            )  # fmt: skip

    def _drop(self, statement: Drop, *, is_ours: bool) -> str:
        source = self._catalog.find(statement.name)
        if source is None:
            if statement.if_exists:
                return f"there is no {statement.name}"
            source = self._catalog.get(statement.name, statement.at)
        if source.is_table != statement.is_table:
            hint = f"DROP {source.kind} {source.name}"
            raise SqlError(f"{source.name} is a {source.kind.lower()}", statement.at, hint)
        self._check_unused(source, statement.at, "dropped")
        if source.query_id in self.queries:
            self._stop(str(source.query_id))
        if statement.deletes_topic and is_ours:
            self._engine.backend.delete_topic(source.topic)
        self._catalog.drop(source.name)
        self._number += 1
        also = f", and topic {source.topic}" if statement.deletes_topic else ""
        return f"{source.kind} {source.name} dropped{also}"

    def _terminate(self, statement: Terminate) -> str:
        if statement.query_id is None:
            stopped = list(self.queries)
        else:
            by_upper = {query_id.upper(): query_id for query_id in self.queries}
            query_id = by_upper.get(statement.query_id.upper())
            if query_id is None:
                hint = near(statement.query_id, self.queries) or "SHOW QUERIES lists them"
                raise SqlError(f"no query {statement.query_id}", statement.at, hint)
            stopped = [query_id]
        for query_id in stopped:
            self._stop(query_id)
        self._number += 1
        return f"terminated {listed(stopped)}" if stopped else "no query was running"
