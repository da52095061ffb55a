"""SQL's types, and how Python values stand for them.

BOOLEAN bool · INTEGER, BIGINT int · DOUBLE float · DECIMAL(p, s) Decimal · STRING str · BYTES bytes ·
TIMESTAMP int, ms since 1970 UTC · DATE int, days since 1970 · TIME int, ms of the day ·
ARRAY<T> list · MAP<K, V> dict · STRUCT<a T, …> dict. NULL is None in all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.sql.errors import SqlError, near


@dataclass(frozen=True, slots=True)
class SqlType:
    """A type. `items` are the types of elements, key and value, or fields; `names` the names of fields; `size` is
    the (precision, scale) of a decimal."""

    kind: str
    items: tuple[SqlType, ...] = ()
    names: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        if self.kind == "DECIMAL":
            return f"DECIMAL({self.size[0]}, {self.size[1]})"
        if self.kind == "STRUCT":
            pairs = zip(self.names, self.items, strict=True)
            return f"STRUCT<{', '.join(f'{name} {type_}' for name, type_ in pairs)}>"
        return f"{self.kind}<{', '.join(map(str, self.items))}>" if self.items else self.kind

    @property
    def is_number(self) -> bool:
        return self.kind in _NUMBERS

    @property
    def is_time(self) -> bool:
        return self.kind in ("TIMESTAMP", "DATE", "TIME")

    @property
    def is_nested(self) -> bool:
        return self.kind in ("ARRAY", "MAP", "STRUCT")

    def field(self, name: str) -> SqlType | None:
        return dict(zip(self.names, self.items, strict=True)).get(name)


_NUMBERS = ("INTEGER", "BIGINT", "DECIMAL", "DOUBLE")  # each fits into those after it

BOOLEAN, INTEGER, BIGINT, DOUBLE, STRING, BYTES, TIMESTAMP, DATE, TIME = (
    SqlType(kind) for kind in ("BOOLEAN", "INTEGER", "BIGINT", "DOUBLE", "STRING", "BYTES", "TIMESTAMP", "DATE", "TIME")
)
NULL = SqlType("NULL")
"""The type of a bare NULL: fits into every other."""

NAMED = {
    "BOOLEAN": BOOLEAN, "BOOL": BOOLEAN, "INT": INTEGER, "INTEGER": INTEGER, "BIGINT": BIGINT, "DOUBLE": DOUBLE,
    "VARCHAR": STRING, "STRING": STRING, "TEXT": STRING, "BYTES": BYTES, "TIMESTAMP": TIMESTAMP, "DATE": DATE,
    "TIME": TIME,
}  # fmt: skip
NAMES = (*NAMED, "DECIMAL", "ARRAY", "MAP", "STRUCT")
_USUAL = "BOOLEAN, INT, BIGINT, DOUBLE, DECIMAL, STRING, BYTES, TIMESTAMP, DATE, TIME, ARRAY, MAP and STRUCT"


def array_of(item: SqlType) -> SqlType:
    return SqlType("ARRAY", (item,))


def map_of(key: SqlType, value: SqlType) -> SqlType:
    return SqlType("MAP", (key, value))


def struct_of(fields: dict[str, SqlType]) -> SqlType:
    return SqlType("STRUCT", tuple(fields.values()), tuple(fields))


def decimal_of(precision: int, scale: int) -> SqlType:
    return SqlType("DECIMAL", size=(precision, scale))


def named(name: str) -> SqlType:
    """A simple type by any of its names. Raises SqlError with a hint."""
    try:
        return NAMED[name]
    except KeyError:
        raise SqlError(f"no type {name}", hint=near(name, NAMES) or f"there are {_USUAL}") from None


def fits(given: SqlType, wanted: SqlType) -> bool:
    """Whether a value of one type may stand where another is wanted, perhaps after widening."""
    if given == wanted or given is NULL or given.kind == "NULL":
        return True
    if given.is_number and wanted.is_number:
        return _NUMBERS.index(given.kind) <= _NUMBERS.index(wanted.kind)
    if given.kind == wanted.kind and given.kind in ("ARRAY", "MAP"):
        return all(map(fits, given.items, wanted.items))
    return (
        given.kind == wanted.kind == "STRUCT"
        and given.names == wanted.names
        and all(map(fits, given.items, wanted.items))
    )


def common(one: SqlType, other: SqlType) -> SqlType | None:
    """The narrowest type that takes both; None when there is none."""
    if one.kind == other.kind == "DECIMAL":
        whole = max(one.size[0] - one.size[1], other.size[0] - other.size[1])
        scale = max(one.size[1], other.size[1])
        return decimal_of(whole + scale, scale)
    if fits(one, other):
        return other
    return one if fits(other, one) else None
