"""Functions of arrays, maps and structs, and those that take lambdas."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from streams.sql.functions.registry import function


def hashable(value: Any) -> Any:
    """Something hashable that is equal when the values are."""
    if isinstance(value, list):
        return tuple(map(hashable, value))
    if isinstance(value, dict):
        return tuple((name, hashable(inner)) for name, inner in sorted(value.items()))
    return value


def distinct(values: list[Any]) -> list[Any]:
    """Each once, in the order they first came."""
    found: dict[Any, Any] = {}
    for value in values:
        found.setdefault(hashable(value), value)
    return list(found.values())


function("ARRAY_LENGTH", "ARRAY<T> -> INTEGER", "how many elements")(len)
function("CARDINALITY", "ARRAY<T> -> INTEGER; MAP<K, V> -> INTEGER", "how many elements or entries")(len)
function("ARRAY_CONTAINS", "ARRAY<T>, T -> BOOLEAN", "whether it is an element", is_strict=False)(
    lambda items, value: None if items is None else value in items
)
function("ARRAY_DISTINCT", "ARRAY<T> -> ARRAY<T>", "each element once")(distinct)
function("ARRAY_EXCEPT", "ARRAY<T>, ARRAY<T> -> ARRAY<T>", "what the second doesn't have")(
    lambda one, other: distinct([value for value in one if value not in other])
)
function("ARRAY_INTERSECT", "ARRAY<T>, ARRAY<T> -> ARRAY<T>", "what both have")(
    lambda one, other: distinct([value for value in one if value in other])
)
function("ARRAY_UNION", "ARRAY<T>, ARRAY<T> -> ARRAY<T>", "what either has")(lambda one, other: distinct(one + other))
function("ARRAY_CONCAT", "ARRAY<T>, ARRAY<T> -> ARRAY<T>", "one after the other", is_strict=False)(
    lambda one, other: None if one is None and other is None else (one or []) + (other or [])
)
function("ARRAY_JOIN", "ARRAY<T>, [STRING] -> STRING", "its elements as text, with the second between")(
    lambda items, between=",": between.join("null" if item is None else str(item) for item in items)
)
function("ARRAY_MAX", "ARRAY<T> -> T", "the largest element")(
    lambda items: max((item for item in items if item is not None), default=None)
)
function("ARRAY_MIN", "ARRAY<T> -> T", "the smallest element")(
    lambda items: min((item for item in items if item is not None), default=None)
)
function("ARRAY_REMOVE", "ARRAY<T>, T -> ARRAY<T>", "without the second", is_strict=False)(
    lambda items, value: None if items is None else [item for item in items if item != value]
)
function("ARRAY_SORT", "ARRAY<T>, [STRING] -> ARRAY<T>", "sorted, NULLs last; 'DESC' the other way")(
    lambda items, order="ASC": (
        sorted((item for item in items if item is not None), reverse=order.upper().startswith("DESC"))
        + [None] * items.count(None)
    )
)
function("SLICE", "ARRAY<T>, INTEGER, INTEGER -> ARRAY<T>", "from one position to another, both included")(
    lambda items, first, last: items[first - 1 : last]
)
function("GENERATE_SERIES", "BIGINT, BIGINT, [INTEGER] -> ARRAY<BIGINT>", "numbers from the first to the second")(
    lambda first, last, step=None: list(
        range(
            first,
            last + (1 if (step or last - first) >= 0 else -1),
            step or (1 if last >= first else -1),
        )
    )
)
function("ENTRIES", "MAP<STRING, V>, [BOOLEAN] -> ARRAY<STRING>", "the keys of a map, sorted when asked to")(
    lambda entries, in_order=False: sorted(entries) if in_order else list(entries)
)
function("MAP_KEYS", "MAP<K, V> -> ARRAY<K>", "its keys")(list)
function("MAP_VALUES", "MAP<K, V> -> ARRAY<V>", "its values")(lambda entries: list(entries.values()))
function("MAP_UNION", "MAP<K, V>, MAP<K, V> -> MAP<K, V>", "both; the second's values win", is_strict=False)(
    lambda one, other: None if one is None and other is None else {**(one or {}), **(other or {})}
)
function("AS_MAP", "ARRAY<K>, ARRAY<V> -> MAP<K, V>", "keys and values as a map")(
    lambda keys, values: dict(zip(keys, values, strict=False))
)
function("ELT", "INTEGER, STRING... -> STRING", "the string at a position", is_strict=False)(
    lambda index, *texts: texts[index - 1] if index is not None and 0 < index <= len(texts) else None
)
function("FIELD", "STRING, STRING... -> INTEGER", "where the first comes again; 0: nowhere", is_strict=False)(
    lambda text, *texts: 0 if text is None or text not in texts else texts.index(text) + 1
)

# -- with lambdas

function("TRANSFORM", "ARRAY<T>, (T) => U -> ARRAY<U>", "every element changed")(
    lambda items, change: [change(item) for item in items]
)


@function("TRANSFORM", "MAP<K, V>, (K, V) => T, (K, V) => U -> MAP<T, U>", "every key and value changed")
def transform_map(entries: dict[Any, Any], key: Callable[..., Any], value: Callable[..., Any]) -> dict[Any, Any]:
    return {key(k, v): value(k, v) for k, v in entries.items()}


function("FILTER", "ARRAY<T>, (T) => BOOLEAN -> ARRAY<T>", "the elements that pass")(
    lambda items, passes: [item for item in items if passes(item)]
)
function("FILTER", "MAP<K, V>, (K, V) => BOOLEAN -> MAP<K, V>", "the entries that pass")(
    lambda entries, passes: {key: value for key, value in entries.items() if passes(key, value)}
)
function("REDUCE", "ARRAY<T>, U, (U, T) => U -> U", "folded from a first value")(
    lambda items, first, fold: reduce(fold, items, first)
)
