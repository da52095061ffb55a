"""Types as they are written: `ARRAY<STRUCT<name STRING, at TIMESTAMP>>`. A field may be called VALUE or DATE."""

from __future__ import annotations

from collections.abc import Mapping

from streams.sql.cursor import Cursor
from streams.sql.errors import SqlError
from streams.sql.tokens import tokens_of
from streams.sql.types import SqlType, array_of, decimal_of, map_of, named, struct_of


def parse_type(text: str, types: Mapping[str, SqlType] | None = None) -> SqlType:
    """`types` are those of CREATE TYPE. Raises SqlError."""
    return type_at(Cursor(text, tokens_of(text), types or {}))


def type_at(cursor: Cursor) -> SqlType:
    """The type that comes next. Raises SqlError where there is none."""
    token = cursor.now
    if token.kind not in ("word", "quoted") or token.is_word("PRIMARY", "KEY"):
        raise cursor.unexpected("a type")
    cursor.take()
    if token.value in cursor.types:
        return cursor.types[token.value]
    match token.value:
        case "ARRAY":
            return array_of(*_inner(cursor, "ARRAY<T>", 1))
        case "MAP":
            return map_of(*_inner(cursor, "MAP<K, V>", 2))
        case "STRUCT":
            return _struct(cursor)
        case "DECIMAL" | "DEC" | "NUMERIC":
            return _decimal(cursor)
    if cursor.now.is_symbol("("):  # VARCHAR(50)
        cursor.take()
        cursor.whole_number("a length")
        cursor.expect_symbol(")")
    try:
        return named(token.value)
    except SqlError as error:
        raise SqlError(error.message, token.at, error.hint) from None


def _inner(cursor: Cursor, written: str, count: int) -> list[SqlType]:
    name = cursor.last
    if not cursor.take_symbol("<"):
        raise SqlError(f"{name.value} needs its types: {written}", name.at)
    found = [type_at(cursor)]
    while len(found) < count:
        cursor.expect_symbol(",")
        found.append(type_at(cursor))
    cursor.expect_symbol(">")
    return found


def _struct(cursor: Cursor) -> SqlType:
    name = cursor.last
    if not cursor.take_symbol("<"):
        raise SqlError("STRUCT needs its fields: STRUCT<a T, b U>", name.at)
    fields: dict[str, SqlType] = {}
    while not cursor.now.is_symbol(">"):
        field = cursor.name("a field")
        if field.value in fields:
            raise SqlError(f"field {field.value} is there twice", field.at)
        fields[field.value] = type_at(cursor)
        if not cursor.take_symbol(","):
            break
    cursor.expect_symbol(">")
    return struct_of(fields)


def _decimal(cursor: Cursor) -> SqlType:
    sizes: list[int] = []
    if cursor.take_symbol("("):
        sizes.append(cursor.whole_number("how many digits"))
        if cursor.take_symbol(","):
            sizes.append(cursor.whole_number("how many of them behind the point"))
        cursor.expect_symbol(")")
    return decimal_of(sizes[0] if sizes else 38, sizes[1] if len(sizes) == 2 else 0)
