"""CAST between types, and the conversions that happen by themselves: numbers widen, strings become times."""

from __future__ import annotations

import decimal
import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from streams.sql.time_patterns import iso, parse_iso
from streams.sql.types import SqlType

DAY_MS = 86_400_000
_EXACT = decimal.Context(prec=80)


def to_decimal(value: Any, size: tuple[int, int]) -> Decimal:
    """Rounded half up to the scale. Raises ArithmeticError when it has more digits than the precision."""
    precision, scale = size
    number = value if isinstance(value, Decimal) else Decimal(repr(value) if isinstance(value, float) else value)
    rounded = number.quantize(Decimal(1).scaleb(-scale), decimal.ROUND_HALF_UP, _EXACT)
    if abs(rounded) >= Decimal(10) ** (precision - scale):
        raise ArithmeticError(f"{value} does not fit DECIMAL({precision}, {scale})")
    return rounded


def number_text(value: float) -> str:
    """A DOUBLE as Java writes it."""
    if math.isinf(value) or math.isnan(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    digits, exponent = f"{Decimal(repr(value)).normalize():E}".split("E")
    return f"{digits if '.' in digits else digits + '.0'}E{int(exponent)}"


def text_of(type_: SqlType) -> Callable[[Any], str]:
    """Any value as a string."""
    if type_.kind == "BOOLEAN":
        return lambda value: "true" if value else "false"
    if type_.kind == "DOUBLE":
        return number_text
    if type_.is_time:
        return lambda value: iso(type_.kind, value)
    if type_.is_nested:
        return lambda value: json.dumps(value, default=str, separators=(",", ":"))
    return str


def _boolean(text: str) -> bool | None:
    low = text.strip().lower()
    return True if low in ("true", "yes", "t", "y") else False if low in ("false", "no", "f", "n") else None


def cast_of(given: SqlType, wanted: SqlType) -> Callable[[Any], Any] | None:
    """The conversion that CAST does, for values that aren't NULL; None where there is none."""
    source, target = given.kind, wanted.kind
    if given == wanted or source == "NULL":
        return lambda value: value
    if target == "STRING":
        return text_of(given) if source != "BYTES" else None
    if given.is_number or source == "STRING":
        if target in ("INTEGER", "BIGINT"):
            return lambda value: int(Decimal(value.strip())) if isinstance(value, str) else int(value)
        if target == "DOUBLE":
            return float
        if target == "DECIMAL":
            return lambda value: to_decimal(value.strip() if isinstance(value, str) else value, wanted.size)
    if source == "STRING" and target == "BOOLEAN":
        return _boolean
    if source == "STRING" and wanted.is_time:
        return lambda value: parse_iso(target, value)
    if source == "TIMESTAMP" and target in ("DATE", "TIME"):
        return (lambda value: value // DAY_MS) if target == "DATE" else lambda value: value % DAY_MS
    if source == "DATE" and target == "TIMESTAMP":
        return lambda value: value * DAY_MS
    if source == target == "ARRAY":
        return _array_cast(given, wanted)
    if source == target == "MAP":
        return _map_cast(given, wanted)
    return None


def _safe(convert: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else convert(value)


def _array_cast(given: SqlType, wanted: SqlType) -> Callable[[Any], Any] | None:
    inner = cast_of(given.items[0], wanted.items[0])
    return None if inner is None else lambda values: list(map(_safe(inner), values))


def _map_cast(given: SqlType, wanted: SqlType) -> Callable[[Any], Any] | None:
    key, value = (cast_of(one, other) for one, other in zip(given.items, wanted.items, strict=True))
    if key is None or value is None:
        return None
    return lambda entries: {_safe(key)(k): _safe(value)(v) for k, v in entries.items()}
