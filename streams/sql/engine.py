"""SqlEngine: statements in, results out.

    engine = SqlEngine("localhost:9092")
    engine.execute("CREATE STREAM lines (line STRING) WITH (kafka_topic='lines', value_format='KAFKA')")
    [result] = engine.execute("SELECT UCASE(line) FROM lines EMIT CHANGES")
    for row in result: ...

A CREATE … AS SELECT and an INSERT INTO … SELECT start a query that runs until TERMINATE or DROP. On a cluster every
such statement is kept in a topic: the next engine of the same service takes its streams, tables and queries up again,
and several engines share the work.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

from streams.sql.aggregates import Aggregates
from streams.sql.backend import Backend
from streams.sql.catalog import Catalog
from streams.sql.definitions import DEFINITIONS, Definitions
from streams.sql.errors import SqlError
from streams.sql.functions import BUILT_IN, Registry, function_of, marked_functions
from streams.sql.functions.signatures import parse_signature
from streams.sql.listings import Listings
from streams.sql.parser import parse
from streams.sql.properties import change, defaults
from streams.sql.questions import Questions
from streams.sql.results import Result
from streams.sql.scripts import expanded
from streams.sql.statements import (
    Define,
    Describe,
    Explain,
    InsertValues,
    Print,
    Select,
    SetProperty,
    Show,
    Statement,
)
from streams.sql.types import SqlType


class SqlEngine:
    """One session. Not thread-safe: give it to one thread at a time."""

    def __init__(
        self,
        bootstrap_servers: str = "",
        *,
        service: str = "default",
        takes_up: bool = True,
        backend: Backend | None = None,
        **client: Any,
    ) -> None:
        """`service` names what belongs together on the cluster; `takes_up` is whether this engine runs the queries
        that others have defined, besides its own; `client` are settings of all clients."""
        if backend is None:
            from streams.sql.cluster_backend import ClusterBackend

            backend = ClusterBackend(bootstrap_servers, service, client)
        self.takes_up = takes_up
        self.backend = backend
        self.catalog = Catalog()
        self.functions = Registry(BUILT_IN)
        self.aggregates = Aggregates()
        self.properties = defaults()
        self.types: dict[str, SqlType] = {}
        """Of CREATE TYPE."""
        self.variables: dict[str, str] = {}
        """Of DEFINE, in upper case."""
        self._definitions = Definitions(self)
        self._questions = Questions(self)
        self._listings = Listings(self)
        self._learn_marked()

    # -- statements

    @property
    def definitions(self) -> Definitions:
        return self._definitions

    def execute(self, text: str) -> list[Result]:
        """Run every statement of `text`, one after the other; a result for each.

        Raises SqlError, pointing into `text`, at the first that is wrong; those before it have been carried out.
        """
        self._learn_marked()
        text = self.expanded(text)
        try:
            return [self.run(statement) for statement in self._parsed(text)]
        except SqlError as error:
            raise error.in_text(text) from None

    def expanded(self, text: str) -> str:
        """`text` with the values of `${variables}`, and with the files of RUN SCRIPT. Errors point into that."""
        return expanded(text, dict(self.variables))

    def _parsed(self, text: str) -> list[Statement]:
        self._definitions.catch_up()  # with the types of others
        return parse(text, dict(self.types))

    def check(self, text: str) -> list[Statement]:
        """The statements of an expanded `text`, parsed. Raises SqlError."""
        try:
            return self._parsed(text)
        except SqlError as error:
            raise error.in_text(text) from None

    def run(self, statement: Statement) -> Result:
        """One parsed statement. SqlErrors don't know the text yet that they point into: give it by `in_text`."""
        self._definitions.catch_up()
        if isinstance(statement, DEFINITIONS):
            return self._definitions.define(statement)
        match statement:
            case Select():
                return self._questions.select(statement)
            case InsertValues():
                return self._questions.insert(statement)
            case Print():
                return self._questions.print(statement)
            case SetProperty():
                return Result(statement.text, change(self.properties, statement))
            case Define():
                return self._define(statement)
            case Show():
                return self._listings.show(statement)
            case Describe():
                return self._listings.describe(statement)
            case Explain():
                return self._listings.explain(statement)
        raise SqlError("this statement can't be run", statement.at)

    def _define(self, statement: Define) -> Result:
        name = statement.name.upper()
        if statement.value is None:
            self.variables.pop(name, None)
            return Result(statement.text, f"{name} has no value")
        self.variables[name] = statement.value
        return Result(statement.text, f"{name} is {statement.value}")

    # -- functions in Python

    def register(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        signature: str | None = None,
        is_strict: bool = True,
    ) -> None:
        """A Python function for expressions, as `@udf` does for all engines. A strict one never sees NULL."""
        made = function_of(function, name, signature, is_strict)
        if self.aggregates.find(made.name) is not None or made.name == "EXPLODE":
            raise SqlError(f"{made.name} is an aggregate function already")
        self.functions.replace(made)

    def register_aggregate(
        self,
        name: str,
        signature: str,
        *,
        initial: Callable[[], Any],
        add: Callable[..., Any],
        state: str | None = None,
        result: Callable[[Any], Any] | None = None,
        merge: Callable[[Any, Any], Any] | None = None,
        undo: Callable[..., Any] | None = None,
    ) -> None:
        """An aggregate function: `add(state, *arguments)` gives the next state, `result(state)` the value.

        `signature` is `"DOUBLE -> DOUBLE"`, `state` the type of the state if it isn't the result's. Sessions need
        `merge(state, state)`, tables `undo(state, *arguments)`.
        """
        parsed = parse_signature(signature)
        kept = parsed.result if state is None else parse_signature(f"-> {state}").result
        self.aggregates.register(
            name, state=kept, result=parsed.result, initial=initial, add=add, finish=result, merge=merge, undo=undo,
            takes=[parameter.pattern for parameter in parsed.parameters],
        )  # fmt: skip

    def _learn_marked(self) -> None:
        for function in marked_functions():
            if not self.functions.overloads(function.name) or function.name not in self.functions.own_names():
                self.functions.replace(function)

    # -- the end

    def close(self) -> None:
        """Stop every query here. They go on in other engines of the service, and in the next one."""
        self.backend.close()

    def __enter__(self) -> SqlEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
