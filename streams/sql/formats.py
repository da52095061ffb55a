"""Rows and keys as bytes: JSON, DELIMITED and KAFKA in topics, msgpack where only we read them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from streams.errors import SerdeError
from streams.serdes import BOOLEAN, BYTES, DOUBLE, INT, LONG, STRING, Serde
from streams.sql.casts import cast_of, text_of
from streams.sql.columns import Column
from streams.sql.json_rows import Convert, JsonRowSerde, JsonValueSerde, itself, or_none
from streams.sql.types import STRING as TEXT
from streams.sql.types import SqlType

FORMATS = ("JSON", "DELIMITED", "KAFKA", "NONE")
_PRIMITIVES: dict[str, Serde[Any]] = {
    "STRING": STRING, "INTEGER": INT, "BIGINT": LONG, "DOUBLE": DOUBLE, "BYTES": BYTES, "BOOLEAN": BOOLEAN,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Format:
    name: str
    delimiter: str = ","


class DelimitedSerde(Serde[Any]):
    """A row as one line of CSV; nothing between two delimiters is NULL. `is_single` for a key of one column."""

    def __init__(self, columns: Sequence[Column], delimiter: str = ",", *, is_single: bool = False) -> None:
        self.columns, self.delimiter, self.is_single = tuple(columns), delimiter, is_single
        self.name = f"Delimited[{', '.join(column.name for column in columns)}]"
        self.immutable = True
        self._texts = [text_of(column.type) for column in columns]
        self._readers = [cast_of(TEXT, column.type) for column in columns]

    def encode(self, value: Any) -> bytes:
        values = (value,) if self.is_single else value
        out = io.StringIO()
        texts = ["" if item is None else text(item) for text, item in zip(self._texts, values, strict=True)]
        csv.writer(out, delimiter=self.delimiter, lineterminator="").writerow(texts)
        return out.getvalue().encode()

    def decode(self, data: bytes) -> Any:
        cells = next(csv.reader([data.decode()], delimiter=self.delimiter), [""])
        if len(cells) != len(self.columns):
            raise SerdeError(f"{len(self.columns)} columns expected, {len(cells)} found")
        values = []
        for cell, column, read in zip(cells, self.columns, self._readers, strict=True):
            try:
                values.append(None if cell == "" else cell if read is None else read(cell))
            except (ValueError, ArithmeticError) as error:
                raise SerdeError(f"column {column.name} can't be {column.type}: {cell!r}") from error
        return values[0] if self.is_single else tuple(values)

    def __reduce__(self) -> tuple[Any, ...]:
        return _delimited, (self.columns, self.delimiter, self.is_single)

    def __eq__(self, other: object) -> bool:
        mine = self.columns, self.delimiter
        return isinstance(other, DelimitedSerde) and (other.columns, other.delimiter) == mine

    def __hash__(self) -> int:
        return hash((self.columns, self.delimiter))


def _delimited(columns: Sequence[Column], delimiter: str, is_single: bool) -> DelimitedSerde:
    return DelimitedSerde(columns, delimiter, is_single=is_single)


class OneColumnSerde(Serde[Any]):
    """A row of one column as a bare Kafka primitive; a row of NULL is a null."""

    holds = tuple

    def __init__(self, inner: Serde[Any]) -> None:
        self.inner = inner
        self.name = f"Kafka[{inner!r}]"
        self.immutable = True

    def serializer(self, topic: str) -> Callable[[Any], bytes | None]:
        write = self.inner.serializer(topic)
        return lambda row: None if row is None else write(row[0])

    def deserializer(self, topic: str) -> Callable[[bytes | None], Any]:
        read = self.inner.deserializer(topic)
        return lambda data: None if data is None else (read(data),)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OneColumnSerde) and other.inner == self.inner

    def __hash__(self) -> int:
        return hash(("one-column", self.name))


class NothingSerde(Serde[Any]):
    """For streams without a key: whatever is there is not looked at."""

    name = "Nothing"
    immutable = True

    def serializer(self, topic: str) -> Callable[[Any], bytes | None]:
        return lambda _value: None

    def deserializer(self, topic: str) -> Callable[[bytes | None], Any]:
        return lambda _data: None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NothingSerde)

    def __hash__(self) -> int:
        return hash("nothing")


class PackedRowSerde(Serde[Any]):
    """A row as msgpack, for stores and repartition topics."""

    holds = tuple

    def __init__(self, types: Sequence[SqlType]) -> None:
        self.types = tuple(types)
        self.name = f"Row[{', '.join(map(str, types))}]"
        self.immutable = not any(type_.is_nested for type_ in types)
        self._decimals = [i for i, type_ in enumerate(types) if "DECIMAL" in str(type_)]
        self._revive = [_revived(types[i]) for i in self._decimals]
        self.encode = msgspec.msgpack.Encoder().encode  # type: ignore[method-assign, assignment]
        self._decoder = msgspec.msgpack.Decoder(list[Any])

    def decode(self, data: bytes) -> Any:
        values = self._decoder.decode(data)
        for index, revive in zip(self._decimals, self._revive, strict=True):
            if values[index] is not None:
                values[index] = revive(values[index])
        return tuple(values)

    def __reduce__(self) -> tuple[Any, ...]:
        return PackedRowSerde, (self.types,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PackedRowSerde) and other.types == self.types

    def __hash__(self) -> int:
        return hash(("packed", self.types))


def _revived(type_: SqlType) -> Convert:
    """Decimals come back from msgpack as strings."""
    if type_.kind == "DECIMAL":
        return Decimal
    if type_.kind == "ARRAY":
        item = or_none(_revived(type_.items[0]))
        return lambda values: list(map(item, values))
    if type_.kind == "MAP":
        inner = or_none(_revived(type_.items[1]))
        return lambda entries: {key: inner(value) for key, value in entries.items()}
    if type_.kind == "STRUCT":
        inners = {name: or_none(_revived(each)) for name, each in zip(type_.names, type_.items, strict=True)}
        return lambda value: {name: inners[name](inner) for name, inner in value.items()}
    return itself


def value_serde(format_: Format, columns: Sequence[Column]) -> Serde[Any]:
    """Raises ValueError when the format can't hold these columns."""
    if format_.name == "JSON":
        return JsonRowSerde(columns)
    if format_.name == "DELIMITED":
        _check_flat(columns, "DELIMITED")
        return DelimitedSerde(columns, format_.delimiter)
    if not columns:
        return NothingSerde()
    return OneColumnSerde(_primitive(columns))


def key_serde(format_: Format, columns: Sequence[Column]) -> Serde[Any]:
    """One column is the bare value, several are a tuple. Raises ValueError when the format can't hold these columns."""
    if not columns:
        return NothingSerde()
    if format_.name == "JSON":
        return JsonValueSerde(columns[0].type) if len(columns) == 1 else JsonRowSerde(columns)
    if format_.name == "DELIMITED":
        _check_flat(columns, "DELIMITED")
        return DelimitedSerde(columns, format_.delimiter, is_single=len(columns) == 1)
    return _primitive(columns)


def _primitive(columns: Sequence[Column]) -> Serde[Any]:
    if len(columns) != 1:
        raise ValueError(f"format KAFKA holds one column, these are {len(columns)}; JSON and DELIMITED hold many")
    serde = _PRIMITIVES.get(columns[0].type.kind)
    if serde is None:
        raise ValueError(f"format KAFKA can't hold {columns[0].type}; JSON can")
    return serde


def _check_flat(columns: Sequence[Column], name: str) -> None:
    for column in columns:
        if column.type.is_nested or column.type.kind == "BYTES":
            raise ValueError(f"format {name} can't hold {column.type}; JSON can")
