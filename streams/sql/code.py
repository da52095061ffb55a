"""Compiled expressions: Python source with its type, what names in it mean, and what it calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from streams.sql.casts import to_decimal
from streams.sql.errors import SqlError
from streams.sql.syntax import Name
from streams.sql.types import SqlType

Row = tuple[Any, ...]
Evaluated = Callable[[Any, Any], Any]
Counted = Callable[[Exception], None]


class Code(NamedTuple):
    """Python source of an expression, the type it gives, and whether it can give NULL."""

    text: str
    type: SqlType
    is_nullable: bool = True


class Scope(Protocol):
    """What names mean. Raises SqlError for those that mean nothing."""

    def resolve(self, name: Name) -> Code: ...


class NoColumns:
    """For VALUES: constants only."""

    def resolve(self, name: Name) -> Code:
        raise SqlError(f"{name} is a column, and there is no row here", name.at, f"strings are quoted: '{name}'")


PSEUDO = ("ROWTIME", "WINDOWSTART", "WINDOWEND")
"""Columns that aren't declared: ms in a BIGINT, which may be compared with a time in quotes."""


class Environment(dict[str, Any]):
    """What compiled text of one statement calls by name."""

    def __init__(self) -> None:
        super().__init__(Decimal=Decimal, to_decimal=to_decimal)
        self.count = 0

    def new_name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"


def tuple_text(texts: Iterable[str]) -> str:
    return "(" + "".join(f"{text}, " for text in texts) + ")"
