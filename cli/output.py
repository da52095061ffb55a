"""What commands print, and how they fail: one line, a remedy, an exit code."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

FAILED, MISTAKE, INTERRUPTED = 1, 2, 130


class Failed(Exception):
    """Exit code 1: the cluster could not, or would not."""

    code = FAILED

    def __init__(self, what: str, remedy: str = "") -> None:
        """`remedy` is what to do about it, without a capital or a stop."""
        super().__init__(what)
        self.remedy = remedy


class Mistake(Failed):
    """Exit code 2: the command line can't be meant so."""

    code = MISTAKE


def is_colourful() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def document(value: Any) -> None:
    """The answer of --json."""
    print(json.dumps(value, indent=2, default=_plain))


def line(value: Any) -> str:
    """One record of --json."""
    return json.dumps(value, default=_plain, ensure_ascii=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns under their names; a terminal also gets colours."""
    cells = [["-" if cell is None or cell == "" else str(cell) for cell in row] for row in rows]
    if is_colourful():
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        view = Table(*columns, box=None, header_style="bold cyan", pad_edge=False)
        for row in cells:
            view.add_row(*map(escape, row))
        Console().print(view)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in [list(columns), *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def fields(rows: Iterable[tuple[str, object]]) -> None:
    """Names and values, aligned."""
    pairs = list(rows)
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        print(f"{name.ljust(width)}  {'-' if value in (None, '') else value}")


def say(words: str) -> None:
    """Beside the answer: to stderr, so that pipes carry answers only."""
    print(words, file=sys.stderr)


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person, and nobody else: without a terminal the command line is the answer. Raises Failed for a no."""
    if yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failed("nothing was done")


def text_of(data: bytes | None) -> str | None:
    """For people: bytes that are no text keep a readable form."""
    return None if data is None else data.decode("utf-8", errors="backslashreplace")


def _plain(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return text_of(bytes(value))
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
