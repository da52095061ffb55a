"""Expressions into Python: each becomes source text once, and one `lambda k, v: …` of a whole select list runs per row.

`k` is the record's key, `v` the tuple of its other columns. NULL is None and spreads as SQL says: operators give NULL
for NULL, AND and OR know three values. Types are checked here, so nothing is left to find out per row; what can't be
computed for one row (a division by zero, text that is no number) makes that one value NULL and is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from streams.sql.calls import Calls
from streams.sql.code import Code, Environment, NoColumns, Scope
from streams.sql.errors import Span, SqlError, near
from streams.sql.functions.registry import Registry
from streams.sql.functions.texts import like_matcher
from streams.sql.operations import Operations
from streams.sql.syntax import (
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
from streams.sql.types import (
    BIGINT,
    BOOLEAN,
    BYTES,
    DOUBLE,
    INTEGER,
    NULL,
    STRING,
    SqlType,
    array_of,
    common,
    decimal_of,
    map_of,
    struct_of,
)

_COMPARISONS = {"=": "==", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class _LambdaScope:
    def __init__(self, outer: Scope, parameters: Mapping[str, Code]) -> None:
        self._outer = outer
        self._parameters = parameters

    def resolve(self, name: Name) -> Code:
        found = self._parameters.get(name.name) if name.source is None else None
        return self._outer.resolve(name) if found is None else found


class Compiler(Operations):
    """Compiles expressions. Compilers of one statement share its environment."""

    def __init__(self, scope: Scope, functions: Registry, environment: Environment | None = None) -> None:
        super().__init__(environment)
        self.functions = functions
        self._scope = scope
        self._calls = Calls(self)

    # -- out of here

    def code(self, expression: Expr, wanted: SqlType | None = None) -> Code:
        """Its source, converted to `wanted` where that is given. Raises SqlError for what makes no sense."""
        made = self._code(expression)
        return made if wanted is None else self.as_type(made, wanted, expression.at)

    def condition(self, expression: Expr, what: str) -> Code:
        """For WHERE, HAVING and ON: must be BOOLEAN."""
        made = self._code(expression)
        if made.type.kind not in ("BOOLEAN", "NULL"):
            raise SqlError(f"{what} needs a condition, this is {made.type}", expression.at)
        return made

    def within(self, parameters: Mapping[str, Code], body: Expr) -> Code:
        """The body of a lambda, where its parameters are known."""
        outer, self._scope = self._scope, _LambdaScope(self._scope, parameters)
        try:
            return self._code(body)
        finally:
            self._scope = outer

    # -- one method per kind of expression

    def _code(self, expression: Expr) -> Code:
        match expression:
            case Literal(value):
                return self._literal(value)
            case Name():
                return self._scope.resolve(expression)
            case Operation(operator, operands):
                return self._operation(operator, operands, expression.at)
            case Call():
                return self._calls.code(expression)
            case IsNull(operand):
                return Code(f"({self._code(operand).text} is None)", BOOLEAN, False)
            case Case():
                return self._case(expression)
            case Cast(operand, to):
                return self.converted(self._code(operand), to, expression.at)
            case In():
                return self._in(expression)
            case Like():
                return self._like(expression)
            case Item():
                return self._item(expression)
            case Field():
                return self._field(expression)
            case ArrayOf(items):
                codes, type_ = self._alike(items, "elements of an array")
                return Code("[" + ", ".join(code.text for code in codes) + "]", array_of(type_), False)
            case MapOf(entries):
                return self._map(entries)
            case StructOf(names, values):
                codes = [self._code(value) for value in values]
                text = ", ".join(f"{name!r}: {code.text}" for name, code in zip(names, codes, strict=True))
                types = {name: code.type for name, code in zip(names, codes, strict=True)}
                return Code(f"{{{text}}}", struct_of(types), False)
            case Star():
                raise SqlError("* is no value", expression.at)
            case Lambda():
                raise SqlError("a lambda can only be an argument of a function that takes one", expression.at)
        raise SqlError("this can't be compiled", expression.at)

    def _literal(self, value: Any) -> Code:
        if value is None:
            return Code("None", NULL)
        if isinstance(value, bool):
            return Code(repr(value), BOOLEAN, False)
        if isinstance(value, int):
            return Code(repr(value), INTEGER if -(2**31) <= value < 2**31 else BIGINT, False)
        if isinstance(value, float):
            return Code(repr(value), DOUBLE, False)
        if isinstance(value, Decimal):
            digits, exponent = value.as_tuple().digits, int(value.as_tuple().exponent)
            scale = max(0, -exponent)
            return Code(self.named_constant(value), decimal_of(max(len(digits), scale), scale), False)
        return Code(self.named_constant(value), BYTES if isinstance(value, bytes) else STRING, False)

    def _operation(self, operator: str, operands: tuple[Expr, ...], at: Span) -> Code:
        if operator in ("AND", "OR", "NOT"):
            return self.logic(operator, [self.condition(each, operator) for each in operands])
        codes = [self._code(each) for each in operands]
        if operator == "NEGATE":
            if not codes[0].type.is_number:
                raise SqlError(f"- needs a number, this is {codes[0].type}", operands[0].at)
            return self.guarded("-{0}", codes, codes[0].type)
        left, right = codes
        if operator in _COMPARISONS or operator == "DISTINCT":
            left, right = self.comparable(left, right, operator, operands, at)
            if operator == "DISTINCT":
                return Code(f"({left.text} != {right.text})", BOOLEAN, False)
            return self.guarded(f"{{0}} {_COMPARISONS[operator]} {{1}}", [left, right], BOOLEAN)
        if operator == "||" or (operator == "+" and left.type.kind == right.type.kind == "STRING"):
            return self.joined(left, right, operands)
        return self.arithmetic(operator, left, right, operands, at)

    def _alike(self, expressions: Sequence[Expr], what: str) -> tuple[list[Code], SqlType]:
        """All of one type, after widening."""
        codes = [self._code(each) for each in expressions]
        type_ = NULL
        for code, expression in zip(codes, expressions, strict=True):
            both = common(type_, code.type)
            if both is None:
                raise SqlError(f"{what} have one type: this is {code.type}, the others are {type_}", expression.at)
            type_ = both
        return [self.as_type(code, type_, each.at) for code, each in zip(codes, expressions, strict=True)], type_

    def _case(self, case: Case) -> Code:
        whens = [self.condition(when, "WHEN") for when, _ in case.branches]
        results, type_ = self._alike([*(then for _, then in case.branches), case.default], "the results of CASE")
        text = results[-1].text
        for when, then in zip(reversed(whens), reversed(results[:-1]), strict=True):
            text = f"({then.text} if {when.text} else {text})"
        return Code(text, type_, any(code.is_nullable for code in results))

    def _in(self, expression: In) -> Code:
        choices = tuple(Operation("=", (expression.operand, each), at=each.at) for each in expression.choices)
        operand = self._code(expression.operand)
        simple = [each.value for each in expression.choices if isinstance(each, Literal) and each.value is not None]
        checked = [self._operation("=", each.operands, each.at) for each in choices]
        if len(simple) == len(choices) and not operand.type.is_time and not operand.type.is_nested:
            return self.guarded(f"{{0}} in {self.named_constant(frozenset(simple))}", [operand], BOOLEAN)
        made = checked[0]
        for each in checked[1:]:
            made = self.logic("OR", [made, each])
        return made

    def _like(self, expression: Like) -> Code:
        codes = [self.code(expression.operand, STRING), self.code(expression.pattern, STRING)]
        if isinstance(expression.pattern, Literal):
            matcher = self.named_constant(like_matcher(str(expression.pattern.value), expression.escape))
            return self.guarded(f"{matcher}({{0}}) is not None", codes[:1], BOOLEAN)
        run, escape = self.named_constant(like_matcher), self.named_constant(expression.escape)
        return self.guarded(f"{run}({{1}}, {escape})({{0}}) is not None", codes, BOOLEAN)

    def _item(self, expression: Item) -> Code:
        base = self._code(expression.base)
        if base.type.kind == "MAP":
            index = self.code(expression.index, base.type.items[0])
            return self.guarded("{0}.get({1})", [base, index], base.type.items[1], may_fail=True)
        if base.type.kind == "ARRAY":
            index = self.code(expression.index, BIGINT)
            run = self.named_constant(element)
            return self.guarded(f"{run}({{0}}, {{1}})", [base, index], base.type.items[0], may_fail=True)
        hint = "fields of a struct are written ->" if base.type.kind == "STRUCT" else ""
        raise SqlError(f"[…] takes an array or a map, this is {base.type}", expression.at, hint)

    def _field(self, expression: Field) -> Code:
        base = self._code(expression.base)
        if base.type.kind != "STRUCT":
            raise SqlError(f"-> takes a struct, this is {base.type}", expression.base.at)
        type_ = base.type.field(expression.name)
        if type_ is None:
            hint = near(expression.name, base.type.names) or f"it has {', '.join(base.type.names)}"
            raise SqlError(f"no field {expression.name} in {base.type}", expression.at, hint)
        return self.guarded(f"{{0}}.get({self.named_constant(expression.name)})", [base], type_, may_fail=True)

    def _map(self, entries: tuple[tuple[Expr, Expr], ...]) -> Code:
        keys, key_type = self._alike([key for key, _ in entries], "the keys of a map")
        values, value_type = self._alike([value for _, value in entries], "the values of a map")
        text = ", ".join(f"{key.text}: {value.text}" for key, value in zip(keys, values, strict=True))
        return Code(f"{{{text}}}", map_of(key_type, value_type), False)

def element(items: list[Any], index: int) -> Any:
    """From 1, or from the end with -1; None outside."""
    if index == 0 or abs(index) > len(items):
        return None
    return items[index - 1 if index > 0 else index]


def constant(expression: Expr, wanted: SqlType | None, functions: Registry) -> Any:
    """The value of an expression without columns. Raises SqlError when it can't be computed, too."""
    compiler = Compiler(NoColumns(), functions)
    code = compiler.code(expression, wanted)
    failures: list[Exception] = []
    value = compiler.function(code, failures.append)(None, ())
    if failures:
        raise SqlError(f"this can't be computed: {failures[0]}", expression.at)
    return value
