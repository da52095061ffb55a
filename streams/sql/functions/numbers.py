"""Functions of numbers, and those that choose between values."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal
from typing import Any

from streams.sql.functions.registry import function
from streams.sql.types import BIGINT, DOUBLE, SqlType, decimal_of


def _same(given: Sequence[SqlType]) -> SqlType:
    return given[0] if given[0].is_number else BIGINT


def _rounded_type(given: Sequence[SqlType]) -> SqlType:
    if given[0].kind == "DECIMAL":
        return given[0] if len(given) > 1 else decimal_of(given[0].size[0], 0)
    return BIGINT if len(given) == 1 else DOUBLE if given[0].kind == "DOUBLE" else given[0]


@function("ROUND", "N, [INTEGER] -> N", "half up; to an integer, or so many decimals", exact=_rounded_type)
def round_half_up(number: Any, decimals: int | None = None) -> Any:
    if isinstance(number, int):
        return number
    if isinstance(number, Decimal):
        exponent = Decimal(1).scaleb(-(decimals or 0))
        return (number / exponent + Decimal("0.5")).to_integral_value(ROUND_FLOOR) * exponent
    if decimals is None:
        return math.floor(number + 0.5)
    exponent = Decimal(1).scaleb(-decimals)
    return float((Decimal(repr(number)) / exponent + Decimal("0.5")).to_integral_value(ROUND_FLOOR) * exponent)


@function("TRUNC", "N, [INTEGER] -> N", "towards zero; to an integer, or so many decimals", exact=_rounded_type)
def truncated(number: Any, decimals: int | None = None) -> Any:
    if isinstance(number, int):
        return number
    exponent = Decimal(1).scaleb(-(decimals or 0))
    cut = ((number if isinstance(number, Decimal) else Decimal(repr(number))) / exponent).to_integral_value(ROUND_DOWN)
    if isinstance(number, Decimal):
        return cut * exponent
    return int(cut) if decimals is None else float(cut * exponent)


function("ABS", "N -> N", "without its sign", exact=_same)(abs)
function("CEIL", "N -> N", "up to the next integer", exact=_same)(
    lambda n: n.to_integral_value(ROUND_CEILING) if isinstance(n, Decimal) else type(n)(math.ceil(n))
)
function("FLOOR", "N -> N", "down to an integer", exact=_same)(
    lambda n: n.to_integral_value(ROUND_FLOOR) if isinstance(n, Decimal) else type(n)(math.floor(n))
)
function("SIGN", "N -> INTEGER", "-1, 0 or 1")(lambda n: (n > 0) - (n < 0))
function("SQRT", "DOUBLE -> DOUBLE", "square root")(math.sqrt)
function("CBRT", "DOUBLE -> DOUBLE", "cube root")(lambda n: math.copysign(abs(n) ** (1 / 3), n))
function("EXP", "DOUBLE -> DOUBLE", "e to that power")(math.exp)
function("LN", "DOUBLE -> DOUBLE", "natural logarithm")(math.log)
function("LOG", "DOUBLE -> DOUBLE", "natural logarithm")(math.log)
function("LOG", "DOUBLE, DOUBLE -> DOUBLE", "logarithm to the base that comes first")(lambda base, n: math.log(n, base))
function("POWER", "DOUBLE, DOUBLE -> DOUBLE", "to the power of")(math.pow)
function("PI", "-> DOUBLE", "3.14…")(lambda: math.pi)
function("RANDOM", "-> DOUBLE", "between 0 and 1, new each time")(random.random)
function("SIN", "DOUBLE -> DOUBLE", "sine, of radians")(math.sin)
function("COS", "DOUBLE -> DOUBLE", "cosine, of radians")(math.cos)
function("TAN", "DOUBLE -> DOUBLE", "tangent, of radians")(math.tan)
function("ASIN", "DOUBLE -> DOUBLE", "arc sine")(math.asin)
function("ACOS", "DOUBLE -> DOUBLE", "arc cosine")(math.acos)
function("ATAN", "DOUBLE -> DOUBLE", "arc tangent")(math.atan)
function("ATAN2", "DOUBLE, DOUBLE -> DOUBLE", "angle of a point y, x")(math.atan2)
function("SINH", "DOUBLE -> DOUBLE", "hyperbolic sine")(math.sinh)
function("COSH", "DOUBLE -> DOUBLE", "hyperbolic cosine")(math.cosh)
function("TANH", "DOUBLE -> DOUBLE", "hyperbolic tangent")(math.tanh)
function("COT", "DOUBLE -> DOUBLE", "cotangent, of radians")(lambda n: 1 / math.tan(n))
function("DEGREES", "DOUBLE -> DOUBLE", "radians as degrees")(math.degrees)
function("RADIANS", "DOUBLE -> DOUBLE", "degrees as radians")(math.radians)


@function("GEO_DISTANCE", "DOUBLE, DOUBLE, DOUBLE, DOUBLE, [STRING] -> DOUBLE", "between lat, lon pairs; km or miles")
def geo_distance(lat1: float, lon1: float, lat2: float, lon2: float, unit: str = "KM") -> float:
    phi1, phi2 = math.radians(lat1), math.radians(lat2)
    a = math.sin((phi2 - phi1) / 2) ** 2
    a += math.cos(phi1) * math.cos(phi2) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    radius = 3959.0 if unit.upper().startswith("MI") else 6371.0
    return 2 * radius * math.asin(math.sqrt(a))


# -- choices

function("COALESCE", "T... -> T", "the first that isn't NULL", is_strict=False)(
    lambda *values: next((value for value in values if value is not None), None)
)
function("IFNULL", "T, T -> T", "the first, or the second when it is NULL", is_strict=False)(
    lambda value, otherwise: otherwise if value is None else value
)
function("NULLIF", "T, T -> T", "NULL when both are equal, else the first", is_strict=False)(
    lambda value, other: None if value == other else value
)
function("IF", "BOOLEAN, T, T -> T", "the second when the first is true, else the third", is_strict=False)(
    lambda claim, yes, no: yes if claim else no
)
function("GREATEST", "T... -> T", "the largest; NULLs are skipped", is_strict=False)(
    lambda *values: max((value for value in values if value is not None), default=None)
)
function("LEAST", "T... -> T", "the smallest; NULLs are skipped", is_strict=False)(
    lambda *values: min((value for value in values if value is not None), default=None)
)
function("AS_VALUE", "T -> T", "a key column copied among the values", is_strict=False)(lambda value: value)
