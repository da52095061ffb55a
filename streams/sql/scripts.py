"""What happens to text before it is parsed: `${variables}` of DEFINE, and the files of RUN SCRIPT."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from streams.sql.errors import SqlError

_PIECE = re.compile(
    r"""'(?:[^']|'')*' | `(?:[^`]|``)*` | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | ; | [^'`"\-/;]+ | .""",
    re.VERBOSE | re.DOTALL,
)
_SPACE = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_TEXT = r"'((?:[^']|'')*)'\s*;?\s*"
_DEFINE = re.compile(_SPACE + r"DEFINE\s+(\w+)\s*=\s*" + _TEXT, re.IGNORECASE | re.DOTALL)
_UNDEFINE = re.compile(_SPACE + r"UNDEFINE\s+(\w+)\s*;?\s*", re.IGNORECASE | re.DOTALL)
_RUN = re.compile(_SPACE + r"RUN\s+SCRIPT\s+" + _TEXT, re.IGNORECASE | re.DOTALL)
_CONCERNS_US = re.compile(r"\$\{|\bDEFINE\b|\bRUN\s+SCRIPT\b", re.IGNORECASE)
_MOST_NESTED = 20


def expanded(text: str, variables: dict[str, str], depth: int = 0) -> str:
    """`text` with the values of `variables`, which DEFINE and UNDEFINE in it change from there on.

    Names in any case; what isn't defined stays as it is written. Raises SqlError for a script that can't be read.
    """
    if _CONCERNS_US.search(text) is None:
        return text
    found: list[str] = []
    for statement in _statements(text):
        whole = re.sub(r"\$\{(\w+)\}", lambda name: variables.get(name[1].upper(), name[0]), statement)
        if define := _DEFINE.fullmatch(whole):
            variables[define[1].upper()] = define[2].replace("''", "'")
        elif undefine := _UNDEFINE.fullmatch(whole):
            variables.pop(undefine[1].upper(), None)
        elif run := _RUN.fullmatch(whole):
            whole = expanded(_script(run[1].replace("''", "'"), depth), variables, depth + 1)
        found.append(whole)
    return "".join(found)


def _statements(text: str) -> Iterator[str]:
    """Each with its semicolon; together they are the text."""
    begun: list[str] = []
    for piece in _PIECE.findall(text):
        begun.append(piece)
        if piece == ";":
            yield "".join(begun)
            begun.clear()
    yield "".join(begun)


def _script(path: str, depth: int) -> str:
    if depth >= _MOST_NESTED:
        raise SqlError(f"script {path} runs itself")
    try:
        text = Path(path).expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SqlError(f"script {path} can't be read: {error}") from None
    return text if text.rstrip().endswith(";") else f"{text}\n;"
