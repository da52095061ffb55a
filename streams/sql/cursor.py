"""A place in the tokens of a statement: look, take, expect, and slice out the text of expressions."""

from __future__ import annotations

from collections.abc import Mapping

from streams.sql.errors import Span, SqlError, near
from streams.sql.scalar_parser import parse_scalar
from streams.sql.syntax import Expr
from streams.sql.tokens import Token
from streams.sql.types import SqlType

UNITS_MS = {
    "MILLISECOND": 1, "SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000, "WEEK": 604_800_000,
    "MONTH": 2_592_000_000, "YEAR": 31_536_000_000,
}  # fmt: skip
_ENDS = (
    "FROM", "WHERE", "GROUP", "HAVING", "PARTITION", "WINDOW", "EMIT", "LIMIT", "AS", "JOIN", "INNER", "WITHIN",
)  # fmt: skip
_INFIX = ("AND", "OR", "IS", "LIKE", "BETWEEN", "IN", "NOT", "ESCAPE")
_GOES_ON = (*_INFIX, "CASE", "WHEN", "THEN", "ELSE", "DISTINCT")
_OPENING, _CLOSING = ("(", "[", "{"), (")", "]", "}")


class Cursor:
    """Moves through `tokens` of `text`. `types` are those that CREATE TYPE has named."""

    def __init__(self, text: str, tokens: list[Token], types: Mapping[str, SqlType] | None = None) -> None:
        self.text = text
        self.types = {} if types is None else types
        self._tokens = tokens
        self._index = 0

    @property
    def now(self) -> Token:
        return self._tokens[self._index]

    def ahead(self, count: int = 1) -> Token:
        return self._tokens[min(self._index + count, len(self._tokens) - 1)]

    @property
    def last(self) -> Token:
        """The token taken last."""
        return self._tokens[max(0, self._index - 1)]

    def take(self) -> Token:
        token = self.now
        if token.kind != "end":
            self._index += 1
        return token

    # -- words and symbols

    def take_words(self, *words: str) -> bool:
        """These words, one after the other, if they come next."""
        if all(self.ahead(count).is_word(word) for count, word in enumerate(words)):
            self._index += len(words)
            return True
        return False

    def take_symbol(self, symbol: str) -> bool:
        if self.now.is_symbol(symbol):
            self._index += 1
            return True
        return False

    def expect_word(self, *words: str) -> Token:
        """One of these. Raises SqlError otherwise, with the nearest as a hint."""
        if self.now.is_word(*words):
            return self.take()
        raise self.unexpected(" or ".join(words) if len(words) < 4 else "", *words)

    def expect_symbol(self, symbol: str) -> Token:
        if self.now.is_symbol(symbol):
            return self.take()
        raise self.unexpected(symbol)

    def unexpected(self, wanted: str, *words: str) -> SqlError:
        token = self.now
        found = "the statement ends here" if token.kind == "end" else f"{self._raw(token)} is not expected here"
        hint = near(token.value, words) if words and token.kind == "word" else ""
        at = token.at if token.kind != "end" or not self._index else Span(self.last.at.end, self.last.at.end + 1)
        return SqlError(f"{found}; {wanted} is" if wanted else found, at, hint)

    def _raw(self, token: Token) -> str:
        return self.text[token.at.start : token.at.end]

    # -- names, numbers, durations

    def name(self, what: str) -> Token:
        """An identifier."""
        if self.now.kind in ("word", "quoted"):
            return self.take()
        raise self.unexpected(what)

    def text_or_name(self, what: str) -> Token:
        if self.now.kind in ("word", "quoted", "string"):
            return self.take()
        raise self.unexpected(what)

    def whole_number(self, what: str) -> int:
        token = self.now
        if token.kind != "number" or not token.value.isdecimal():
            raise self.unexpected(what)
        return int(self.take().value)

    def duration_ms(self, what: str) -> int:
        """`10 SECONDS`."""
        count = self.whole_number(what)
        unit = self.now
        singular = unit.value.removesuffix("S")
        if unit.kind != "word" or singular not in UNITS_MS:
            raise self.unexpected("a unit of time", *(f"{name}S" for name in UNITS_MS))
        self.take()
        return count * UNITS_MS[singular]

    # -- expressions

    def expression(self, what: str, *more_ends: str, before_name: bool = False) -> Expr:
        """Everything up to the next comma, closing bracket or word that can't be part of an expression.

        `before_name`: a name may follow, with nothing between.
        """
        first = self.now
        depth = cases = 0
        opened: list[Token] = []
        while self.now.kind != "end":
            token = self.now
            if token.is_symbol(*_OPENING):
                depth += 1
                opened.append(token)
            elif token.is_symbol(*_CLOSING):
                if depth == 0:
                    break
                depth -= 1
                opened.pop()
            elif token.is_symbol(";"):
                break
            elif depth == 0:
                if token.is_symbol(",") or self._ends(token, more_ends):
                    break
                if before_name and not cases and token.at != first.at and self._is_name_behind(token):
                    break
            cases += token.is_word("CASE") - (token.is_word("END") and cases > 0)
            self.take()
        if self.now.at == first.at:
            raise self.unexpected(what)
        if opened:
            raise SqlError(f"this {opened[-1].value} is never closed", opened[-1].at)
        return parse_scalar(self.text[first.at.start : self.last.at.end], first.at.start, self.types)

    def _is_name_behind(self, token: Token) -> bool:
        """Whether what was taken so far stands by itself, and `token` names it."""
        is_name = token.kind == "quoted" or (token.kind == "word" and not token.is_word(*_INFIX))
        if is_name and not self.ahead().is_symbol("("):
            last = self.last
            if last.kind == "word":
                return not last.is_word(*_GOES_ON)
            return last.kind in ("quoted", "string", "number") or last.is_symbol(")", "]")
        return False

    def _ends(self, token: Token, more_ends: tuple[str, ...]) -> bool:
        if token.is_word(*more_ends):
            return True
        if token.is_word("FROM"):
            return not self.last.is_word("DISTINCT")
        if token.is_word("LEFT", "RIGHT", "FULL"):
            return self.ahead().is_word("JOIN", "OUTER")
        if token.is_word("GROUP", "PARTITION"):
            return self.ahead().is_word("BY")
        return token.is_word(*_ENDS)
