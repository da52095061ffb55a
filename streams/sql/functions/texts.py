"""Functions of strings, and regular expressions. Positions count from 1."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from streams.sql.functions.registry import function

function("UCASE", "STRING -> STRING", "in upper case")(str.upper)
function("LCASE", "STRING -> STRING", "in lower case")(str.lower)
function("LEN", "STRING -> INTEGER; BYTES -> INTEGER", "how many characters, or bytes")(len)
for _name, _run in (("UPPER", str.upper), ("LOWER", str.lower)):
    function(_name, "STRING -> STRING", "SQL's usual name for UCASE or LCASE")(_run)
for _name in ("LENGTH", "CHAR_LENGTH"):
    function(_name, "STRING -> INTEGER", "SQL's usual name for LEN")(len)
function("TRIM", "STRING -> STRING", "without spaces at both ends")(str.strip)
function("LTRIM", "STRING -> STRING", "without spaces in front")(str.lstrip)
function("RTRIM", "STRING -> STRING", "without spaces behind")(str.rstrip)
function("REPLACE", "STRING, STRING, STRING -> STRING", "every second replaced by the third")(str.replace)
function("INITCAP", "STRING -> STRING", "every word with a capital")(
    lambda text: re.sub(r"\S+", lambda word: word[0].capitalize(), text)
)
function("REVERSE", "STRING -> STRING", "backwards")(lambda text: text[::-1])
function("CHR", "INTEGER -> STRING", "the character of a code point")(chr)
function("UUID", "-> STRING", "a new one each time")(lambda: str(uuid.uuid4()))
function("LEFT", "STRING, INTEGER -> STRING", "the first so many characters")(lambda text, count: text[: max(0, count)])
function("RIGHT", "STRING, INTEGER -> STRING", "the last so many characters")(
    lambda text, count: text[-count:] if count > 0 else ""
)
function("LPAD", "STRING, INTEGER, STRING -> STRING", "filled up in front to a length")(
    lambda text, size, fill: ((fill * size)[: max(0, size - len(text))] + text)[:size] if fill and size >= 0 else None
)
function("RPAD", "STRING, INTEGER, STRING -> STRING", "filled up behind to a length")(
    lambda text, size, fill: (text + (fill * size)[: max(0, size - len(text))])[:size] if fill and size >= 0 else None
)


@function("SUBSTRING", "STRING, INTEGER, [INTEGER] -> STRING", "from a position on; a negative one counts from the end")
def substring(text: str, position: int, length: int | None = None) -> str | None:
    start = position - 1 if position > 0 else len(text) + position
    if position == 0 or start < 0:
        start = 0
    return text[start:] if length is None else text[start : start + max(0, length)]


@function("CONCAT", "STRING... -> STRING", "one after the other; NULLs are skipped", is_strict=False)
def concat(*parts: str | None) -> str:
    return "".join(part for part in parts if part is not None)


@function("CONCAT_WS", "STRING, STRING... -> STRING", "the rest with the first between; NULLs skipped", is_strict=False)
def concat_ws(separator: str | None, *parts: str | None) -> str | None:
    return None if separator is None else separator.join(part for part in parts if part is not None)


@function("SPLIT", "STRING, STRING -> ARRAY<STRING>", "the pieces between a separator; '' splits into characters")
def split(text: str, separator: str) -> list[str]:
    return text.split(separator) if separator else list(text)


@function("INSTR", "STRING, STRING, [INTEGER], [INTEGER] -> INTEGER", "where the second is in the first; 0: nowhere")
def instr(text: str, part: str, position: int = 1, occurrence: int = 1) -> int:
    if position < 0:
        at = len(text) + position + 1
        for _ in range(occurrence):
            at = text.rfind(part, 0, at + len(part) - 1)
        return at + 1
    at = position - 2
    for _ in range(occurrence):
        at = text.find(part, at + 1)
        if at < 0:
            return 0
    return at + 1


def _mark(char: str, marks: Sequence[str | None]) -> str:
    kind = 0 if char.isupper() else 1 if char.islower() else 2 if char.isdigit() else 3
    mark = marks[kind] if kind < len(marks) else _MARKS[kind]
    return char if mark is None else mark


_MARKS = ("X", "x", "n", "-")
_HOW = "letters become X and x, digits n, the rest -; or four marks of your own, NULL keeps"
function("MASK", "STRING, STRING... -> STRING", _HOW, is_strict=False)(
    lambda text, *marks: None if text is None else "".join(_mark(char, marks) for char in text)
)


def _masking(name: str, describes: str, place: Callable[[str, int], tuple[int, int]]) -> None:
    """Masks the characters from `place(text, count)` on, up to where it says."""

    @function(name, "STRING, INTEGER, STRING... -> STRING", describes, is_strict=False)
    def masked(text: str | None, count: int | None, *marks: str | None) -> str | None:
        if text is None or count is None:
            return None
        start, end = place(text, max(0, count))
        return text[:start] + "".join(_mark(char, marks) for char in text[start:end]) + text[end:]


_masking("MASK_LEFT", "as MASK, the first so many characters", lambda _text, count: (0, count))
_masking("MASK_RIGHT", "as MASK, the last so many", lambda text, count: (max(0, len(text) - count), len(text)))
_masking("MASK_KEEP_LEFT", "as MASK, but the first so many", lambda text, count: (count, len(text)))
_masking("MASK_KEEP_RIGHT", "as MASK, but the last so many", lambda text, count: (0, max(0, len(text) - count)))


@function("SPLIT_TO_MAP", "STRING, STRING, STRING -> MAP<STRING, STRING>", "entries between one, keys before the other")
def split_to_map(text: str, between: str, behind_key: str) -> dict[str, str]:
    pairs = (entry.split(behind_key, 1) for entry in text.split(between) if behind_key in entry)
    return {pair[0]: pair[1] for pair in pairs}


# -- regular expressions

compiled = lru_cache(256)(re.compile)
function("REGEXP_REPLACE", "STRING, STRING, STRING -> STRING", "what matches the second, replaced by the third")(
    lambda text, pattern, by: compiled(pattern).sub(re.sub(r"\$(\d)", r"\\\1", by), text)
)
function("REGEXP_SPLIT_TO_ARRAY", "STRING, STRING -> ARRAY<STRING>", "the pieces between matches")(
    lambda text, pattern: compiled(pattern).split(text)
)


@function("REGEXP_EXTRACT", "STRING, STRING, [INTEGER] -> STRING", "the first match, or a group of it")
def regexp_extract(pattern: str, text: str, group: int = 0) -> str | None:
    found = compiled(pattern).search(text)
    return None if found is None else found.group(group)


@function("REGEXP_EXTRACT_ALL", "STRING, STRING, [INTEGER] -> ARRAY<STRING>", "all matches, or a group of each")
def regexp_extract_all(pattern: str, text: str, group: int = 0) -> list[str]:
    return [found.group(group) for found in compiled(pattern).finditer(text)]


@lru_cache(256)
def like_matcher(pattern: str, escape: str | None = None) -> Callable[[str], Any]:
    """LIKE as a function of the text: % any characters, _ one."""
    parts, at = [], 0
    while at < len(pattern):
        char = pattern[at]
        if char == escape and at + 1 < len(pattern):
            at += 1
            parts.append(re.escape(pattern[at]))
        else:
            parts.append(".*" if char == "%" else "." if char == "_" else re.escape(char))
        at += 1
    return re.compile("".join(parts), re.DOTALL).fullmatch
