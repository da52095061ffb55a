"""Aggregate functions, each as source text over its slots of the state, so that one lambda updates a whole row.

A slot's texts see `{s}`, the slot as it was, `{a}` (`{b}`, … ) the arguments, and `{o}`, another session's slot. A text
may also name the slots of its own aggregate as `{s0}`, `{s1}`; all of them still have their old values then.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from streams.sql.functions.collections import hashable
from streams.sql.syntax import Call, walk
from streams.sql.types import BIGINT, DOUBLE, STRING, SqlType, array_of, map_of, struct_of


@dataclass(frozen=True, slots=True)
class Slot:
    """One value of the state. `undo` is what takes an argument back; tables need it, and some have none."""

    type: SqlType
    initial: str
    add: str
    merge: str
    undo: str | None = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Slots, and the text that makes the result of them. `uses` are what the texts call."""

    type: SqlType
    slots: tuple[Slot, ...]
    result: str = "{s0}"
    uses: tuple[tuple[str, Any], ...] = ()
    takes: tuple[SqlType, ...] = ()
    """What arguments are widened to; as they come when empty."""


Plan = Callable[[Sequence[SqlType], Sequence[Any]], "Aggregate | str"]
"""Takes the arguments' types and their values where they are literals; gives the aggregate, or what is wrong."""

_arrivals = itertools.count(time.time_ns())


def _skip(text: str) -> str:
    return f"{{s}} if {{a}} is None else {text}"


def _count(given: Sequence[SqlType], _literals: Sequence[Any]) -> Aggregate | str:
    if not given:
        return Aggregate(BIGINT, (Slot(BIGINT, "0", "{s} + 1", "{s} + {o}", "{s} - 1"),))
    change = "({a} is not None)"
    return Aggregate(BIGINT, (Slot(BIGINT, "0", f"{{s}} + {change}", "{s} + {o}", f"{{s}} - {change}"),))


def _sum(given: Sequence[SqlType], _literals: Sequence[Any]) -> Aggregate | str:
    if not given[0].is_number:
        return f"SUM adds numbers, this is {given[0]}"
    type_, zero = given[0], "0.0" if given[0].kind == "DOUBLE" else "0"
    if type_.kind == "DECIMAL":
        zero = "Decimal(0)"
    return Aggregate(type_, (Slot(type_, zero, _skip("{s} + {a}"), "{s} + {o}", _skip("{s} - {a}")),))


def _avg(given: Sequence[SqlType], _literals: Sequence[Any]) -> Aggregate | str:
    if not given[0].is_number:
        return f"AVG needs numbers, this is {given[0]}"
    total = Slot(DOUBLE, "0.0", _skip("{s} + float({a})"), "{s} + {o}", _skip("{s} - float({a})"))
    counts = "({a} is not None)"
    count = Slot(BIGINT, "0", f"{{s}} + {counts}", "{s} + {o}", f"{{s}} - {counts}")
    return Aggregate(DOUBLE, (total, count), "({s0} / {s1} if {s1} else None)")


def _extreme(name: str, sign: str) -> Plan:
    def plan(given: Sequence[SqlType], _literals: Sequence[Any]) -> Aggregate | str:
        if given[0].is_nested or given[0].kind == "BOOLEAN":
            return f"{name} needs something with an order, this is {given[0]}"
        keep = "{s} if {a} is None or ({s} is not None and {s} " + sign + " {a}) else {a}"
        merge = "{s} if {o} is None or ({s} is not None and {s} " + sign + " {o}) else {o}"
        return Aggregate(given[0], (Slot(given[0], "None", keep, merge),))

    return plan


def _by_offset(is_latest: bool) -> Plan:
    """(column, [how many], [whether NULLs are skipped])."""

    def plan(given: Sequence[SqlType], literals: Sequence[Any]) -> Aggregate | str:
        uses = (("arrival", _arrivals.__next__), ("ordered", _ordered))
        more = list(literals[1:])
        skips_null = more.pop() if more and isinstance(more[-1], bool) else True
        skip = "{a} is None" if skips_null else "False"
        if not more and len(given) <= 2:
            keeps = skip if is_latest else f"{{s1}} or {skip}"
            value = Slot(given[0], "None", f"{{s}} if {keeps} else {{a}}", _pick("0", is_latest))
            arrival = Slot(BIGINT, "0", f"{{s}} if {keeps} else arrival()", _pick("1", is_latest))
            return Aggregate(given[0], (value, arrival), uses=uses)
        if len(more) != 1 or not isinstance(more[0], int) or isinstance(more[0], bool) or more[0] < 1:
            return "after the column comes how many, a number from 1, and whether NULLs are skipped"
        entry = struct_of({"V": given[0], "N": BIGINT})
        cut = f"[-{more[0]}:]" if is_latest else f"[:{more[0]}]"
        add = f"{{s}} if {skip} else ({{s}} + [{{{{'V': {{a}}, 'N': arrival()}}}}])" + cut
        slot = Slot(array_of(entry), "[]", add, "ordered({s} + {o})" + cut)
        return Aggregate(array_of(given[0]), (slot,), "[each['V'] for each in {s0}]", uses)

    return plan


def _pick(slot: str, is_latest: bool) -> str:
    """Of two sessions, the slot of the one whose value came last, or first."""
    prefers_other = "{o1} > {s1}" if is_latest else "not {s1} or 0 < {o1} < {s1}"
    return f"{{o{slot}}} if {prefers_other} else {{s{slot}}}"


def _ordered(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(entries, key=lambda entry: entry["N"])


def _collect_list(given: Sequence[SqlType], _literals: Sequence[Any]) -> Aggregate | str:
    slot = Slot(array_of(given[0]), "[]", "{s} + [{a}]", "{s} + {o}", "without({s}, {a})")
    return Aggregate(slot.type, (slot,), uses=(("without", _without),))


def _collect_set(given: Sequence[SqlType], _literals: Sequence[Any]) -> Aggregate | str:
    slot = Slot(array_of(given[0]), "[]", "{s} if {a} in {s} else {s} + [{a}]", "united({s}, {o})")
    return Aggregate(slot.type, (slot,), uses=(("united", _united),))


def _count_distinct(given: Sequence[SqlType], _literals: Sequence[Any]) -> Aggregate | str:
    add = "{s} if {a} is None or {a} in {s} else {s} + [{a}]"
    slot = Slot(array_of(given[0]), "[]", add, "united({s}, {o})")
    return Aggregate(BIGINT, (slot,), "len({s0})", (("united", _united),))


def _top(is_distinct: bool) -> Plan:
    def plan(given: Sequence[SqlType], literals: Sequence[Any]) -> Aggregate | str:
        if not isinstance(literals[1], int) or isinstance(literals[1], bool) or literals[1] < 1:
            return "its second argument is how many, a number from 1"
        if given[0].is_nested:
            return f"it needs something with an order, this is {given[0]}"
        size = literals[1]
        run = "best_distinct" if is_distinct else "best"
        slot = Slot(array_of(given[0]), "[]", f"{run}({{s}}, [{{a}}], {size})", f"{run}({{s}}, {{o}}, {size})")
        return Aggregate(slot.type, (slot,), uses=((run, _best_distinct if is_distinct else _best),))

    return plan


def _histogram(given: Sequence[SqlType], _literals: Sequence[Any]) -> Aggregate | str:
    if given[0].kind != "STRING":
        return f"HISTOGRAM counts strings, this is {given[0]}"
    slot = Slot(map_of(STRING, BIGINT), "{}", _skip("tally({s}, {{{a}: 1}}, 1)"), "tally({s}, {o}, 1)",
                _skip("tally({s}, {{{a}: 1}}, -1)"))  # fmt: skip
    return Aggregate(slot.type, (slot,), uses=(("tally", _tally),))


def _deviation(given: Sequence[SqlType], _literals: Sequence[Any]) -> Aggregate | str:
    if not given[0].is_number:
        return f"it needs numbers, this is {given[0]}"
    count = Slot(BIGINT, "0", _skip("{s} + 1"), "{s} + {o}", _skip("{s} - 1"))
    total = Slot(DOUBLE, "0.0", _skip("{s} + float({a})"), "{s} + {o}", _skip("{s} - float({a})"))
    squares = Slot(DOUBLE, "0.0", _skip("{s} + float({a}) ** 2"), "{s} + {o}", _skip("{s} - float({a}) ** 2"))
    uses = (("deviation", _sample_deviation),)
    return Aggregate(DOUBLE, (count, total, squares), "deviation({s0}, {s1}, {s2})", uses)


def _sample_deviation(count: int, total: float, squares: float) -> float | None:
    if count < 2:
        return None if count == 0 else 0.0
    return math.sqrt(max(0.0, (squares - total * total / count) / (count - 1)))


def _correlation(given: Sequence[SqlType], _literals: Sequence[Any]) -> Aggregate | str:
    wrong = next((type_ for type_ in given if not type_.is_number), None)
    if wrong is not None:
        return f"CORRELATION needs numbers, this is {wrong}"
    added = ("1", "float({a})", "float({b})", "float({a}) ** 2", "float({b}) ** 2", "float({a}) * float({b})")
    none = "{a} is None or {b} is None"
    slots = (
        Slot(DOUBLE, "0.0", f"{{s}} if {none} else {{s}} + {x}", "{s} + {o}", f"{{s}} if {none} else {{s}} - {x}")
        for x in added
    )
    sums = "correlation({s0}, {s1}, {s2}, {s3}, {s4}, {s5})"
    return Aggregate(DOUBLE, tuple(slots), sums, (("correlation", _pearson),))


def _pearson(n: float, x: float, y: float, xx: float, yy: float, xy: float) -> float:
    spread = (n * xx - x * x) * (n * yy - y * y)
    return (n * xy - x * y) / math.sqrt(spread) if n and spread > 0 else math.nan


def _without(items: list[Any], item: Any) -> list[Any]:
    if item not in items:
        return items
    at = len(items) - 1 - items[::-1].index(item)
    return items[:at] + items[at + 1 :]


def _united(one: list[Any], other: list[Any]) -> list[Any]:
    known = {hashable(item) for item in one}
    return one + [item for item in other if hashable(item) not in known]


def _best(one: list[Any], other: list[Any], size: int) -> list[Any]:
    return sorted([item for item in one + other if item is not None], reverse=True)[:size]


def _best_distinct(one: list[Any], other: list[Any], size: int) -> list[Any]:
    return sorted({item for item in one + other if item is not None}, reverse=True)[:size]


def _tally(one: dict[str, int], other: dict[str, int], sign: int) -> dict[str, int]:
    merged = dict(one)
    for name, count in other.items():
        merged[name] = merged.get(name, 0) + sign * count
        if not merged[name]:
            del merged[name]
    return merged


@dataclass(frozen=True, slots=True)
class AggregateFunction:
    """`least` and `most` say how many arguments it takes."""

    name: str
    plan: Plan
    least: int
    most: int
    describes: str


class Aggregates:
    """Built-in aggregate functions, and those of one engine."""

    def __init__(self) -> None:
        self._known = {function.name: function for function in _BUILT_IN}

    def find(self, name: str) -> AggregateFunction | None:
        return self._known.get(name)

    def names(self) -> list[str]:
        return sorted(self._known)

    def register(
        self,
        name: str,
        *,
        state: SqlType,
        result: SqlType | None,
        initial: Any,
        add: Callable[..., Any],
        finish: Callable[[Any], Any] | None,
        merge: Callable[[Any, Any], Any] | None,
        undo: Callable[..., Any] | None,
        takes: Sequence[SqlType],
    ) -> None:
        """One written in Python. `add(state, *arguments)` gives the new state and must not change the old one."""
        letters = [f"{{{chr(ord('a') + i)}}}" for i in range(len(takes))]
        taken = ", ".join(["{s}", *letters])
        own = f"_{name.lower()}"
        parts = {"add": add, "start": initial, "finish": finish, "merge": merge, "undo": undo}
        uses = tuple((f"{part}{own}", run) for part, run in parts.items())
        slot = Slot(
            state,
            f"start{own}()",
            f"add{own}({taken})",
            f"merge{own}({{s}}, {{o}})",
            None if undo is None else f"undo{own}({taken})",
        )
        made = Aggregate(
            result or state, (slot,), "{s0}" if finish is None else f"finish{own}({{s0}})", uses, tuple(takes)
        )
        self._known[name.upper()] = AggregateFunction(name.upper(), lambda *_: made, len(takes), len(takes), "yours")


_BUILT_IN = (
    AggregateFunction("COUNT", _count, 0, 1, "how many rows, or values that aren't NULL"),
    AggregateFunction("COUNT_DISTINCT", _count_distinct, 1, 1, "how many different values"),
    AggregateFunction("SUM", _sum, 1, 1, "the sum"),
    AggregateFunction("AVG", _avg, 1, 1, "the mean"),
    AggregateFunction("MIN", _extreme("MIN", "<="), 1, 1, "the smallest"),
    AggregateFunction("MAX", _extreme("MAX", ">="), 1, 1, "the largest"),
    AggregateFunction("LATEST_BY_OFFSET", _by_offset(True), 1, 3, "the last value, or the last so many"),
    AggregateFunction("EARLIEST_BY_OFFSET", _by_offset(False), 1, 3, "the first value, or the first so many"),
    AggregateFunction("COLLECT_LIST", _collect_list, 1, 1, "all values, in order"),
    AggregateFunction("COLLECT_SET", _collect_set, 1, 1, "each value once"),
    AggregateFunction("TOPK", _top(False), 2, 2, "the largest so many"),
    AggregateFunction("TOPKDISTINCT", _top(True), 2, 2, "the largest so many, each once"),
    AggregateFunction("HISTOGRAM", _histogram, 1, 1, "how often each string came"),
    AggregateFunction("STDDEV_SAMP", _deviation, 1, 1, "the standard deviation of a sample"),
    AggregateFunction("STDDEV_SAMPLE", _deviation, 1, 1, "the same, by its older name"),
    AggregateFunction("CORRELATION", _correlation, 2, 2, "how two columns go together, from -1 to 1"),
)


def aggregate_names(expressions: Sequence[Any], aggregates: Aggregates) -> list[str]:
    """Names of the aggregate functions that are called somewhere inside."""
    parts = (part for expression in expressions for part in walk(expression) if isinstance(part, Call))
    return [part.name for part in parts if aggregates.find(part.name) is not None]
