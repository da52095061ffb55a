"""Scalar expressions as the planner sees them. Two are equal when they say the same, wherever they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

from streams.sql.errors import NOWHERE, Span
from streams.sql.types import SqlType

ALL_FIELDS = "*"


@dataclass(frozen=True, slots=True)
class Expr:
    """Root of all; `at` is where it stands in the statement."""

    at: Span = field(default=NOWHERE, compare=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Literal(Expr):
    """A number (int, Decimal or float), string, bool, bytes, or None."""

    value: Any


@dataclass(frozen=True, slots=True)
class Name(Expr):
    """A column, perhaps of a named source."""

    name: str
    source: str | None = None

    def __str__(self) -> str:
        return self.name if self.source is None else f"{self.source}.{self.name}"


@dataclass(frozen=True, slots=True)
class Star(Expr):
    """`*`, or `s.*`."""

    source: str | None = None


@dataclass(frozen=True, slots=True)
class Call(Expr):
    name: str
    arguments: tuple[Expr, ...] = ()
    is_distinct: bool = False


@dataclass(frozen=True, slots=True)
class Operation(Expr):
    """`operator` is + - * / % || = <> < <= > >= AND OR NOT, NEGATE, or DISTINCT (IS DISTINCT FROM)."""

    operator: str
    operands: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class IsNull(Expr):
    operand: Expr


@dataclass(frozen=True, slots=True)
class In(Expr):
    operand: Expr
    choices: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Like(Expr):
    operand: Expr
    pattern: Expr
    escape: str | None = None


@dataclass(frozen=True, slots=True)
class Case(Expr):
    """CASE WHEN … THEN … ELSE; `CASE x WHEN` has become comparisons."""

    branches: tuple[tuple[Expr, Expr], ...]
    default: Expr


@dataclass(frozen=True, slots=True)
class Cast(Expr):
    operand: Expr
    to: SqlType


@dataclass(frozen=True, slots=True)
class Item(Expr):
    """`array[1]` or `map['key']`."""

    base: Expr
    index: Expr


@dataclass(frozen=True, slots=True)
class Field(Expr):
    """`struct->name`; the name is ALL_FIELDS for `struct->*`, which only a select list may say."""

    base: Expr
    name: str


@dataclass(frozen=True, slots=True)
class ArrayOf(Expr):
    items: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class MapOf(Expr):
    entries: tuple[tuple[Expr, Expr], ...]


@dataclass(frozen=True, slots=True)
class StructOf(Expr):
    names: tuple[str, ...]
    values: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Lambda(Expr):
    """`x => x + 1`, an argument of some functions."""

    parameters: tuple[str, ...]
    body: Expr


def parts_of(expression: Expr) -> Iterator[Expr]:
    """The expressions directly inside."""
    for each in fields(expression):
        yield from _parts(getattr(expression, each.name))


def _parts(value: Any) -> Iterator[Expr]:
    if isinstance(value, Expr):
        yield value
    elif isinstance(value, tuple) and not isinstance(value, Span):
        for item in value:
            yield from _parts(item)


def walk(expression: Expr) -> Iterator[Expr]:
    """It and everything inside, depth first."""
    yield expression
    for part in parts_of(expression):
        yield from walk(part)


def conjuncts(expression: Expr | None) -> list[Expr]:
    """What AND holds together at the top."""
    if expression is None:
        return []
    if isinstance(expression, Operation) and expression.operator == "AND":
        return [part for operand in expression.operands for part in conjuncts(operand)]
    return [expression]


def rewrite(expression: Expr, change: Callable[[Expr], Expr | None]) -> Expr:
    """A copy in which `change` has replaced what it wants to, from the top down; None keeps a part."""
    changed = change(expression)
    if changed is not None:
        return changed
    inner = {each.name: _rewritten(getattr(expression, each.name), change) for each in fields(expression)}
    return replace(expression, **inner)


def _rewritten(value: Any, change: Callable[[Expr], Expr | None]) -> Any:
    if isinstance(value, Expr):
        return rewrite(value, change)
    if isinstance(value, tuple) and not isinstance(value, Span):
        return tuple(_rewritten(item, change) for item in value)
    return value
