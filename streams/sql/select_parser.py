"""SELECT: its list, sources, joins, window, filters and what it emits."""

from __future__ import annotations

from streams.sql.cursor import Cursor
from streams.sql.errors import Span, SqlError, near
from streams.sql.statements import From, Item, Join, Select, Window, Within
from streams.sql.syntax import Expr, Star
from streams.sql.tokens import Token

_AFTER_SOURCE = (
    "JOIN", "INNER", "LEFT", "RIGHT", "FULL", "OUTER", "WHERE", "GROUP", "PARTITION", "HAVING", "WINDOW", "EMIT",
    "LIMIT", "WITHIN", "ON", "AS",
)  # fmt: skip
_WINDOWS = ("TUMBLING", "HOPPING", "SESSION", "SLIDING")
_CLAUSES = ("JOIN", "WINDOW", "WHERE", "GROUP", "PARTITION", "HAVING", "EMIT", "LIMIT")


class SelectParser:
    """Reads one SELECT from a cursor."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._bare_alias: Token | None = None

    def select(self) -> Select:
        cursor = self._cursor
        start = cursor.expect_word("SELECT")
        items = [self._item()]
        while cursor.take_symbol(","):
            items.append(self._item())
        alias = self._bare_alias
        if alias is not None and not cursor.now.is_word("FROM") and near(alias.value, ("FROM",)):
            raise SqlError(f"{cursor.text[alias.at.start : alias.at.end]} is not expected here", alias.at,
                           near(alias.value, ("FROM",)))  # fmt: skip
        cursor.expect_word("FROM")
        source = self._source()
        joins: list[Join] = []
        while (kind := self._join_kind()) is not None:
            joins.append(self._join(kind))
        window = self._window() if cursor.take_words("WINDOW") else None
        where = cursor.expression("a condition") if cursor.take_words("WHERE") else None
        group_by = self._list() if cursor.take_words("GROUP", "BY") else ()
        partition_by = self._list() if cursor.take_words("PARTITION", "BY") else ()
        having = cursor.expression("a condition") if cursor.take_words("HAVING") else None
        emit = cursor.expect_word("CHANGES", "FINAL").value if cursor.take_words("EMIT") else None
        limit = cursor.whole_number("a number of rows") if cursor.take_words("LIMIT") else None
        if cursor.now.kind == "word" or cursor.now.kind == "quoted":
            raise cursor.unexpected("", *_CLAUSES)
        return Select(
            tuple(items), source, tuple(joins), window, where, group_by, partition_by, having, emit, limit, at=start.at
        )

    def _item(self) -> Item:
        cursor = self._cursor
        first = cursor.now
        if cursor.take_symbol("*"):
            return Item(Star(at=first.at), None, first.at)
        if cursor.ahead().is_symbol(".") and cursor.ahead(2).is_symbol("*"):
            source = cursor.name("a source")
            cursor.take(), cursor.take()
            return Item(Star(source.value, at=source.at), None, source.at)
        expression = cursor.expression("a column or expression", before_name=True)
        at = Span(first.at.start, cursor.last.at.end)
        self._bare_alias = alias = None
        if cursor.take_words("AS"):
            alias = cursor.name("a name").value
        elif cursor.now.kind in ("word", "quoted") and not cursor.now.is_word("FROM"):
            self._bare_alias = cursor.take()
            alias = self._bare_alias.value
        return Item(expression, alias, at)

    def _list(self) -> tuple[Expr, ...]:
        cursor = self._cursor
        found = [cursor.expression("an expression")]
        while cursor.take_symbol(","):
            found.append(cursor.expression("an expression"))
        return tuple(found)

    # -- sources

    def _source(self) -> From:
        cursor = self._cursor
        name = cursor.name("a stream or table")
        has_as = cursor.take_words("AS")
        if has_as or (cursor.now.kind in ("word", "quoted") and not cursor.now.is_word(*_AFTER_SOURCE)):
            alias = cursor.name("a name")
            goes_on = cursor.now.kind == "end" or cursor.now.is_word(*_AFTER_SOURCE) or cursor.now.is_symbol(";", ")")
            if not has_as and not goes_on:  # no name for a source, but a clause misspelt
                words = f"{cursor.text[alias.at.start : alias.at.end]} is not expected here"
                raise SqlError(words, alias.at, near(alias.value, _CLAUSES))
            return From(name.value, alias.value, name.at)
        return From(name.value, name.value, name.at)

    def _join_kind(self) -> str | None:
        cursor = self._cursor
        for kind in ("INNER", "LEFT", "RIGHT", "FULL"):
            if cursor.take_words(kind):
                if kind != "INNER":
                    cursor.take_words("OUTER")
                cursor.expect_word("JOIN")
                return "OUTER" if kind == "FULL" else kind
        if cursor.take_words("OUTER", "JOIN"):
            return "OUTER"
        return "INNER" if cursor.take_words("JOIN") else None

    def _join(self, kind: str) -> Join:
        cursor = self._cursor
        at = cursor.last.at
        source = self._source()
        within = self._within() if cursor.take_words("WITHIN") else None
        cursor.expect_word("ON")
        on = cursor.expression("a condition")
        return Join(kind, source, within, on, at)

    def _within(self) -> Within:
        cursor = self._cursor
        if cursor.take_symbol("("):
            before_ms = cursor.duration_ms("how long before")
            cursor.expect_symbol(",")
            after_ms = cursor.duration_ms("how long after")
            cursor.expect_symbol(")")
        else:
            before_ms = after_ms = cursor.duration_ms("a duration")
        grace_ms = cursor.duration_ms("a duration") if cursor.take_words("GRACE", "PERIOD") else None
        return Within(before_ms, after_ms, grace_ms)

    # -- windows

    def _window(self) -> Window:
        cursor = self._cursor
        if cursor.now.kind in ("word", "quoted") and cursor.ahead().is_word(*_WINDOWS):
            cursor.take()  # a name for the window, which nothing refers to
        kind = cursor.expect_word(*_WINDOWS)
        cursor.expect_symbol("(")
        size_ms: int | None = None
        if kind.value == "SESSION":
            size_ms = cursor.duration_ms("the gap that ends a session")
            if cursor.now.is_symbol(","):
                cursor.take()
        found: dict[str, int] = {}
        while not cursor.now.is_symbol(")"):
            words = ("RETENTION", "GRACE") if kind.value == "SESSION" else ("SIZE", "ADVANCE", "RETENTION", "GRACE")
            word = cursor.expect_word(*words)
            if word.is_word("ADVANCE"):
                cursor.expect_word("BY")
            if word.is_word("GRACE"):
                cursor.expect_word("PERIOD")
            found[word.value] = cursor.duration_ms("a duration")
            if not cursor.take_symbol(","):
                break
        end = cursor.expect_symbol(")")
        size_ms = found.get("SIZE") if size_ms is None else size_ms
        at = kind.at.to(end.at)
        if size_ms is None:
            raise SqlError(f"a {kind.value} window needs its SIZE", at)
        if (kind.value == "HOPPING") != ("ADVANCE" in found):
            hint = "write ADVANCE BY" if kind.value == "HOPPING" else "HOPPING windows do"
            does = "advance" if kind.value == "HOPPING" else "do not advance"
            raise SqlError(f"{kind.value} windows {does}", at, hint)
        advance_ms = found.get("ADVANCE", size_ms)
        if size_ms <= 0 and kind.value != "SLIDING":
            raise SqlError("a window is longer than nothing", at)
        if kind.value == "HOPPING" and not 0 < advance_ms <= size_ms:
            raise SqlError("a window advances by more than nothing and at most its size", at)
        return Window(kind.value, size_ms, advance_ms, found.get("GRACE"), found.get("RETENTION"), at)
