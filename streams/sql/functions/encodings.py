"""Functions of JSON in strings, of bytes and of URLs."""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs, quote_plus, unquote_plus, urlsplit

import msgspec

from streams.sql.functions.registry import function

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


def _members(value: Any) -> dict[str, str] | None:
    return {name: _text(inner) for name, inner in value.items()} if isinstance(value, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


function("JSON_RECORDS", "STRING -> MAP<STRING, STRING>", "the members of an object in JSON")(
    lambda text: _members(_at_path(text, "$"))
)
function("JSON_ITEMS", "STRING -> ARRAY<STRING>", "the items of an array in JSON")(
    lambda text: list(map(_text, items)) if isinstance(items := _at_path(text, "$"), list) else None
)


@function("JSON_CONCAT", "STRING... -> STRING", "objects in JSON as one, or everything as one array", is_strict=False)
def json_concat(*texts: str | None) -> str | None:
    if not texts or not all(text is not None and _is_json(text) for text in texts):
        return None
    values = [msgspec.json.decode(str(text)) for text in texts]
    if all(isinstance(value, dict) for value in values):
        return _text({name: inner for value in values for name, inner in value.items()})
    lists = (value if isinstance(value, list) else [value] for value in values)
    return msgspec.json.encode([item for items in lists for item in items]).decode()


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
function("URL_EXTRACT_FRAGMENT", "STRING -> STRING", "what comes after the #")(
    lambda url: urlsplit(url).fragment or None
)
function("URL_EXTRACT_PORT", "STRING -> INTEGER", "the port of a URL, if it has one")(lambda url: urlsplit(url).port)


def _from_bytes(name: str, size: int, read: Callable[[bytes, str], Any], kind: str) -> None:
    @function(name, f"BYTES, [STRING] -> {kind}", f"{size} bytes, BIG_ENDIAN unless said otherwise")
    def from_bytes(data: bytes, order: str = "BIG_ENDIAN") -> Any:
        if len(data) != size:
            raise ValueError(f"{size} bytes are needed, these are {len(data)}")
        return read(data, "little" if order.upper() == "LITTLE_ENDIAN" else "big")


_from_bytes("INT_FROM_BYTES", 4, lambda data, order: int.from_bytes(data, order, signed=True), "INTEGER")  # type: ignore[arg-type]
_from_bytes("BIGINT_FROM_BYTES", 8, lambda data, order: int.from_bytes(data, order, signed=True), "BIGINT")  # type: ignore[arg-type]
_from_bytes("DOUBLE_FROM_BYTES", 8, lambda data, order: struct.unpack(f"{'<' if order == 'little' else '>'}d", data)[0],
            "DOUBLE")  # fmt: skip


@function("ENCODE", "STRING, STRING, STRING -> STRING", "from one of hex, utf8, ascii and base64 to another")
def encode(text: str, given: str, wanted: str) -> str:
    return _CODERS[wanted.upper()][0](_CODERS[given.upper()][1](text.removeprefix("0x")))
