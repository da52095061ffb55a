"""What arithmetic gives: the types of its results, and Java's way to divide integers."""

from __future__ import annotations

import math
from typing import Any

from streams.sql.types import BIGINT, DOUBLE, INTEGER, SqlType, decimal_of

_SIZES = {"INTEGER": (10, 0), "BIGINT": (19, 0)}
_MOST = 38


def arithmetic_type(operator: str, left: SqlType, right: SqlType) -> SqlType:
    """Integers stay integers, a DOUBLE makes a DOUBLE, decimals grow as in ksqlDB."""
    kinds = {left.kind, right.kind} - {"NULL"}
    if "DOUBLE" in kinds:
        return DOUBLE
    if "DECIMAL" not in kinds:
        return BIGINT if "BIGINT" in kinds else INTEGER
    (p1, s1), (p2, s2) = _size(left), _size(right)
    if operator in "+-":
        scale = max(s1, s2)
        return _decimal(max(p1 - s1, p2 - s2) + scale + 1, scale)
    if operator == "*":
        return _decimal(p1 + p2 + 1, s1 + s2)
    if operator == "/":
        scale = max(6, s1 + p2 + 1)
        return _decimal(p1 - s1 + s2 + scale, scale)
    scale = max(s1, s2)
    return _decimal(min(p1 - s1, p2 - s2) + scale, scale)


def _size(type_: SqlType) -> tuple[int, int]:
    return type_.size if type_.kind == "DECIMAL" else _SIZES.get(type_.kind, (1, 0))


def _decimal(precision: int, scale: int) -> SqlType:
    return decimal_of(min(precision, _MOST), min(scale, _MOST))


def int_divide(left: int, right: int) -> int:
    """Towards zero. Raises ZeroDivisionError."""
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def remainder(left: Any, right: Any) -> Any:
    """With the sign of `left`. Raises ZeroDivisionError."""
    if isinstance(left, int) and isinstance(right, int):
        return left - int_divide(left, right) * right
    return math.fmod(left, right) if isinstance(left, float) or isinstance(right, float) else left % right
