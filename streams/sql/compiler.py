"""Expressions into Python: each becomes source text once, and one `lambda k, v: …` of a whole select list runs per row.

`k` is the record's key, `v` the tuple of its other columns. NULL is None and spreads as SQL says: operators give NULL
for NULL, AND and OR know three values. Types are checked here, so nothing is left to find out per row; what can't be
computed for one row (a division by zero, text that is no number) makes that one value NULL and is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from streams.sql.casts import cast_of, to_decimal
from streams.sql.errors import Span, SqlError, near
from streams.sql.functions.registry import Function, Registry
from streams.sql.functions.signatures import bind, resolved
from streams.sql.functions.texts import like_matcher
from streams.sql.operators import arithmetic_type, int_divide, remainder
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
    TIMESTAMP,
    SqlType,
    array_of,
    common,
    decimal_of,
    fits,
    map_of,
    struct_of,
)

Row = tuple[Any, ...]
Evaluated = Callable[[Any, Any], Any]
Counted = Callable[[Exception], None]


class Code(NamedTuple):
    """Python source of an expression, the type it gives, and whether it can give NULL."""

    text: str
    type: SqlType
    is_nullable: bool = True


class Scope(Protocol):
    """What names mean. Raises SqlError for those that mean nothing."""

    def resolve(self, name: Name) -> Code: ...


class NoColumns:
    """For VALUES: constants only."""

    def resolve(self, name: Name) -> Code:
        raise SqlError(f"{name} is a column, and there is no row here", name.at, f"strings are quoted: '{name}'")


class _LambdaScope:
    def __init__(self, outer: Scope, parameters: Mapping[str, Code]) -> None:
        self._outer = outer
        self._parameters = parameters

    def resolve(self, name: Name) -> Code:
        found = self._parameters.get(name.name) if name.source is None else None
        return self._outer.resolve(name) if found is None else found


PSEUDO = ("ROWTIME", "WINDOWSTART", "WINDOWEND")
"""Columns that aren't declared: ms in a BIGINT, which may be compared with a time in quotes."""
_COMPARISONS = {"=": "==", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_WORDS = {"NEGATE": "-", "DISTINCT": "IS DISTINCT FROM"}


class Environment(dict[str, Any]):
    """What compiled text of one statement calls by name."""

    def __init__(self) -> None:
        super().__init__(Decimal=Decimal, to_decimal=to_decimal)
        self.count = 0

    def new_name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"


class Compiler:
    """Compiles expressions. Compilers of one statement share its environment."""

    def __init__(self, scope: Scope, functions: Registry, environment: Environment | None = None) -> None:
        self._scope = scope
        self._functions = functions
        self._environment = Environment() if environment is None else environment

    # -- out of here

    def code(self, expression: Expr, wanted: SqlType | None = None) -> Code:
        """Its source, converted to `wanted` where that is given. Raises SqlError for what makes no sense."""
        made = self._code(expression)
        return made if wanted is None else self._as(made, wanted, expression.at)

    def condition(self, expression: Expr, what: str) -> Code:
        """For WHERE, HAVING and ON: must be BOOLEAN."""
        made = self._code(expression)
        if made.type.kind not in ("BOOLEAN", "NULL"):
            raise SqlError(f"{what} needs a condition, this is {made.type}", expression.at)
        return made

    def function(self, code: Code, counted: Counted) -> Evaluated:
        """One expression of a record."""
        run = self.evaluated(code.text)

        def guarded(k: Any, v: Any) -> Any:
            try:
                return run(k, v)
            except NameError:  # no fault of the row's
                raise
            except Exception as error:
                counted(error)
                return None

        return guarded

    def row_function(self, codes: Sequence[Code], counted: Counted) -> Callable[[Any, Any], Row]:
        """Several expressions of a record, at once."""
        together = self.evaluated(tuple_text(code.text for code in codes))
        singly = [self.function(code, counted) for code in codes]

        def guarded(k: Any, v: Any) -> Row:
            try:
                values: Row = together(k, v)
            except Exception:  # one of them: find out which
                values = tuple(run(k, v) for run in singly)
            return values

        return guarded

    def evaluated(self, text: str, parameters: str = "k, v") -> Callable[..., Any]:
        """A function of source text. It is always text of ours: what users write comes in as constants only."""
        run: Callable[..., Any] = eval(f"lambda {parameters}: {text}", self._environment)
        return run

    # -- pieces

    def _new(self, prefix: str) -> str:
        return self._environment.new_name(prefix)

    def named_constant(self, value: Any) -> str:
        """A name for it in the compiled text."""
        name = self._new("c")
        self._environment[name] = value
        return name

    def define(self, name: str, value: Any) -> None:
        """Something that compiled text calls by name."""
        self._environment[name] = value

    def _guarded(self, template: str, operands: Sequence[Code], type_: SqlType, *, may_fail: bool = False) -> Code:
        """`template` with {0}, {1}, … filled in, NULL as soon as one of them is."""
        tests, names = [], []
        for operand in operands:
            if operand.is_nullable:
                name = self._new("t")
                tests.append(f"({name} := {operand.text}) is None")
                names.append(name)
            else:
                names.append(operand.text)
        body = template.format(*names)
        nullable = bool(tests) or may_fail
        return Code(f"(None if {' or '.join(tests)} else {body})" if tests else f"({body})", type_, nullable)

    def _as(self, code: Code, wanted: SqlType, at: Span) -> Code:
        """`code` where `wanted` is expected: widened if need be."""
        given = code.type
        if given == wanted:
            return code
        if given.kind == "NULL":
            return Code(code.text, wanted)
        if not fits(given, wanted):
            if given.kind == "STRING" and wanted.is_time:
                return self._converted(code, wanted, at)
            raise SqlError(f"{wanted} is needed here, this is {given}", at, _cast_hint(given, wanted))
        if wanted.kind == "DOUBLE":
            return self._guarded("float({0})", [code], wanted)
        if wanted.kind == "DECIMAL":
            return self._guarded(f"to_decimal({{0}}, {wanted.size})", [code], wanted)
        if wanted.kind in ("ARRAY", "MAP"):
            return self._converted(code, wanted, at)
        return Code(code.text, wanted, code.is_nullable)

    def _converted(self, code: Code, wanted: SqlType, at: Span) -> Code:
        convert = cast_of(code.type, wanted)
        if convert is None:
            raise SqlError(f"{code.type} can't be cast to {wanted}", at)
        is_text = code.type.kind == "STRING"
        return self._guarded(f"{self.named_constant(convert)}({{0}})", [code], wanted, may_fail=is_text)

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
                return self._call(expression)
            case IsNull(operand):
                return Code(f"({self._code(operand).text} is None)", BOOLEAN, False)
            case Case():
                return self._case(expression)
            case Cast(operand, to):
                return self._converted(self._code(operand), to, expression.at)
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
            return self._logic(operator, [self.condition(each, operator) for each in operands])
        codes = [self._code(each) for each in operands]
        if operator == "NEGATE":
            if not codes[0].type.is_number:
                raise SqlError(f"- needs a number, this is {codes[0].type}", operands[0].at)
            return self._guarded("-{0}", codes, codes[0].type)
        left, right = codes
        if operator in _COMPARISONS or operator == "DISTINCT":
            left, right = self._comparable(left, right, operator, operands, at)
            if operator == "DISTINCT":
                return Code(f"({left.text} != {right.text})", BOOLEAN, False)
            return self._guarded(f"{{0}} {_COMPARISONS[operator]} {{1}}", [left, right], BOOLEAN)
        if operator == "||" or (operator == "+" and left.type.kind == right.type.kind == "STRING"):
            return self._joined(left, right, operands)
        return self._arithmetic(operator, left, right, operands, at)

    def _logic(self, operator: str, codes: list[Code]) -> Code:
        if operator == "NOT":
            return self._guarded("not {0}", codes, BOOLEAN)
        left, right = codes
        if not left.is_nullable and not right.is_nullable:
            return Code(f"({left.text} {operator.lower()} {right.text})", BOOLEAN, False)
        decides = "False" if operator == "AND" else "True"
        one, other = self._new("t"), self._new("t")
        rest = f"({other} if ({other} := {right.text}) is {decides} or {one} is not None else None)"
        return Code(f"({decides} if ({one} := {left.text}) is {decides} else {rest})", BOOLEAN)

    def _comparable(
        self, left: Code, right: Code, operator: str, operands: tuple[Expr, ...], at: Span
    ) -> tuple[Code, Code]:
        for one, other, place in ((left, right, operands[1]), (right, left, operands[0])):
            name = operands[0] if one is left else operands[1]
            is_time = one.type.is_time or (
                isinstance(name, Name) and name.name in PSEUDO and isinstance(place, Literal)
            )
            if is_time and other.type.kind == "STRING":
                converted = self._time_constant(other, one.type if one.type.is_time else TIMESTAMP, place)
                converted = converted._replace(type=one.type)
                return (one, converted) if one is left else (converted, one)
        both = common(left.type, right.type)
        if both is None:
            hint = _cast_hint(right.type, left.type)
            raise SqlError(f"{left.type} can't be compared with {right.type}", at, hint)
        if both.is_nested and operator not in ("=", "<>", "DISTINCT"):
            raise SqlError(f"{both} has no order", at)
        if both.kind == "DOUBLE":
            return tuple(  # type: ignore[return-value]
                self._as(each, DOUBLE, at) if each.type.kind == "DECIMAL" else each for each in (left, right)
            )
        return left, right

    def _time_constant(self, code: Code, wanted: SqlType, expression: Expr) -> Code:
        """Text where a time is needed; a literal is read now, so that a wrong one is an error of the statement."""
        if isinstance(expression, Literal):
            convert = cast_of(STRING, wanted)
            assert convert is not None
            try:
                return Code(repr(convert(expression.value)), wanted, False)
            except ValueError as error:
                raise SqlError(str(error), expression.at) from None
        return self._converted(code, wanted, expression.at)

    def _joined(self, left: Code, right: Code, operands: tuple[Expr, ...]) -> Code:
        for code, operand in zip((left, right), operands, strict=True):
            if code.type.kind not in ("STRING", "NULL"):
                raise SqlError(f"|| joins strings, this is {code.type}", operand.at, _cast_hint(code.type, STRING))
        return self._guarded("{0} + {1}", [left, right], STRING)

    def _arithmetic(self, operator: str, left: Code, right: Code, operands: tuple[Expr, ...], at: Span) -> Code:
        for code, operand in zip((left, right), operands, strict=True):
            if not code.type.is_number and code.type.kind != "NULL":
                hint = "|| joins strings" if operator == "+" and code.type.kind == "STRING" else ""
                raise SqlError(f"{operator} needs numbers, this is {code.type}", operand.at, hint)
        type_ = arithmetic_type(operator, left.type, right.type)
        if type_.kind == "DOUBLE":
            left, right = (self._as(c, DOUBLE, at) if c.type.kind == "DECIMAL" else c for c in (left, right))
        if type_.kind in ("INTEGER", "BIGINT") and operator in "/%":
            run = self.named_constant(int_divide if operator == "/" else remainder)
            return self._guarded(f"{run}({{0}}, {{1}})", [left, right], type_)
        if operator == "%":
            return self._guarded(f"{self.named_constant(remainder)}({{0}}, {{1}})", [left, right], type_)
        if type_.kind == "DECIMAL":
            return self._guarded(f"to_decimal({{0}} {operator} {{1}}, {type_.size})", [left, right], type_)
        return self._guarded(f"{{0}} {operator} {{1}}", [left, right], type_)

    def _alike(self, expressions: Sequence[Expr], what: str) -> tuple[list[Code], SqlType]:
        """All of one type, after widening."""
        codes = [self._code(each) for each in expressions]
        type_ = NULL
        for code, expression in zip(codes, expressions, strict=True):
            both = common(type_, code.type)
            if both is None:
                raise SqlError(f"{what} have one type: this is {code.type}, the others are {type_}", expression.at)
            type_ = both
        return [self._as(code, type_, each.at) for code, each in zip(codes, expressions, strict=True)], type_

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
            return self._guarded(f"{{0}} in {self.named_constant(frozenset(simple))}", [operand], BOOLEAN)
        made = checked[0]
        for each in checked[1:]:
            made = self._logic("OR", [made, each])
        return made

    def _like(self, expression: Like) -> Code:
        codes = [self.code(expression.operand, STRING), self.code(expression.pattern, STRING)]
        if isinstance(expression.pattern, Literal):
            matcher = self.named_constant(like_matcher(str(expression.pattern.value), expression.escape))
            return self._guarded(f"{matcher}({{0}}) is not None", codes[:1], BOOLEAN)
        run, escape = self.named_constant(like_matcher), self.named_constant(expression.escape)
        return self._guarded(f"{run}({{1}}, {escape})({{0}}) is not None", codes, BOOLEAN)

    def _item(self, expression: Item) -> Code:
        base = self._code(expression.base)
        if base.type.kind == "MAP":
            index = self.code(expression.index, base.type.items[0])
            return self._guarded("{0}.get({1})", [base, index], base.type.items[1], may_fail=True)
        if base.type.kind == "ARRAY":
            index = self.code(expression.index, BIGINT)
            run = self.named_constant(element)
            return self._guarded(f"{run}({{0}}, {{1}})", [base, index], base.type.items[0], may_fail=True)
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
        return self._guarded(f"{{0}}.get({self.named_constant(expression.name)})", [base], type_, may_fail=True)

    def _map(self, entries: tuple[tuple[Expr, Expr], ...]) -> Code:
        keys, key_type = self._alike([key for key, _ in entries], "the keys of a map")
        values, value_type = self._alike([value for _, value in entries], "the values of a map")
        text = ", ".join(f"{key.text}: {value.text}" for key, value in zip(keys, values, strict=True))
        return Code(f"{{{text}}}", map_of(key_type, value_type), False)

    # -- calls

    def _call(self, call: Call) -> Code:
        overloads = self._functions.overloads(call.name)
        if not overloads:
            raise SqlError(f"no function {call.name}", call.at, near(call.name, self._functions.names()))
        arguments = self._arguments(call, overloads)
        given = [argument.type for argument in arguments]
        best = self._functions.best(call.name, given)
        if best is None:
            raise SqlError(
                f"{call.name} doesn't take ({', '.join(map(str, given))})",
                call.at,
                "it takes " + " or ".join(str(each.signature) for each in overloads),
            )
        function, result = best
        codes = [
            self._argument(function, index, argument, place)
            for index, (argument, place) in enumerate(zip(arguments, call.arguments, strict=True))
        ]
        body = f"{self.named_constant(function.run)}({', '.join(f'{{{index}}}' for index in range(len(codes)))})"
        if function.is_strict:
            return self._guarded(body, codes, result, may_fail=True)
        return Code(body.format(*(code.text for code in codes)), result)

    def _argument(self, function: Function, index: int, code: Code, place: Expr) -> Code:
        """Widened to what the overload declares."""
        parameter = function.signature.parameter(index)
        if parameter is None or parameter.pattern.kind not in ("DOUBLE", "BIGINT") or isinstance(place, Lambda):
            return code
        return self._as(code, parameter.pattern, place.at)

    def _arguments(self, call: Call, overloads: Sequence[Function]) -> list[Code]:
        codes: list[Code] = []
        letters: dict[str, SqlType] = {}
        for index, argument in enumerate(call.arguments):
            if isinstance(argument, Lambda):
                codes.append(self._lambda(call, argument, index, overloads, codes))
                continue
            pattern = overloads[0].signature.parameter(index)
            if pattern is not None and pattern.pattern.kind == "UNIT":
                if not isinstance(argument, Name):
                    raise SqlError("a unit such as DAYS or SECONDS is needed here", argument.at)
                codes.append(Code(repr(argument.name), SqlType("UNIT"), False))
                continue
            codes.append(self._code(argument))
            if pattern is not None:
                bind(pattern.pattern, codes[-1].type, letters)
        return codes

    def _lambda(
        self, call: Call, argument: Lambda, index: int, overloads: Sequence[Function], before: list[Code]
    ) -> Code:
        """A Python lambda; its code's type is what it returns."""
        for function in overloads:
            letters: dict[str, SqlType] = {}
            parameter = function.signature.parameter(index)
            earlier = [
                bind(function.signature.parameters[at].pattern, code.type, letters)
                for at, code in enumerate(before)
                if at < len(function.signature.parameters)
            ]
            if parameter is None or parameter.arguments is None or not all(earlier):
                continue
            if len(parameter.arguments) != len(argument.parameters):
                raise SqlError(f"{call.name} gives its lambda {len(parameter.arguments)} arguments", argument.at)
            names = {name: self._new("p") for name in argument.parameters}
            types = [resolved(each, letters) for each in parameter.arguments]
            codes = {name: Code(names[name], type_) for name, type_ in zip(names, types, strict=True)}
            outer, self._scope = self._scope, _LambdaScope(self._scope, codes)
            try:
                body = self._code(argument.body)
            finally:
                self._scope = outer
            return Code(f"(lambda {', '.join(names.values())}: {body.text})", body.type, False)
        raise SqlError(f"{call.name} takes no lambda here", argument.at)


def tuple_text(texts: Iterable[str]) -> str:
    return "(" + "".join(f"{text}, " for text in texts) + ")"


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


def _cast_hint(given: SqlType, wanted: SqlType) -> str:
    return f"CAST(… AS {wanted})" if cast_of(given, wanted) is not None and given.kind != "NULL" else ""
