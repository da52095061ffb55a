"""Functions of strings, regular expressions, JSON in strings, and bytes. Positions count from 1."""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, quote_plus, unquote_plus, urlsplit

import msgspec

from streams.sql.functions.registry import function

function("UCASE", "STRING -> STRING", "in upper case")(str.upper)
function("LCASE", "STRING -> STRING", "in lower case")(str.lower)
function("LEN", "STRING -> INTEGER; BYTES -> INTEGER", "how many characters, or bytes")(len)
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


@function("MASK", "STRING -> STRING", "letters become X and x, digits n, the rest -")
def mask(text: str) -> str:
    return "".join(
        "X" if char.isupper() else "x" if char.islower() else "n" if char.isdigit() else "-" for char in text
    )


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


# -- JSON in strings

_PATH = re.compile(r"\.?([A-Za-z_][\w-]*)|\[(\d+)\]|\['([^']*)'\]")


@lru_cache(256)
def _path(text: str) -> tuple[str | int, ...]:
    if not text.startswith("$"):
        raise ValueError(f"a JSON path begins with $, not {text!r}")
    return tuple(name or quoted or int(index) for name, index, quoted in _PATH.findall(text[1:]))


def _at_path(text: str, path: str) -> Any:
    try:
        value = msgspec.json.decode(text)
        for step in _path(path):
            value = value[step]
    except (msgspec.DecodeError, KeyError, IndexError, TypeError):
        return None
    return value


@function("EXTRACTJSONFIELD", "STRING, STRING -> STRING", "what a path like $.a.b[0] finds in JSON")
def extract_json_field(text: str, path: str) -> str | None:
    found = _at_path(text, path)
    return found if found is None or isinstance(found, str) else msgspec.json.encode(found).decode()


function("JSON_ARRAY_CONTAINS", "STRING, ANY -> BOOLEAN", "whether an array in JSON has it")(
    lambda text, wanted: wanted in (_at_path(text, "$") or ())
)
function("IS_JSON_STRING", "STRING -> BOOLEAN", "whether it is JSON", is_strict=False)(
    lambda text: text is not None and _is_json(text)
)
function("JSON_KEYS", "STRING -> ARRAY<STRING>", "the names of an object in JSON")(
    lambda text: list(_at_path(text, "$")) if isinstance(_at_path(text, "$"), dict) else None
)
function("JSON_ARRAY_LENGTH", "STRING -> INTEGER", "how long an array in JSON is")(
    lambda text: len(_at_path(text, "$")) if isinstance(_at_path(text, "$"), list) else None
)
function("TO_JSON_STRING", "ANY -> STRING", "any value as JSON", is_strict=False)(
    lambda value: json.dumps(value, default=str, separators=(",", ":"))
)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


# -- bytes and URLs

_CODERS: dict[str, tuple[Callable[[bytes], str], Callable[[str], bytes]]] = {
    "HEX": (lambda data: binascii.hexlify(data).decode().upper(), binascii.unhexlify),
    "UTF8": (bytes.decode, str.encode),
    "ASCII": (lambda data: data.decode("ascii"), lambda text: text.encode("ascii")),
    "BASE64": (lambda data: base64.b64encode(data).decode(), base64.b64decode),
}
function("FROM_BYTES", "BYTES, STRING -> STRING", "bytes as hex, utf8, ascii or base64")(
    lambda data, coding: _CODERS[coding.upper()][0](data)
)
function("TO_BYTES", "STRING, STRING -> BYTES", "the bytes of hex, utf8, ascii or base64")(
    lambda text, coding: _CODERS[coding.upper()][1](text)
)
function("URL_ENCODE_PARAM", "STRING -> STRING", "for use in a URL")(quote_plus)
function("URL_DECODE_PARAM", "STRING -> STRING", "from use in a URL")(unquote_plus)
function("URL_EXTRACT_HOST", "STRING -> STRING", "the host of a URL")(lambda url: urlsplit(url).hostname)
function("URL_EXTRACT_PATH", "STRING -> STRING", "the path of a URL")(lambda url: urlsplit(url).path)
function("URL_EXTRACT_PROTOCOL", "STRING -> STRING", "http or the like")(lambda url: urlsplit(url).scheme or None)
function("URL_EXTRACT_QUERY", "STRING -> STRING", "what comes after the ?")(lambda url: urlsplit(url).query or None)
function("URL_EXTRACT_PARAMETER", "STRING, STRING -> STRING", "one parameter of a URL")(
    lambda url, name: next(iter(parse_qs(urlsplit(url).query).get(name, ())), None)
)
