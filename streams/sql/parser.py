"""Statements, by recursive descent. Scalar expressions inside go to sqlglot, see scalar_parser."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from streams.sql.cursor import Cursor
from streams.sql.errors import Span, SqlError, near
from streams.sql.select_parser import SelectParser
from streams.sql.statements import (
    Alter,
    ColumnDef,
    CreateAs,
    CreateSource,
    CreateType,
    Define,
    Describe,
    Drop,
    DropType,
    Explain,
    InsertSelect,
    InsertValues,
    Option,
    Print,
    SetProperty,
    Show,
    Statement,
    Terminate,
)
from streams.sql.syntax import Expr
from streams.sql.tokens import Token, tokens_of
from streams.sql.type_parser import type_at
from streams.sql.types import NAMES, SqlType

_STARTS = (
    "CREATE", "INSERT", "SELECT", "SHOW", "LIST", "DESCRIBE", "EXPLAIN", "DROP", "TERMINATE", "SET", "UNSET", "PRINT",
    "ALTER", "DEFINE", "UNDEFINE",
)  # fmt: skip
_SHOWN = ("STREAMS", "TABLES", "TOPICS", "QUERIES", "FUNCTIONS", "PROPERTIES", "TYPES", "VARIABLES")


def parse(text: str, types: dict[str, SqlType] | None = None) -> list[Statement]:
    """All statements of `text`. Raises SqlError at the first that can't be understood.

    `types` are those that have names; CREATE TYPE and DROP TYPE change them from there on.
    """
    types = {} if types is None else types
    return StatementParser(Cursor(text, tokens_of(text), types), types).statements()


class StatementParser:
    """One method per statement."""

    def __init__(self, cursor: Cursor, types: dict[str, SqlType]) -> None:
        self._cursor = cursor
        self._types = types
        self._select = SelectParser(cursor)

    def statements(self) -> list[Statement]:
        cursor, found = self._cursor, list[Statement]()
        while True:
            while cursor.take_symbol(";"):
                pass
            if cursor.now.kind == "end":
                return found
            found.append(self._statement())
            if cursor.now.kind != "end":
                cursor.expect_symbol(";")

    def _statement(self) -> Statement:
        cursor = self._cursor
        start = cursor.now
        if not start.is_word(*_STARTS):
            raise cursor.unexpected("", *_STARTS)
        if start.is_word("SELECT"):
            statement: Statement = self._select.select()
        else:
            word = cursor.take().value
            handler = {"LIST": "SHOW"}.get(word, word).lower()
            statement = getattr(self, f"_{handler}")()
        at = Span(start.at.start, cursor.last.at.end)
        place = start.at if statement.at.start < 0 else statement.at
        return replace(statement, text=cursor.text[at.start : at.end], at=place)

    # -- CREATE

    def _create(self) -> Statement:
        cursor = self._cursor
        or_replace = cursor.take_words("OR", "REPLACE")
        if not or_replace and cursor.take_words("TYPE"):
            return self._create_type()
        cursor.take_words("SOURCE")
        is_table = cursor.expect_word("STREAM", "TABLE").value == "TABLE"
        if_not_exists = cursor.take_words("IF", "NOT", "EXISTS")
        name = cursor.name("a name")
        columns = self._columns(is_table) if cursor.now.is_symbol("(") else ()
        options = self._options()
        if cursor.take_words("AS"):
            if columns:
                raise SqlError("columns come from the SELECT", columns[0].at, "leave the list of columns out")
            select = self._select.select()
            return CreateAs(name.value, is_table, options, select, or_replace, if_not_exists, at=name.at)
        if not columns:
            raise cursor.unexpected("a list of columns, or AS SELECT,")
        return CreateSource(name.value, is_table, columns, options, or_replace, if_not_exists, at=name.at)

    def _create_type(self) -> Statement:
        cursor = self._cursor
        if_not_exists = cursor.take_words("IF", "NOT", "EXISTS")
        name = cursor.name("a name")
        cursor.expect_word("AS")
        made = type_at(cursor)
        if name.value in NAMES or (name.value in self._types and not if_not_exists):
            raise SqlError(f"there is a type {name.value} already", name.at, "DROP TYPE it, or choose another name")
        made = self._types.setdefault(name.value, made)
        return CreateType(name.value, made, if_not_exists, at=name.at)

    def _columns(self, is_table: bool) -> tuple[ColumnDef, ...]:
        cursor, found = self._cursor, list[ColumnDef]()
        cursor.expect_symbol("(")
        while True:
            name = cursor.name("a column")
            type_ = type_at(cursor)
            is_key = False
            if cursor.now.is_word("PRIMARY", "KEY"):
                word = cursor.now
                is_key = cursor.take_words("PRIMARY", "KEY") or cursor.take_words("KEY")
                if is_table != word.is_word("PRIMARY"):
                    right = "PRIMARY KEY" if is_table else "KEY"
                    kind = "table" if is_table else "stream"
                    raise SqlError(f"the key of a {kind} is marked {right}", word.at)
            if any(each.name == name.value for each in found):
                raise SqlError(f"column {name.value} is there twice", name.at)
            found.append(ColumnDef(name.value, type_, is_key, name.at))
            if not cursor.take_symbol(","):
                break
        cursor.expect_symbol(")")
        return tuple(found)

    def _options(self) -> tuple[Option, ...]:
        cursor, found = self._cursor, list[Option]()
        if not cursor.take_words("WITH"):
            return ()
        cursor.expect_symbol("(")
        while not cursor.now.is_symbol(")"):
            name = cursor.text_or_name("the name of a setting")
            cursor.expect_symbol("=")
            found.append(Option(name.value.upper(), self._option_value(cursor.take()), name.at.to(cursor.last.at)))
            if not cursor.take_symbol(","):
                break
        cursor.expect_symbol(")")
        return tuple(found)

    def _option_value(self, token: Token) -> Any:
        if token.kind == "number" and token.value.isdecimal():
            return int(token.value)
        if token.is_word("TRUE", "FALSE"):
            return token.value == "TRUE"
        if token.kind in ("string", "word", "quoted"):
            return token.value
        raise SqlError("a setting is a string, a number, TRUE or FALSE", token.at)

    # -- INSERT

    def _insert(self) -> Statement:
        cursor = self._cursor
        cursor.expect_word("INTO")
        target = cursor.name("a stream or table")
        options = self._options()
        if cursor.now.is_word("SELECT"):
            return InsertSelect(target.value, options, self._select.select(), at=target.at)
        columns: list[tuple[str, Span]] = []
        if cursor.take_symbol("("):
            while True:
                column = cursor.name("a column")
                columns.append((column.value, column.at))
                if not cursor.take_symbol(","):
                    break
            cursor.expect_symbol(")")
        cursor.expect_word("VALUES")
        rows = [self._row()]
        while cursor.take_symbol(","):
            rows.append(self._row())
        return InsertValues(target.value, tuple(columns), tuple(rows), at=target.at)

    def _row(self) -> tuple[Expr, ...]:
        cursor = self._cursor
        cursor.expect_symbol("(")
        values = [cursor.expression("a value")]
        while cursor.take_symbol(","):
            values.append(cursor.expression("a value"))
        cursor.expect_symbol(")")
        return tuple(values)

    # -- the rest

    def _show(self) -> Statement:
        cursor = self._cursor
        if cursor.ahead().is_word("TOPICS"):
            cursor.take_words("ALL")
        return Show(cursor.expect_word(*_SHOWN).value, cursor.take_words("EXTENDED"))

    def _describe(self) -> Statement:
        cursor = self._cursor
        if cursor.take_words("FUNCTION"):
            name = cursor.name("a function")
            return Describe(name.value, is_function=True, at=name.at)
        is_extended = cursor.take_words("EXTENDED") if cursor.ahead().kind in ("word", "quoted") else False
        name = cursor.name("a stream or table")
        is_extended = cursor.take_words("EXTENDED") or is_extended
        if name.is_word("STREAMS", "TABLES"):
            return Show(name.value, is_extended)
        return Describe(name.value, is_extended=is_extended, at=name.at)

    def _explain(self) -> Statement:
        cursor = self._cursor
        if cursor.now.is_word("SELECT", "CREATE", "INSERT"):
            return Explain(None, self._statement())
        query = cursor.text_or_name("a SELECT or the id of a query")
        return Explain(query.value, None, at=query.at)

    def _drop(self) -> Statement:
        cursor = self._cursor
        if cursor.take_words("TYPE"):
            return self._drop_type()
        is_table = cursor.expect_word("STREAM", "TABLE").value == "TABLE"
        if_exists = cursor.take_words("IF", "EXISTS")
        name = cursor.name("a name")
        return Drop(name.value, is_table, if_exists, cursor.take_words("DELETE", "TOPIC"), at=name.at)

    def _drop_type(self) -> Statement:
        if_exists = self._cursor.take_words("IF", "EXISTS")
        name = self._cursor.name("a type")
        if self._types.pop(name.value, None) is None and not if_exists:
            raise SqlError(f"no type {name.value}", name.at, near(name.value, self._types))
        return DropType(name.value, if_exists, at=name.at)

    def _alter(self) -> Statement:
        cursor, found = self._cursor, list[ColumnDef]()
        is_table = cursor.expect_word("STREAM", "TABLE").value == "TABLE"
        name = cursor.name("a name")
        while True:
            cursor.expect_word("ADD")
            cursor.take_words("COLUMN")
            column = cursor.name("a column")
            found.append(ColumnDef(column.value, type_at(cursor), False, column.at))
            if not cursor.take_symbol(","):
                return Alter(name.value, is_table, tuple(found), at=name.at)

    def _define(self) -> Statement:
        cursor = self._cursor
        name = cursor.name("the name of a variable")
        cursor.expect_symbol("=")
        if cursor.now.kind != "string":
            raise cursor.unexpected("a value in quotes")
        return Define(name.value, cursor.take().value, at=name.at)

    def _undefine(self) -> Statement:
        name = self._cursor.name("the name of a variable")
        return Define(name.value, None, at=name.at)

    def _terminate(self) -> Statement:
        cursor = self._cursor
        cursor.take_words("QUERY")
        query = cursor.text_or_name("the id of a query, or ALL,")
        return Terminate(None if query.is_word("ALL") else query.value, at=query.at)

    def _set(self) -> Statement:
        cursor = self._cursor
        name = cursor.text_or_name("the name of a property")
        cursor.expect_symbol("=")
        value = cursor.take()
        if value.kind not in ("string", "number", "word"):
            raise SqlError("a value, in quotes", value.at)
        return SetProperty(name.value, value.value, at=name.at)

    def _unset(self) -> Statement:
        name = self._cursor.text_or_name("the name of a property")
        return SetProperty(name.value, None, at=name.at)

    def _print(self) -> Statement:
        cursor = self._cursor
        topic = cursor.text_or_name("a topic")
        cursor.take_words("FROM", "BEGINNING")
        is_sample = cursor.take_words("INTERVAL") or cursor.take_words("SAMPLE")
        interval = max(1, cursor.whole_number("a number")) if is_sample else 1
        limit = cursor.whole_number("a number") if cursor.take_words("LIMIT") else None
        raw = cursor.text[topic.at.start : topic.at.end]
        return Print(raw if topic.kind == "word" else topic.value, limit, interval, at=topic.at)
