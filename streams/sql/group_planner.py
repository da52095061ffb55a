"""GROUP BY: rows of a group become one row of a table, over all time or per window."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from streams.sql.aggregates import Aggregate
from streams.sql.catalog import KeyWindow
from streams.sql.code import Code, tuple_text
from streams.sql.columns import Column
from streams.sql.compiler import Compiler
from streams.sql.errors import Span, SqlError
from streams.sql.formats import PackedRowSerde
from streams.sql.planned import Toolbox, key_function
from streams.sql.relations import Bound, Relation, key_columns, window_columns
from streams.sql.statements import Window
from streams.sql.syntax import Call, Expr, Literal, Name, Star, rewrite, walk
from streams.sql.types import SqlType
from streams.windows import EmitStrategy, SessionWindows, SlidingWindows, TimeWindows

if TYPE_CHECKING:
    from streams.sql.planner import QueryPlanner

DEFAULT_GRACE_MS = 24 * 3600 * 1000
"""As ksqlDB: a window takes late rows for a day unless it is told otherwise."""
STORE = "Aggregate"
_NO_SOURCE = ""

Items = list[tuple[Expr, str, Span]]


def aggregate_calls(expressions: Iterable[Expr], tools: Toolbox) -> list[Call]:
    """Every call of an aggregate function, each once. Raises SqlError for one inside another."""
    found: dict[Call, None] = {}
    for expression in expressions:
        for part in walk(expression):
            if isinstance(part, Call) and tools.aggregates.find(part.name):
                inner = [p for a in part.arguments for p in walk(a)]
                nested = next((p for p in inner if isinstance(p, Call) and tools.aggregates.find(p.name)), None)
                if nested is not None:
                    raise SqlError(f"{nested.name} can't be inside {part.name}", nested.at)
                found[part] = None
    return list(found)


class GroupPlanner:
    """Plans one GROUP BY."""

    store_name = STORE

    def __init__(self, planner: QueryPlanner, tools: Toolbox, relation: Relation, calls: list[Call]) -> None:
        self._planner = planner
        self._tools = tools
        self._relation = relation
        self._select = planner.select
        self._calls = calls
        self._by = [relation.qualified(each) for each in self._select.group_by]
        self._compiler = tools.compiler(relation)
        self.key_expressions: list[list[Expr]] = []

    def grouped(self, items: Items) -> tuple[Relation, Items, Expr | None]:
        """The table, and the select list and HAVING in terms of its columns."""
        relation, select = self._relation, self._select
        if select.window is not None and relation.is_table:
            raise SqlError("a table has no windows: WINDOW is for streams", select.window.at)
        if select.emit == "FINAL" and select.window is None:
            raise SqlError("EMIT FINAL needs a WINDOW: nothing else is ever final", select.at, "EMIT CHANGES")
        codes = [self._compiler.code(each) for each in self._by]
        key = tuple(
            Column(each.name if isinstance(each, Name) else f"KSQL_COL_{index}", code.type)
            for index, (each, code) in enumerate(zip(self._by, codes, strict=True))
        )
        format_ = self._planner.key_format(relation.key_format, key)
        serde = self._planner.key_serde(format_, key)
        window = select.window
        plans = [self._planned(call) for call in self._calls]
        arguments, argument_types = self._arguments(plans)
        state = _State(self._compiler, plans, arguments)
        packed = PackedRowSerde(state.types)
        sent = PackedRowSerde(argument_types)
        project = self._compiler.row_function([code for codes_ in arguments for code in codes_], self._tools.counted)
        if relation.is_table:
            table = self._of_table(codes, project, state, serde, sent, packed)
        else:
            grouped = self._grouped_stream(codes, project, serde, sent)
            table = _aggregated(grouped, window, state, serde, packed, is_final=select.emit == "FINAL")
        key_window = None if window is None else _key_window(window)
        columns = self._columns(key, key_window, state)
        names = {Name(f"\0key{i}", _NO_SOURCE): each for i, each in enumerate(self._by)}
        self.key_expressions = [[name] for name in names]
        result = Relation(table, True, columns, key, format_, key_window, len(state.types), serde)
        having = (
            None
            if select.having is None
            else self._over_groups(relation.qualified(select.having, self._planner.window_names))
        )
        return result, [(self._over_groups(e), name, at) for e, name, at in items], having

    # -- keys and arguments

    def _is_by_key(self) -> bool:
        keys = [Name(c.name, c.source) for c in self._relation.columns if c.is_key]
        return self._by == keys and self._relation.window is None and not self._select.joins

    def _grouped_stream(self, codes: list[Code], project: Any, serde: Any, sent: Any) -> Any:
        flow = self._relation.flow
        if self._is_by_key() and serde == self._relation.key_serde:
            return flow.filter(lambda _k, v: v is not None).map_values(project).group_by_key(key=serde, value=sent)
        new_key = key_function(self._compiler, codes, self._tools.counted, null_if_any=True)

        def rekeyed(k: Any, v: Any) -> tuple[Any, Any]:
            return (None, None) if v is None else (new_key(k, v), project(k, v))

        return flow.map(rekeyed).group_by_key(key=serde, value=sent)

    def _of_table(self, codes: list[Code], project: Any, state: _State, serde: Any, sent: Any, packed: Any) -> Any:
        for call, plan in zip(self._calls, state.plans, strict=True):
            if any(slot.undo is None for slot in plan.slots):
                words = f"{call.name} can't follow a table: what leaves a group can't be taken back"
                raise SqlError(words, call.at)
        new_key = key_function(self._compiler, codes, self._tools.counted, null_if_any=True)
        grouped = self._relation.flow.group_by(lambda k, v: (new_key(k, v), project(k, v)), key=serde, value=sent)
        return grouped.aggregate(state.initial, state.add, state.undo, store=STORE, key=serde, value=packed)

    def _planned(self, call: Call) -> Aggregate:
        name = "COUNT_DISTINCT" if call.name == "COUNT" and call.is_distinct else call.name
        function = self._tools.aggregates.find(name)
        assert function is not None
        if call.is_distinct and name == call.name:
            raise SqlError(f"{call.name} has no DISTINCT", call.at, "COUNT(DISTINCT …) counts different values")
        arguments = self._of(call)
        if not function.least <= len(arguments) <= function.most:
            takes = str(function.least) if function.least == function.most else f"{function.least} to {function.most}"
            raise SqlError(f"{name} takes {takes} argument{'s' * (takes != '1')}, not {len(arguments)}", call.at)
        types = [self._compiler.code(each).type for each in arguments]
        literals = [each.value if isinstance(each, Literal) else None for each in arguments]
        plan = function.plan(types, literals)
        if isinstance(plan, str):
            raise SqlError(plan, arguments[-1].at)
        return plan

    def _of(self, call: Call) -> tuple[Expr, ...]:
        """Its arguments; none for `COUNT(*)`."""
        if call.name == "COUNT" and len(call.arguments) == 1 and isinstance(call.arguments[0], Star):
            return ()
        return call.arguments

    def _arguments(self, plans: list[Aggregate]) -> tuple[list[list[Code]], list[SqlType]]:
        codes = []
        for call, plan in zip(self._calls, plans, strict=True):
            given = self._of(call)
            wanted: list[SqlType | None] = [*plan.takes] if plan.takes else [None] * len(given)
            codes.append([self._compiler.code(each, type_) for each, type_ in zip(given, wanted, strict=True)])
        return codes, [code.type for each in codes for code in each]

    # -- after grouping

    def _columns(self, key: tuple[Column, ...], window: KeyWindow | None, state: _State) -> tuple[Bound, ...]:
        base = "k" if window is None else "k[0]"
        keys = [
            Bound(_NO_SOURCE, f"\0key{index}", bound.type, bound.text, is_key=True)
            for index, bound in enumerate(key_columns(key, _NO_SOURCE, base))
        ]
        results = [
            Bound(_NO_SOURCE, f"\0aggregate{index}", plan.type, text)
            for index, (plan, text) in enumerate(zip(state.plans, state.results(), strict=True))
        ]
        return (*keys, *results, *window_columns(window, _NO_SOURCE))

    def _over_groups(self, expression: Expr) -> Expr:
        """In terms of keys and aggregates. Raises SqlError for a column that is neither."""

        def change(part: Expr) -> Expr | None:
            if part in self._by:
                return Name(f"\0key{self._by.index(part)}", _NO_SOURCE, at=part.at)
            if isinstance(part, Call) and part in self._calls:
                return Name(f"\0aggregate{self._calls.index(part)}", _NO_SOURCE, at=part.at)
            if isinstance(part, Name):
                if part.name in ("WINDOWSTART", "WINDOWEND") and self._select.window is not None:
                    return Name(part.name, _NO_SOURCE, at=part.at)
                hint = "add it there, or use LATEST_BY_OFFSET, MAX, …"
                raise SqlError(f"{part.name} is neither in GROUP BY nor in an aggregate function", part.at, hint)
            return None

        return rewrite(expression, change)


class _State:
    """One tuple per group: every aggregate's slots side by side, updated by one compiled function."""

    def __init__(self, compiler: Compiler, plans: list[Aggregate], arguments: list[list[Code]]) -> None:
        self.plans = plans
        self._compiler = compiler
        self._arguments = [len(codes) for codes in arguments]
        self.types = [slot.type for plan in plans for slot in plan.slots]
        for plan in plans:
            for name, value in plan.uses:
                compiler.define(name, value)
        start = compiler.evaluated(tuple_text(slot.initial for plan in plans for slot in plan.slots), "")
        self.initial: Callable[[], Any] = start
        self.add: Callable[..., Any] = compiler.evaluated(self._updating("add"), "k, v, s")
        self.merge: Callable[..., Any] = compiler.evaluated(self._merging(), "k, s, o")
        has_undo = all(slot.undo is not None for plan in plans for slot in plan.slots)
        self.undo: Callable[..., Any] = compiler.evaluated(self._updating("undo") if has_undo else "s", "k, v, s")

    def _updating(self, which: str) -> str:
        texts, slot_at, argument_at = [], 0, 0
        for plan, count in zip(self.plans, self._arguments, strict=True):
            names = {chr(ord("a") + i): f"v[{argument_at + i}]" for i in range(count)}
            names |= {f"s{i}": f"s[{slot_at + i}]" for i in range(len(plan.slots))}
            for index, slot in enumerate(plan.slots):
                texts.append(f"({getattr(slot, which).format(s=f's[{slot_at + index}]', **names)})")
            slot_at, argument_at = slot_at + len(plan.slots), argument_at + count
        return tuple_text(texts)

    def _merging(self) -> str:
        texts, at = [], 0
        for plan in self.plans:
            names = {f"s{i}": f"s[{at + i}]" for i in range(len(plan.slots))}
            names |= {f"o{i}": f"o[{at + i}]" for i in range(len(plan.slots))}
            for index, slot in enumerate(plan.slots):
                texts.append(f"({slot.merge.format(s=f's[{at + index}]', o=f'o[{at + index}]', **names)})")
            at += len(plan.slots)
        return tuple_text(texts)

    def results(self) -> list[str]:
        texts, at = [], 0
        for plan in self.plans:
            names = {f"s{i}": f"v[{at + i}]" for i in range(len(plan.slots))}
            texts.append(plan.result.format(**names))
            at += len(plan.slots)
        return texts


def _key_window(window: Window) -> KeyWindow:
    return KeyWindow(window.kind, None if window.kind == "SESSION" else window.size_ms)


def _aggregated(grouped: Any, window: Window | None, state: _State, serde: Any, packed: Any, *, is_final: bool) -> Any:
    store: dict[str, Any] = {"store": STORE, "key": serde, "value": packed}
    if window is None:
        return grouped.aggregate(state.initial, state.add, **store)
    grace_ms = DEFAULT_GRACE_MS if window.grace_ms is None else window.grace_ms
    if window.retention_ms is not None:
        least_ms = (2 if window.kind == "SLIDING" else 1) * window.size_ms + grace_ms
        store["retention"] = max(window.retention_ms, least_ms)
    windows: Any
    if window.kind == "SESSION":
        windows = SessionWindows.of_inactivity_gap_and_grace(window.size_ms, grace_ms)
    elif window.kind == "SLIDING":
        windows = SlidingWindows.of_time_difference_and_grace(window.size_ms, grace_ms)
    else:
        windows = TimeWindows.of_size_and_grace(window.size_ms, grace_ms).advance_by(window.advance_ms)
    windowed = grouped.windowed_by(windows)
    if is_final:
        windowed = windowed.emit_strategy(EmitStrategy.on_window_close())
    if window.kind == "SESSION":
        return windowed.aggregate(state.initial, state.add, state.merge, **store)
    return windowed.aggregate(state.initial, state.add, **store)
