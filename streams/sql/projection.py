"""The select list of a query: names, key columns and values, EXPLODE."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streams.sql.code import Code, Evaluated
from streams.sql.columns import Column
from streams.sql.errors import Span, SqlError
from streams.sql.formats import Format, PackedRowSerde
from streams.sql.planned import MATERIALIZED, Materialization, Planned, Toolbox
from streams.sql.relations import Relation
from streams.sql.statements import Item
from streams.sql.syntax import ALL_FIELDS, Call, Expr, Field, Name, Star, walk

if TYPE_CHECKING:
    from streams.sql.planner import QueryPlanner


class Projection:
    """The last step of a QueryPlanner."""

    def __init__(self, planner: QueryPlanner, tools: Toolbox) -> None:
        self._planner = planner
        self._tools = tools

    def items(self, relation: Relation) -> list[tuple[Expr, str, Span]]:
        """(expression under full names, name, place), with `*` written out."""
        found: list[tuple[Expr, str, Span]] = []
        for number, item in enumerate(self._planner.select.items):
            if isinstance(item.expression, Star):
                columns = relation.star(item.expression, with_window=not self._planner.keeps_key)
                prefixes = bool(self._planner.select.joins) and item.expression.source is None
                for column in columns:
                    name = f"{column.source}_{column.name}" if prefixes and column.source else column.name
                    found.append((Name(column.name, column.source, at=item.at), name, item.at))
                continue
            expression = relation.qualified(item.expression, self._planner.window_names)
            if isinstance(expression, Field) and expression.name == ALL_FIELDS:
                struct = self._tools.compiler(relation).code(expression.base).type
                if struct.kind != "STRUCT":
                    raise SqlError(f"only a STRUCT has fields, this is {struct}", expression.base.at)
                found += [(Field(expression.base, name, at=item.at), name, item.at) for name in struct.names]
                continue
            found.append((expression, item.alias or _default_name(item, number), item.at))
        seen: dict[str, Span] = {}
        for _, name, at in found:
            if name in seen:
                raise SqlError(f"column {name} is there twice", at, "give one of them a name with AS")
            seen[name] = at
        return found

    def projected(
        self, relation: Relation, items: list[tuple[Expr, str, Span]], store: str | None, having: Evaluated | None
    ) -> Planned:
        key, values, output = self._split(relation, items)
        compiler = self._tools.compiler(relation)
        explodes = [e for e, _ in values if isinstance(e, Call) and e.name == "EXPLODE"]
        for expression, _ in values:
            for part in walk(expression):
                if isinstance(part, Call) and part.name == "EXPLODE" and part not in explodes:
                    raise SqlError("EXPLODE can't be inside something else", part.at)
        if explodes:
            return self._exploded(relation, key, values, output)
        codes = [compiler.code(expression) for expression, _ in values]
        value = tuple(Column(name, code.type) for (_, name), code in zip(values, codes, strict=True))
        project = compiler.row_function(codes, self._tools.counted)

        def row(k: Any, v: Any) -> Any:
            return None if v is None else project(k, v)

        if store is not None:

            def materialized(k: Any, v: Any) -> Any:
                return None if v is None or (having is not None and not having(k, v)) else project(k, v)

            kept: Materialization | None = Materialization(store, materialized)
            flow = relation.flow.map_values(row)
        elif relation.is_table:
            types = [column.type for column in value]
            flow = relation.flow.map_values(row, store=MATERIALIZED, value=PackedRowSerde(types))
            kept = Materialization(MATERIALIZED, None)
        else:
            flow, kept = relation.flow.map_values(row), None
        return self._result(relation, flow, key, value, kept, output)

    def _result(
        self,
        relation: Relation,
        flow: Any,
        key: tuple[Column, ...],
        value: tuple[Column, ...],
        kept: Materialization | None,
        output: tuple[int, ...],
    ) -> Planned:
        format_ = self._planner.key_format(relation.key_format, key) if key else Format("KAFKA")
        return Planned(
            self._tools.builder, flow, relation.is_table, key, value, format_, relation.window,
            tuple(self._planner.sources), kept, tuple(self._planner.together), output,
        )  # fmt: skip

    def _split(
        self, relation: Relation, items: list[tuple[Expr, str, Span]]
    ) -> tuple[tuple[Column, ...], list[tuple[Expr, str]], tuple[int, ...]]:
        """Key columns under their new names, value expressions, and where each item went."""
        names = [column.name for column in relation.key]
        is_selected = [False] * len(names)
        values: list[tuple[Expr, str]] = []
        output = []
        for expression, name, _ in items:
            index = next((i for i, same in enumerate(self._planner.key_expressions) if expression in same), None)
            if index is not None and not is_selected[index]:
                is_selected[index], names[index] = True, name
                output.append(-1 - index)
                continue
            output.append(len(values))
            values.append((expression, name))
        if self._planner.keeps_key and not all(is_selected):
            missing = relation.key[is_selected.index(False)].name
            alternatives = self._planner.key_expressions[is_selected.index(False)]
            shown = str(alternatives[0]) if isinstance(alternatives[0], Name) else missing
            words = f"the key column {missing} must be selected"
            raise SqlError(words, self._planner.select.at, f"add {shown} to the list")
        key = tuple(replace(column, name=name) for column, name in zip(relation.key, names, strict=True))
        taken = {column.name for column in key}
        if self._planner.keeps_key:
            for _, name in values:
                if name in taken:
                    raise SqlError(f"column {name} is there twice", self._planner.select.at)
        return key, values, tuple(output)

    def _exploded(
        self, relation: Relation, key: tuple[Column, ...], values: list[tuple[Expr, str]], output: tuple[int, ...]
    ) -> Planned:
        """One row per element; arrays of different lengths are filled up with NULL."""
        if relation.is_table:
            at = next(e.at for e, _ in values if isinstance(e, Call) and e.name == "EXPLODE")
            raise SqlError("EXPLODE makes rows of a stream's rows, this is a table", at)
        compiler = self._tools.compiler(relation)
        codes, columns, exploded = list[Code](), list[Column](), list[int]()
        for expression, name in values:
            if isinstance(expression, Call) and expression.name == "EXPLODE":
                if len(expression.arguments) != 1:
                    raise SqlError("EXPLODE takes one array", expression.at)
                code = compiler.code(expression.arguments[0])
                if code.type.kind != "ARRAY":
                    raise SqlError(f"EXPLODE takes an array, this is {code.type}", expression.arguments[0].at)
                exploded.append(len(codes))
                columns.append(Column(name, code.type.items[0]))
            else:
                code = compiler.code(expression)
                columns.append(Column(name, code.type))
            codes.append(code)
        project = compiler.row_function(codes, self._tools.counted)

        def rows(k: Any, v: Any) -> list[Any]:
            if v is None:
                return []
            row = project(k, v)
            if len(exploded) == 1:
                at = exploded[0]
                before, after = row[:at], row[at + 1 :]
                return [(*before, element, *after) for element in row[at] or ()]
            longest = itertools.zip_longest(*(row[at] or () for at in exploded))
            return [_filled(row, exploded, elements) for elements in longest]

        return self._result(relation, relation.flow.flat_map_values(rows), key, tuple(columns), None, output)


def _filled(row: tuple[Any, ...], places: list[int], elements: tuple[Any, ...]) -> tuple[Any, ...]:
    filled = list(row)
    for place, element in zip(places, elements, strict=True):
        filled[place] = element
    return tuple(filled)


def _default_name(item: Item, number: int) -> str:
    """A column keeps its name, as does the last field of a struct; anything else is numbered."""
    name = getattr(item.expression, "name", None)
    if isinstance(item.expression, Call) or name is None:
        return f"KSQL_COL_{number}"
    return str(name)
