"""Which rows of a table WHERE asks for by their key."""

from __future__ import annotations

from typing import Any

from streams.sql.catalog import Source
from streams.sql.compiler import constant
from streams.sql.functions.registry import Registry
from streams.sql.relations import Relation
from streams.sql.syntax import Expr, In, Literal, Name, Operation, conjuncts, walk


def wanted_keys(where: Expr | None, source: Source, relation: Relation, functions: Registry) -> list[Any] | None:
    """The keys that WHERE allows at most; None when it says nothing about them."""
    choices: dict[str, list[Any]] = {}
    key_names = {Name(c.name, c.source): c for c in relation.columns if c.is_key}
    for part in conjuncts(where):
        name, values = _equality(part)
        if name in key_names:
            column = key_names[name]
            choices[column.name] = [constant(value, column.type, functions) for value in values]
    if set(choices) != {column.name for column in source.key}:
        return None
    found: list[Any] = [()]
    for key_column in source.key:
        found = [(*before, value) for before in found for value in choices[key_column.name]]
    found = [key for key in found if None not in key]
    return [key[0] for key in found] if len(source.key) == 1 else found


def _equality(part: Expr) -> tuple[Name | None, list[Expr]]:
    """`column = constant` or `column IN (constants)`."""
    if isinstance(part, Operation) and part.operator == "=":
        left, right = part.operands
        if isinstance(right, Name):
            left, right = right, left
        if isinstance(left, Name) and not any(isinstance(each, Name) for each in walk(right)):
            return left, [right]
    is_list = isinstance(part, In) and all(isinstance(each, Literal) for each in part.choices)
    if is_list and isinstance(part, In) and isinstance(part.operand, Name):
        return part.operand, list(part.choices)
    return None, []
