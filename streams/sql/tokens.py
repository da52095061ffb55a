"""Statement text into tokens that know their place. Comments (`--`, `/* */`) vanish."""

from __future__ import annotations

import re
from dataclasses import dataclass

from streams.sql.errors import Span, SqlError

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?\*/)
  | (?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)
  | (?P<word>[A-Za-z_@][A-Za-z0-9_@$]*)
  | (?P<string>'(?:[^']|'')*')
  | (?P<quoted>`(?:[^`]|``)*`|"(?:[^"]|"")*")
  | (?P<symbol>->|=>|:=|<=|>=|<>|!=|\|\||/(?!\*)|[-+*%(),;.<>=\[\]{}:])
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is word, quoted, string, number, symbol or end. `value` is what it stands for: words in upper case,
    quotes taken off."""

    kind: str
    value: str
    at: Span

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.value in words

    def is_symbol(self, *symbols: str) -> bool:
        return self.kind == "symbol" and self.value in symbols

    @property
    def shown(self) -> str:
        return "the end" if self.kind == "end" else self.value


def tokens_of(text: str) -> list[Token]:
    """The tokens, with one of kind `end` last. Raises SqlError for a quote that never ends, or a strange character."""
    found: list[Token] = []
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _unreadable(text, place)
        kind, raw = str(match.lastgroup), match.group()
        if kind != "space":
            found.append(Token(kind, _value(kind, raw), Span(place, match.end())))
        place = match.end()
    found.append(Token("end", "", Span(len(text), len(text))))
    return found


def _value(kind: str, raw: str) -> str:
    if kind == "word":
        return raw.upper()
    if kind in ("string", "quoted"):
        return raw[1:-1].replace(raw[0] * 2, raw[0])
    return raw


class Unfinished(SqlError):
    """A quote or a comment goes on beyond the end of the text."""


def _unreadable(text: str, place: int) -> SqlError:
    char = text[place]
    if char in "'`\"":
        what = "string" if char == "'" else "name"
        return Unfinished(f"the {what} that begins here never ends", Span(place, place + 1), f"close it with {char}")
    if text.startswith("/*", place):
        return Unfinished("the comment that begins here never ends", Span(place, place + 2), "close it with */")
    if text.startswith("${", place):
        at = Span(place, max(place, text.find("}", place)) + 1)
        return SqlError("this variable has no value", at, "DEFINE name = '…' gives it one")
    return SqlError(f"{char!r} means nothing here", Span(place, place + 1))


def is_complete(text: str) -> bool:
    """Whether a prompt should stop asking for more lines: the text ends with a semicolon outside quotes.

    What can't be read is complete, too: more lines wouldn't mend it.
    """
    try:
        tokens = tokens_of(text)
    except Unfinished:
        return False
    except SqlError:
        return text.rstrip().endswith(";")
    return len(tokens) == 1 or tokens[-2].is_symbol(";")
