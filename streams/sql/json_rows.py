"""Rows and keys as JSON."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from streams.errors import SerdeError
from streams.serdes import Serde
from streams.sql.casts import cast_of, text_of, to_decimal
from streams.sql.columns import Column, never_changes
from streams.sql.types import STRING as TEXT
from streams.sql.types import SqlType

Convert = Callable[[Any], Any]


def _json_reader(type_: SqlType) -> Convert:
    """From what a JSON parser gives. Raises ValueError or TypeError for what doesn't fit."""
    kind = type_.kind
    if kind in ("INTEGER", "BIGINT") or type_.is_time:
        return _json_int
    if kind == "DOUBLE":
        return float
    if kind == "STRING":
        return lambda value: value if isinstance(value, str) else msgspec.json.encode(value).decode()
    if kind == "BOOLEAN":
        return _json_bool
    if kind == "DECIMAL":
        return lambda value: to_decimal(value, type_.size)
    if kind == "BYTES":
        return base64.b64decode
    if kind == "ARRAY":
        item = or_none(_json_reader(type_.items[0]))
        return lambda values: list(map(item, values))
    if kind == "MAP":
        key, inner = cast_of(TEXT, type_.items[0]) or str, or_none(_json_reader(type_.items[1]))
        return lambda entries: {key(name): inner(value) for name, value in entries.items()}
    readers = {name: or_none(_json_reader(inner)) for name, inner in zip(type_.names, type_.items, strict=True)}

    def read_struct(value: dict[str, Any]) -> dict[str, Any]:
        upper = {name.upper(): inner for name, inner in value.items()}
        return {name: read(value[name] if name in value else upper.get(name.upper())) for name, read in readers.items()}

    return read_struct


def _json_int(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(f"{value!r} is no integer")
    return int(value)


def _json_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _json_writer(type_: SqlType) -> Convert | None:
    """Into what a JSON encoder takes; None when it takes the value itself."""
    if type_.kind == "BYTES":
        return lambda value: base64.b64encode(value).decode()
    if type_.kind == "DOUBLE":
        return float
    if type_.kind == "ARRAY":
        item = _json_writer(type_.items[0])
        return None if item is None else lambda values: list(map(or_none(item), values))
    if type_.kind == "MAP":
        key, inner = text_of(type_.items[0]), or_none(_json_writer(type_.items[1]) or itself)
        return lambda entries: {key(name): inner(value) for name, value in entries.items()}
    if type_.kind == "STRUCT":
        fields = zip(type_.names, type_.items, strict=True)
        writers = [(name, or_none(_json_writer(inner) or itself)) for name, inner in fields]
        return lambda value: {name: write(value.get(name)) for name, write in writers}
    return None


def itself(value: Any) -> Any:
    return value


def or_none(convert: Convert) -> Convert:
    return lambda value: None if value is None else convert(value)


_ENCODE = msgspec.json.Encoder(decimal_format="number").encode
_DECODE = msgspec.json.Decoder().decode
_DECODE_EXACT = msgspec.json.Decoder(float_hook=Decimal).decode


def _decoder(types: Sequence[SqlType]) -> Callable[[bytes], Any]:
    """Floats keep their digits where a DECIMAL will be made of them."""
    return _DECODE_EXACT if any("DECIMAL" in str(type_) for type_ in types) else _DECODE


class JsonRowSerde(Serde[Any]):
    """A row as a JSON object. Names match as written, else in any case; what isn't there is NULL."""

    holds = tuple

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.name = f"JsonRow[{', '.join(column.name for column in columns)}]"
        self.immutable = never_changes(columns)
        self._readers = [(column.name, _json_reader(column.type)) for column in columns]
        self._writers = [(column.name, _json_writer(column.type)) for column in columns]
        self._spelled = [column.name for column in columns]
        self._decode = _decoder([column.type for column in columns])

    def encode(self, value: Any) -> bytes:
        return _ENCODE(
            {
                name: item if item is None or write is None else write(item)
                for (name, write), item in zip(self._writers, value, strict=True)
            }
        )

    def decode(self, data: bytes) -> Any:
        found = self._decode(data)
        if found is None:
            return None
        if not isinstance(found, dict):
            raise SerdeError(f"a row is a JSON object, not {type(found).__name__}")
        values = []
        for index, (name, read) in enumerate(self._readers):
            try:
                value = found[self._spelled[index]]
            except KeyError:
                value = self._look_for(name, index, found)
            try:
                values.append(None if value is None else read(value))
            except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
                raise SerdeError(f"column {name} can't be {self.columns[index].type}: {error}") from error
        return tuple(values)

    def _look_for(self, name: str, index: int, found: dict[str, Any]) -> Any:
        for spelled in (name, *(each for each in found if each.upper() == name.upper())):
            if spelled in found:
                self._spelled[index] = spelled  # the next row will be written the same way
                return found[spelled]
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        return JsonRowSerde, (self.columns,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonRowSerde) and other.columns == self.columns

    def __hash__(self) -> int:
        return hash(("json-row", self.columns))


class JsonValueSerde(Serde[Any]):
    """One value as JSON, for keys."""

    def __init__(self, type_: SqlType) -> None:
        self.type = type_
        self.name = f"Json[{type_}]"
        self.immutable = not type_.is_nested
        self._read, self._write = _json_reader(type_), _json_writer(type_)
        self._decode = _decoder([type_])

    def encode(self, value: Any) -> bytes:
        return _ENCODE(value if self._write is None else self._write(value))

    def decode(self, data: bytes) -> Any:
        found = self._decode(data)
        try:
            return None if found is None else self._read(found)
        except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
            raise SerdeError(f"a key can't be {self.type}: {error}") from error

    def __reduce__(self) -> tuple[Any, ...]:
        return JsonValueSerde, (self.type,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonValueSerde) and other.type == self.type

    def __hash__(self) -> int:
        return hash(("json-value", self.type))
