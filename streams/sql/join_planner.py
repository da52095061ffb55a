"""JOIN: streams within a time, streams with tables, tables by key or foreign key."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streams.sql.columns import Column
from streams.sql.compiler import Compiler
from streams.sql.errors import SqlError
from streams.sql.formats import PackedRowSerde
from streams.sql.planned import Toolbox
from streams.sql.relations import Bound, Relation, tuple_columns
from streams.sql.statements import Join
from streams.sql.syntax import Expr, Name, Operation, walk
from streams.windows import JoinWindows

if TYPE_CHECKING:
    from streams.sql.planner import QueryPlanner

INNER_GRACE_MS = 24 * 3600 * 1000
"""Without GRACE PERIOD an inner join takes rows that are up to a day late. Others wait for nothing: an unmatched row
can only be told once its window has closed."""

Keys = list[list[Expr]]


class _Side:
    """One side of a join: a relation, the expression it is joined by, and how its key looks."""

    def __init__(self, relation: Relation, by: Expr, compiler: Compiler) -> None:
        self.relation = relation
        self.by = by
        self.compiler = compiler
        self.code = code = compiler.code(by)
        keys = [column for column in relation.columns if column.is_key]
        self.is_by_key = len(keys) == 1 and isinstance(by, Name) and keys[0].text == code.text
        self.serde = PackedRowSerde([column.type for column in relation.columns])


class JoinPlanner:
    """Joins one source after the other to what is there."""

    def __init__(self, planner: QueryPlanner, tools: Toolbox) -> None:
        self._planner = planner
        self._tools = tools

    def joined(self, left: Relation, keys: Keys, join: Join) -> tuple[Relation, Keys]:
        """The joined relation, whose values hold both sides' columns flat, and what its key is known as."""
        alias = join.source.alias
        if any(column.source == alias for column in left.columns):
            raise SqlError(f"two sources are called {alias}", join.source.at, f"{join.source.name} AS another name")
        right = self._planner.source(join.source, self._planner.needs_rowtime(alias))
        for relation in (left, right):
            if relation.window is not None:
                raise SqlError("windowed sources can't be joined", join.source.at)
        one, other = self._sides(left, right, join)
        self._check_kind(left, right, join)
        if left.is_table and not (one.is_by_key and other.is_by_key):
            return self._by_foreign_key(one, other, keys, join)
        if right.is_table and not other.is_by_key:
            hint = f"its key is {', '.join(column.name for column in right.key)}"
            raise SqlError(f"table {alias} can only be joined by its key", other.by.at, hint)
        both = self._planner.select.source.name, join.source.name
        self._planner.together += [self._tools.catalog.get(each) for each in both]
        if left.is_table:
            return self._result(self._tables(one, other, join), one, other, join)
        if right.is_table:
            return self._result(self._with_table(one, other, join), one, other, join)
        return self._result(self._streams(one, other, join), one, other, join)

    # -- what the statement says

    def _sides(self, left: Relation, right: Relation, join: Join) -> tuple[_Side, _Side]:
        on = join.on
        if not isinstance(on, Operation) or on.operator != "=":
            raise SqlError("ON takes one equality: left.column = right.column", on.at, "other conditions go to WHERE")
        both = replace(left, columns=(*left.columns, *right.columns))
        aliases = {column.source for column in right.columns}
        expressions = [both.qualified(each) for each in on.operands]
        belongs = [_sources_in(each) for each in expressions]
        if belongs[0] <= aliases and belongs[0]:
            expressions.reverse()
            belongs.reverse()
        if not belongs[0] or belongs[0] & aliases or not belongs[1] or not belongs[1] <= aliases:
            raise SqlError("each side of = belongs to one side of the join", on.at)
        one = _Side(left, expressions[0], self._tools.compiler(left))
        other = _Side(right, expressions[1], self._tools.compiler(right))
        if one.code.type != other.code.type:
            hint = "CAST one of them to the other's type: keys that differ in type differ in bytes"
            raise SqlError(f"{one.code.type} can't be joined with {other.code.type}", on.at, hint)
        return one, other

    def _check_kind(self, left: Relation, right: Relation, join: Join) -> None:
        if left.is_table and not right.is_table:
            raise SqlError("a table can't be joined with a stream", join.at, "put the stream first")
        if right.is_table and join.within is not None:
            raise SqlError("WITHIN is for two streams", join.source.at, "a table's row holds until the next one")
        if not right.is_table and join.within is None:
            hint = "WITHIN 10 SECONDS after the second stream says how far apart they may be"
            raise SqlError("two streams are joined within a time", join.source.at, hint)
        if right.is_table and not left.is_table and join.kind in ("RIGHT", "OUTER"):
            raise SqlError(f"a stream has no {join.kind} JOIN with a table", join.at, "only stream rows start a join")

    # -- flows

    def _flat(self, side: _Side, key_serde: Any) -> Any:
        """The side's columns as one tuple, keyed by what it is joined by."""
        compiler = side.compiler
        flat = compiler.evaluated(side.relation.flat_text())

        def flattened(k: Any, v: Any) -> Any:
            return None if v is None else flat(k, v)

        relation = side.relation
        if relation.is_table or (side.is_by_key and relation.key_serde == key_serde):
            return relation.flow.map_values(flattened)
        new_key = compiler.function(side.code, self._tools.counted)
        return relation.flow.map(lambda k, v: (None, None) if v is None else (new_key(k, v), flat(k, v)))

    def _key(self, one: _Side, other: _Side) -> Any:
        """The key serde both sides will have: a table's, else that of a side that stays where it is."""
        for side in (other, one):
            if side.relation.is_table or side.is_by_key:
                return side.relation.key_serde
        column = (Column("", one.code.type),)
        return self._planner.key_serde(self._planner.inherited_key_format(one.relation.key_format, column), column)

    def _streams(self, one: _Side, other: _Side, join: Join) -> Any:
        within, serde = join.within, self._key(one, other)
        assert within is not None
        left, right = self._flat(one, serde), self._flat(other, serde)
        grace_ms = within.grace_ms
        if grace_ms is None:
            grace_ms = INNER_GRACE_MS if join.kind == "INNER" else 0
        windows = JoinWindows(within.before_ms, within.after_ms, grace_ms)
        joiner = _joiner(len(one.relation.columns), len(other.relation.columns))
        serdes = {"key": serde, "value": one.serde, "other_value": other.serde}
        if join.kind == "RIGHT":
            windows = JoinWindows(within.after_ms, within.before_ms, grace_ms)
            serdes = {"key": serde, "value": other.serde, "other_value": one.serde}
            return right.left_join(left, lambda its, ours: joiner(ours, its), windows, **serdes)
        method = {"INNER": left.join, "LEFT": left.left_join, "OUTER": left.outer_join}[join.kind]
        return method(right, joiner, windows, **serdes)

    def _with_table(self, one: _Side, other: _Side, join: Join) -> Any:
        serde = self._key(one, other)
        stream, table = self._flat(one, serde), self._flat(other, serde)
        joiner = _joiner(len(one.relation.columns), len(other.relation.columns))
        method = stream.join if join.kind == "INNER" else stream.left_join
        return method(table, joiner, key=serde, value=one.serde)

    def _tables(self, one: _Side, other: _Side, join: Join) -> Any:
        left, right = self._flat(one, None), self._flat(other, None)
        joiner = _joiner(len(one.relation.columns), len(other.relation.columns))
        if join.kind == "RIGHT":
            return right.left_join(left, lambda its, ours: joiner(ours, its))
        method = {"INNER": left.join, "LEFT": left.left_join, "OUTER": left.outer_join}[join.kind]
        return method(right, joiner)

    def _by_foreign_key(self, one: _Side, other: _Side, keys: Keys, join: Join) -> tuple[Relation, Keys]:
        if not other.is_by_key:
            hint = "swap the tables" if one.is_by_key else f"its key is {', '.join(c.name for c in other.relation.key)}"
            raise SqlError("the right table of a join is found by its key", other.by.at, hint)
        if join.kind not in ("INNER", "LEFT"):
            raise SqlError(f"a foreign key has no {join.kind} JOIN", join.at, "INNER or LEFT")
        left, right = one.relation, other.relation
        compiler = one.compiler
        foreign_key = compiler.function(one.code, self._tools.counted)
        table = self._flat(other, None)
        flat = compiler.evaluated(left.flat_text())
        joiner = _joiner(len(left.columns), len(right.columns))
        sent = PackedRowSerde([*(column.type for column in left.columns), one.code.type])
        flat_left = left.flow.map_values(
            lambda k, v: (*flat(k, v), foreign_key(k, v)), store=f"{join.source.alias}-Left", value=sent
        )
        flat_right = table.filter(lambda _v: True, store=f"{join.source.alias}-Right", value=other.serde)
        method = flat_left.join if join.kind == "INNER" else flat_left.left_join
        flow = method(flat_right, lambda ours, its: joiner(ours[:-1], its), foreign_key=lambda v: v[-1])
        columns = (*tuple_columns(left.columns), *tuple_columns(right.columns, len(left.columns)))
        columns = tuple(
            replace(new, is_key=old.is_key) if index < len(left.columns) else new
            for index, (new, old) in enumerate(zip(columns, (*left.columns, *right.columns), strict=True))
        )
        joined = replace(left, flow=flow, columns=columns, width=len(columns))
        return joined, keys

    # -- the result

    def _result(self, flow: Any, one: _Side, other: _Side, join: Join) -> tuple[Relation, Keys]:
        left, right = one.relation, other.relation
        columns = [*tuple_columns(left.columns), *tuple_columns(right.columns, len(left.columns))]
        columns = [column for column in columns if column.name != "ROWKEY"]
        same: list[Expr] = [Name("ROWKEY", "")]
        if join.kind in ("INNER", "LEFT"):
            same.append(one.by)
        if join.kind in ("INNER", "RIGHT"):
            same.append(other.by)
        preferred = other.by if join.kind == "RIGHT" else one.by
        same.sort(key=lambda each: each != preferred)
        name = preferred.name if isinstance(preferred, Name) and join.kind != "OUTER" else "ROWKEY"
        rowkey = Bound("", "ROWKEY", one.code.type, "k", is_key=True, is_hidden=True)
        serde = self._key(one, other)
        format_ = next((s.relation.key_format for s in (other, one) if s.is_by_key), None)
        key = (Column(name, one.code.type),)
        if format_ is None:
            format_ = self._planner.inherited_key_format(left.key_format, key)
        relation = Relation(
            flow, left.is_table, (*columns, rowkey), key, format_, None, len(left.columns) + len(right.columns), serde
        )
        return relation, [same]


def _sources_in(expression: Expr) -> set[str]:
    return {part.source or "" for part in walk(expression) if isinstance(part, Name)}


def _joiner(left_width: int, right_width: int) -> Any:
    no_left, no_right = (None,) * left_width, (None,) * right_width
    return lambda left, right: (left or no_left) + (right or no_right)
