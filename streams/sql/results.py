"""What statements answer: words, rows, or rows that keep coming."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.sql.columns import Column
from streams.sql.time_patterns import iso
from streams.sql.types import STRING, SqlType


@dataclass
class Result:
    """`message` says what was done; `columns` and `rows` are there for whatever answers with a table."""

    statement: str
    message: str = ""
    columns: tuple[Column, ...] = ()
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    title: str = ""

    @property
    def is_table(self) -> bool:
        return bool(self.columns)

    def dicts(self) -> list[dict[str, Any]]:
        """Rows by column name."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]


class PushResult(Result):
    """A SELECT … EMIT CHANGES. Iterate to wait for rows; `rows` has those that came so far; `close` ends it."""

    def __init__(self, statement: str, columns: Sequence[Column], limit: int | None) -> None:
        super().__init__(statement, columns=tuple(columns))
        self.limit = limit
        self.key_places: tuple[int, ...] = ()
        """Of a table: which columns are its key, so that a row replaces an older one."""
        self.is_closed = False
        self._more: Callable[[], Iterator[None]] = lambda: iter(())
        self._on_close: Callable[[], None] = lambda: None
        self._taken = 0

    def connect(self, more: Callable[[], Iterator[None]], on_close: Callable[[], None]) -> None:
        """`more` gives control back whenever rows may have come, until there will be none."""
        self._more, self._on_close = more, on_close

    def add(self, row: tuple[Any, ...]) -> None:
        if not self.is_full:
            self.rows.append(row)

    @property
    def is_full(self) -> bool:
        return self.limit is not None and len(self.rows) >= self.limit

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Rows as they come; ends at the limit, after `close`, and in the test driver once all is read."""
        try:
            yield from self._untaken()
            for _ in self._more():
                yield from self._untaken()
                if self.is_full or self.is_closed:
                    break
        finally:
            if self.is_full:
                self.close()

    def _untaken(self) -> Iterator[tuple[Any, ...]]:
        while self._taken < len(self.rows):
            self._taken += 1
            yield self.rows[self._taken - 1]

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self._on_close()


def listing(statement: str, title: str, names: Sequence[str], rows: Sequence[Sequence[object]]) -> Result:
    """Words in columns."""
    cells = [tuple("" if cell is None else str(cell) for cell in row) for row in rows]
    return Result(statement, columns=tuple(Column(name, STRING) for name in names), rows=list(cells), title=title)


def shown(value: Any, type_: SqlType) -> str:
    """A value for people: times as text, bytes as hex."""
    if value is None:
        return "null"
    if type_.is_time:
        return iso(type_.kind, value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, bool):
        return "true" if value else "false"
    if type_.kind == "ARRAY":
        return "[" + ", ".join(shown(item, type_.items[0]) for item in value) + "]"
    if type_.kind == "MAP":
        pairs = (f"{shown(k, type_.items[0])}={shown(v, type_.items[1])}" for k, v in value.items())
        return "{" + ", ".join(pairs) + "}"
    if type_.kind == "STRUCT":
        fields = zip(type_.names, type_.items, strict=True)
        return "{" + ", ".join(f"{name}={shown(value.get(name), inner)}" for name, inner in fields) + "}"
    return str(value)


def plain(value: Any, type_: SqlType) -> Any:
    """A value for JSON."""
    if value is None or (isinstance(value, (bool, int, float, str)) and not type_.is_time):
        return value
    if type_.kind == "ARRAY":
        return [plain(item, type_.items[0]) for item in value]
    if type_.kind == "MAP":
        return {shown(k, type_.items[0]): plain(v, type_.items[1]) for k, v in value.items()}
    if type_.kind == "STRUCT":
        return {name: plain(value.get(name), inner) for name, inner in zip(type_.names, type_.items, strict=True)}
    return float(value) if type_.kind == "DECIMAL" else shown(value, type_)
