"""What is wrong with a statement, and where: the message, the line with a caret below it, a hint."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NamedTuple

from streams.errors import StreamsError


class Span(NamedTuple):
    """Characters [start, end) of the text that was given to the engine."""

    start: int
    end: int

    def to(self, other: Span) -> Span:
        return Span(min(self.start, other.start), max(self.end, other.end))


NOWHERE = Span(-1, -1)


class SqlError(StreamsError):
    """A statement that can't be meant so, or can't be carried out. Its text is known once the engine has seen it."""

    def __init__(self, message: str, at: Span = NOWHERE, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.at = at
        self.hint = hint
        self.text: str | None = None

    def in_text(self, text: str) -> SqlError:
        """Itself, pointing into `text` from now on; the innermost text wins."""
        if self.text is None:
            self.text = text
        return self

    @property
    def place(self) -> tuple[int, int] | None:
        """Line and column, from 1; None for an error about no place in particular."""
        if self.text is None or self.at.start < 0:
            return None
        before = self.text[: self.at.start]
        return before.count("\n") + 1, self.at.start - (before.rfind("\n") + 1) + 1

    def __str__(self) -> str:
        place = self.place
        lines = [self.message]
        if place is not None and self.text is not None:
            line, column = place
            source = self.text.split("\n")[line - 1]
            width = max(1, min(self.at.end - self.at.start, len(source) - column + 1))
            lead = "".join("\t" if char == "\t" else " " for char in source[: column - 1])
            lines = [f"line {line}:{column}: {self.message}", f"  {source.rstrip()}", f"  {lead}{'^' * width}"]
        if self.hint:
            lines.append(f"  {self.hint}")
        return "\n".join(lines)


def near(name: str, known: Iterable[str]) -> str:
    """A hint that names what `name` may have been meant to be; empty when nothing comes close."""
    upper = {each.upper(): each for each in known}
    found = difflib.get_close_matches(name.upper(), upper, 1, 0.6)
    return f"did you mean {upper[found[0]]}?" if found else ""


def listed(names: Iterable[str]) -> str:
    """`a, b and c`."""
    all_names = list(names)
    return all_names[0] if len(all_names) == 1 else f"{', '.join(all_names[:-1])} and {all_names[-1]}"
