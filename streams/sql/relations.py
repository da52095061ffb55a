"""A place in a query's plan: a flow of the builder, and what its records' columns are called and typed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from streams.serdes import Serde
from streams.sql.catalog import KeyWindow, Source
from streams.sql.code import Code, tuple_text
from streams.sql.columns import Column
from streams.sql.errors import SqlError, listed, near
from streams.sql.formats import Format
from streams.sql.syntax import Expr, Lambda, Name, Star, rewrite
from streams.sql.types import BIGINT, SqlType


@dataclass(frozen=True, slots=True)
class Bound:
    """A column of a record: `text` is how compiled expressions get at it. Hidden ones don't belong to `*`."""

    source: str
    name: str
    type: SqlType
    text: str
    is_key: bool = False
    is_hidden: bool = False

    @property
    def code(self) -> Code:
        return Code(self.text, self.type)


@dataclass(frozen=True)
class Relation:
    """`flow` is a KStream or KTable whose values are tuples. `key` are the key's columns, as they'd be written."""

    flow: Any
    is_table: bool
    columns: tuple[Bound, ...]
    key: tuple[Column, ...]
    key_format: Format
    window: KeyWindow | None
    width: int
    key_serde: Serde[Any] | None

    # -- names

    def find(self, name: Name) -> Bound:
        """Raises SqlError for a name that means nothing, or two things."""
        found = [column for column in self.columns if column.name == name.name and name.source in (None, column.source)]
        if len(found) == 1 or (found and all(column.text == found[0].text for column in found)):
            return found[0]
        shown = [column for column in found if not column.is_hidden]
        if len(shown) == 1 and name.source is None:
            return shown[0]
        if found:
            choices = listed(f"{column.source}.{column.name}" for column in found)
            raise SqlError(f"{name} could be {choices}", name.at, "put the source in front")
        raise self._unknown(name)

    def _unknown(self, name: Name) -> SqlError:
        sources = {column.source: None for column in self.columns if column.source}
        if name.source is not None and name.source not in sources:
            return SqlError(f"no source {name.source} in this query", name.at, near(name.source, sources))
        known = [column.name for column in self.columns if name.source in (None, column.source)]
        where = name.source or listed(sources) if sources else ""
        if name.name in ("WINDOWSTART", "WINDOWEND"):
            return SqlError(f"{name.name}: nothing is windowed here", name.at, "a WINDOW clause gives every row one")
        hint = near(name.name, known) or f"there {'is' if len(known) == 1 else 'are'} {', '.join(dict.fromkeys(known))}"
        return SqlError(f"no column {name.name}" + (f" in {where}" if where else ""), name.at, hint)

    def resolve(self, name: Name) -> Code:
        return self.find(name).code

    def qualified(self, expression: Expr, free: Sequence[str] = ()) -> Expr:
        """The same expression with every column under its full name, so that equal ones are equal.

        Names in `free` are left alone: they will mean something later.
        """

        def change(part: Expr) -> Expr | None:
            if isinstance(part, Name) and part.source is None and part.name in free:
                return part
            if isinstance(part, Name):
                bound = self.find(part)
                return Name(bound.name, bound.source, at=part.at)
            if isinstance(part, Lambda):
                return Lambda(part.parameters, self._within_lambda(part), at=part.at)
            return None

        return rewrite(expression, change)

    def _within_lambda(self, function: Lambda) -> Expr:
        def change(part: Expr) -> Expr | None:
            if isinstance(part, Name):
                if part.source is None and part.name in function.parameters:
                    return part
                bound = self.find(part)
                return Name(bound.name, bound.source, at=part.at)
            return None

        return rewrite(function.body, change)

    def star(self, star: Star, *, with_window: bool) -> list[Bound]:
        """What `*` or `s.*` stands for; for people the window of a row belongs to it."""
        sources = {column.source for column in self.columns}
        if star.source is not None and star.source not in sources:
            raise SqlError(f"no source {star.source} in this query", star.at, near(star.source, sources))
        shown = [c for c in self.columns if star.source in (None, c.source) and c.name not in ("ROWTIME", "ROWKEY")]
        is_windowed = with_window and self.window is not None
        windows = [c for c in shown if c.is_hidden] if is_windowed else []
        keys = [c for c in shown if c.is_key and not c.is_hidden]
        return keys + windows + [c for c in shown if not c.is_key and not c.is_hidden]

    # -- records

    def flat_text(self) -> str:
        """All columns that expressions can get at, hidden ones too, as one tuple."""
        return tuple_text(column.text for column in self.columns)

    def with_flow(self, flow: Any, **changes: Any) -> Relation:
        return replace(self, flow=flow, **changes)


def source_columns(source: Source, alias: str, *, has_rowtime: bool = False) -> tuple[Bound, ...]:
    """A source's columns, found in its records' keys and values."""
    base = "k" if source.window is None else "k[0]"
    columns = key_columns(source.key, alias, base)
    columns += [Bound(alias, c.name, c.type, f"v[{i}]") for i, c in enumerate(source.value)]
    if has_rowtime:
        columns.append(Bound(alias, "ROWTIME", BIGINT, f"v[{len(source.value)}]", is_hidden=True))
    return tuple(columns + window_columns(source.window, alias))


def key_columns(key: Sequence[Column], alias: str, base: str = "k") -> list[Bound]:
    if len(key) == 1:
        return [Bound(alias, key[0].name, key[0].type, base, is_key=True)]
    return [
        Bound(alias, column.name, column.type, f"(None if {base} is None else {base}[{index}])", is_key=True)
        for index, column in enumerate(key)
    ]


def window_columns(window: KeyWindow | None, alias: str) -> list[Bound]:
    if window is None:
        return []
    return [
        Bound(alias, "WINDOWSTART", BIGINT, "k[1]", is_hidden=True),
        Bound(alias, "WINDOWEND", BIGINT, "k[2]", is_hidden=True),
    ]


def tuple_columns(columns: Iterable[Bound], start: int = 0) -> tuple[Bound, ...]:
    """The same columns once they lie flat in a value, from position `start` on."""
    return tuple(
        Bound(c.source, c.name, c.type, f"v[{start + index}]", is_hidden=c.is_hidden) for index, c in enumerate(columns)
    )
