"""Scalar expressions by sqlglot, with ksqlDB's spellings; its tree becomes ours here, and nobody else sees it."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Mapping
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError

from streams.sql.errors import Span, SqlError
from streams.sql.ksql_dialect import Ksql
from streams.sql.syntax import (
    ALL_FIELDS,
    ArrayOf,
    Call,
    Case,
    Cast,
    Expr,
    Field,
    In,
    IsNull,
    Item,
    Lambda,
    Like,
    Literal,
    MapOf,
    Name,
    Operation,
    Star,
    StructOf,
)
from streams.sql.types import STRING, SqlType, array_of, decimal_of, map_of, named, struct_of


def parse_scalar(text: str, start: int, types: Mapping[str, SqlType] | None = None) -> Expr:
    """The expression that stands at `start` of its statement; `types` are those of CREATE TYPE.

    Raises SqlError where it can't be understood.
    """
    try:
        tree = sqlglot.parse_one(text, into=exp.Condition, dialect=Ksql)
    except ParseError as error:
        raise _misread(error, text, start) from None
    except TokenError:
        raise SqlError("this expression can't be read", Span(start, start + len(text))) from None
    return _Converter(text, start, types or {}).convert(tree)


def _misread(error: ParseError, text: str, start: int) -> SqlError:
    first = error.errors[0] if error.errors else {}
    line, column = int(first.get("line") or 1), int(first.get("col") or 1)
    word = str(first.get("highlight") or "")
    lines = text.split("\n")
    end = sum(len(each) + 1 for each in lines[: line - 1]) + column
    place = max(0, end - max(1, len(word)))
    what = "this expression stops too early" if place >= len(text.rstrip()) - 1 and not word.strip("+-*/(=<>") else ""
    message = what or (f"{word} is not expected here" if word else "this expression can't be read")
    return SqlError(message, Span(start + place, start + max(end, place + 1)))


_BINARY: dict[type[Any], str] = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.DPipe: "||", exp.EQ: "=", exp.NEQ: "<>",
    exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=", exp.And: "AND", exp.Or: "OR",
}  # fmt: skip
_UNDERSTOOD = (
    "this", "expression", "expressions", "negate", "table", "db", "quoted", "is_string", "ifs", "default", "to", "low",
    "high", "query", "safe", "coalesce", "typed", "only_json_types",
)  # fmt: skip
_TAKES_UNIT = ("TIMESTAMPADD", "TIMESTAMPSUB", "DATEADD", "DATESUB", "TIMEADD", "TIMESUB")
"""Their first argument is a word such as DAYS, which is no column."""
_TYPE_NAMES = {"TEXT": "STRING", "INT": "INTEGER", "VARBINARY": "BYTES", "BINARY": "BYTES", "TIMESTAMPNTZ": "TIMESTAMP"}


class _Converter:
    """sqlglot's nodes into ours; places are those in the whole statement."""

    def __init__(self, text: str, start: int, types: Mapping[str, SqlType]) -> None:
        self._text = text
        self._start = start
        self._types = types
        self._special: dict[type, Callable[[Any, Span], Expr]] = {
            exp.Literal: self._literal,
            exp.Column: self._column,
            exp.Anonymous: self._call,
            exp.Array: lambda node, at: ArrayOf(self._all(node.expressions), at=at),
            exp.Bracket: self._bracket,
            exp.JSONExtract: self._field,
            exp.Case: self._case,
            exp.Cast: self._cast,
            exp.Between: self._between,
            exp.In: self._in,
            exp.Like: self._like,
            exp.Escape: self._escape,
            exp.Is: self._is,
            exp.Lambda: self._lambda,
        }

    def convert(self, node: Any) -> Expr:
        at = self._place(node)
        strange = next((name for name, value in node.args.items() if value and name not in _UNDERSTOOD), None)
        if strange is not None:  # better no answer than a wrong one
            raise SqlError(f"{strange.replace('_', ' ')} is not supported in expressions", at)
        operator = _BINARY.get(type(node))
        if operator is not None:
            left, right = self.convert(node.this), self.convert(node.expression)
            return Operation(operator, (left, right), at=left.at.to(right.at))
        special = self._special.get(type(node))
        if special is not None:
            return special(node, at)
        match node:
            case exp.Paren():
                return self.convert(node.this)
            case exp.Null():
                return Literal(None, at=at)
            case exp.Boolean():
                return Literal(bool(node.this), at=at)
            case exp.Neg():
                return self._negative(node, at)
            case exp.Not():
                return Operation("NOT", (self.convert(node.this),), at=at)
            case exp.NullSafeNEQ():
                return Operation("DISTINCT", self._all([node.this, node.expression]), at=at)
            case exp.NullSafeEQ():
                distinct = Operation("DISTINCT", self._all([node.this, node.expression]), at=at)
                return Operation("NOT", (distinct,), at=at)
            case exp.Star():
                return Star(at=at)
        raise SqlError(f"{type(node).__name__} is not supported in expressions", at)

    def _all(self, nodes: list[Any]) -> tuple[Expr, ...]:
        return tuple(self.convert(node) for node in nodes)

    def _place(self, node: Any) -> Span:
        """Where a node stands: what sqlglot noted at it, else what it noted inside."""
        start, end = len(self._text), -1
        for inner in node.walk():
            if "start" in inner.meta:
                start, end = min(start, int(inner.meta["start"])), max(end, int(inner.meta["end"]) + 1)
                if inner is node:
                    break
        if end < 0:
            return Span(self._start, self._start + max(1, len(self._text)))
        return Span(self._start + start, self._start + end)

    def _literal(self, node: Any, at: Span) -> Expr:
        if node.is_string:
            return Literal(str(node.this), at=at)
        text = str(node.this)
        if text.isdecimal():
            return Literal(int(text), at=at)
        return Literal(float(text) if "e" in text.lower() else decimal.Decimal(text), at=at)

    def _negative(self, node: Any, at: Span) -> Expr:
        operand = self.convert(node.this)
        at = Span(max(self._start, operand.at.start - 1), operand.at.end)
        if isinstance(operand, Literal) and isinstance(operand.value, (int, float, decimal.Decimal)):
            return Literal(-operand.value, at=at)
        return Operation("NEGATE", (operand,), at=at)

    def _column(self, node: Any, at: Span) -> Expr:
        if isinstance(node.this, exp.Star):
            return Star(_name(node.args.get("table")), at=at)
        if node.args.get("db") is not None:
            raise SqlError("a column has one source in front of it; write -> for fields of a struct", at)
        return Name(_name(node.this) or "", _name(node.args.get("table")), at=at)

    def _call(self, node: Any, at: Span) -> Expr:
        name = str(node.name).upper()
        arguments = node.expressions
        if name == "MAP":
            return MapOf(tuple((self.convert(key), self.convert(value)) for key, value in self._pairs(node, at)), at=at)
        if name == "STRUCT":
            pairs = self._pairs(node, at)
            names = tuple(_name(key.this if isinstance(key, exp.Column) else key) or "" for key, _ in pairs)
            return StructOf(names, self._all([value for _, value in pairs]), at=at)
        if name in _TAKES_UNIT and arguments and isinstance(arguments[0], exp.Column) and not arguments[0].table:
            unit = Literal(str(arguments[0].name).upper(), at=self._place(arguments[0]))
            return Call(name, (unit, *self._all(arguments[1:])), at=at)
        if len(arguments) == 1 and isinstance(arguments[0], exp.Distinct):
            return Call(name, self._all(arguments[0].expressions), True, at=at)
        return Call(name, self._all(arguments), at=at)

    def _pairs(self, node: Any, at: Span) -> list[tuple[Any, Any]]:
        for entry in node.expressions:
            if not isinstance(entry, exp.PropertyEQ):
                raise SqlError(f"{str(node.name).upper()} takes name := value pairs", at)
        return [(entry.this, entry.expression) for entry in node.expressions]

    def _bracket(self, node: Any, at: Span) -> Expr:
        if len(node.expressions) != 1:
            raise SqlError("one index, please", at)
        return Item(self.convert(node.this), self.convert(node.expressions[0]), at=at)

    def _field(self, node: Any, at: Span) -> Expr:
        inner = node.expression
        if isinstance(inner, exp.Star):
            return Field(self.convert(node.this), ALL_FIELDS, at=at)
        if not isinstance(inner, exp.Column):
            raise SqlError("the name of a field comes after ->", at)
        place = self._place(inner)
        return Field(self.convert(node.this), _name(inner.this) or "", at=place)

    def _case(self, node: Any, at: Span) -> Expr:
        subject = None if node.this is None else self.convert(node.this)
        branches = []
        for branch in node.args["ifs"]:
            when, then = self.convert(branch.this), self.convert(branch.args["true"])
            if subject is not None:
                when = Operation("=", (subject, when), at=when.at)
            branches.append((when, then))
        default = node.args.get("default")
        return Case(tuple(branches), Literal(None, at=at) if default is None else self.convert(default), at=at)

    def _cast(self, node: Any, at: Span) -> Expr:
        return Cast(NULL_LITERAL if node.this is None else self.convert(node.this), self._type(node.to, at), at=at)

    def _between(self, node: Any, at: Span) -> Expr:
        operand = self.convert(node.this)
        low = Operation(">=", (operand, self.convert(node.args["low"])), at=at)
        high = Operation("<=", (operand, self.convert(node.args["high"])), at=at)
        return Operation("AND", (low, high), at=at)

    def _in(self, node: Any, at: Span) -> Expr:
        if node.args.get("query") is not None:
            raise SqlError("IN takes a list of values", at)
        return In(self.convert(node.this), self._all(node.expressions), at=at)

    def _like(self, node: Any, at: Span) -> Expr:
        like = Like(self.convert(node.this), self.convert(node.expression), at=at)
        return Operation("NOT", (like,), at=at) if node.args.get("negate") else like

    def _escape(self, node: Any, at: Span) -> Expr:
        like = self.convert(node.this)
        if isinstance(like, Operation) and like.operator == "NOT":
            plain = node.copy()
            plain.this.set("negate", None)
            return Operation("NOT", (self._escape(plain, at),), at=at)
        mark = self.convert(node.expression)
        if not isinstance(like, Like) or not isinstance(mark, Literal) or len(str(mark.value)) != 1:
            raise SqlError("ESCAPE takes one character, after LIKE", at)
        return Like(like.operand, like.pattern, str(mark.value), at=at)

    def _is(self, node: Any, at: Span) -> Expr:
        operand = self.convert(node.this)
        if isinstance(node.expression, exp.Null):
            return IsNull(operand, at=at)
        if isinstance(node.expression, exp.Boolean):
            same = Operation("DISTINCT", (operand, Literal(bool(node.expression.this), at=at)), at=at)
            return Operation("NOT", (same,), at=at)
        raise SqlError("IS takes NULL, TRUE or FALSE", at)

    def _lambda(self, node: Any, at: Span) -> Expr:
        names = tuple(_name(each.this if isinstance(each, exp.Column) else each) or "" for each in node.expressions)
        return Lambda(names, self.convert(node.this), at=at)

    def _type(self, node: Any, at: Span) -> SqlType:
        if not isinstance(node, exp.DataType) or node.this is exp.DataType.Type.USERDEFINED:
            text = node.sql() if node is not None else ""
            return self._placed(text.upper(), at)
        kind = node.this.name if hasattr(node.this, "name") else str(node.this)
        inner = node.expressions
        if kind == "ARRAY" and len(inner) == 1:
            return array_of(self._type(inner[0], at))
        if kind == "MAP" and len(inner) == 2:
            return map_of(self._type(inner[0], at), self._type(inner[1], at))
        if kind == "STRUCT":
            return struct_of({_name(each.this) or "": self._type(each.args["kind"], at) for each in inner})
        if kind == "DECIMAL":
            sizes = [int(each.this.name) for each in inner]
            return decimal_of(*sizes) if len(sizes) == 2 else decimal_of(sizes[0] if sizes else 38, 0)
        if kind in ("ARRAY", "MAP"):
            raise SqlError(f"{kind} needs its types: {'ARRAY<T>' if kind == 'ARRAY' else 'MAP<K, V>'}", at)
        return STRING if kind == "VARCHAR" else self._placed(_TYPE_NAMES.get(kind, kind), at)

    def _placed(self, name: str, at: Span) -> SqlType:
        if name in self._types:
            return self._types[name]
        try:
            return named(name)
        except SqlError as error:
            place = self._text.upper().find(name)
            where = at if place < 0 else Span(self._start + place, self._start + place + len(name))
            raise SqlError(error.message, where, error.hint) from None


NULL_LITERAL = Literal(None)


def _name(node: Any) -> str | None:
    """An identifier as SQL means it: in upper case unless quoted."""
    if node is None:
        return None
    if isinstance(node, exp.Identifier):
        return str(node.this) if node.args.get("quoted") else str(node.this).upper()
    return str(node.name).upper()
