"""Calls of functions: the overload is chosen by the arguments' types, lambdas get theirs from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from streams.sql.code import Code
from streams.sql.errors import SqlError, near
from streams.sql.functions.registry import Function
from streams.sql.functions.signatures import bind, resolved
from streams.sql.functions.times import UNITS
from streams.sql.syntax import Call, Expr, Lambda, Literal
from streams.sql.types import SqlType

if TYPE_CHECKING:
    from streams.sql.compiler import Compiler


class Calls:
    """The part of a compiler that knows of functions."""

    def __init__(self, compiler: Compiler) -> None:
        self._compiler = compiler

    def code(self, call: Call) -> Code:
        overloads = self._compiler.functions.overloads(call.name)
        if not overloads:
            raise SqlError(f"no function {call.name}", call.at, near(call.name, self._compiler.functions.names()))
        arguments = self._arguments(call, overloads)
        given = [argument.type for argument in arguments]
        best = self._compiler.functions.best(call.name, given)
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
        places = ", ".join(f"{{{index}}}" for index in range(len(codes)))
        body = f"{self._compiler.named_constant(function.run)}({places})"
        if function.is_strict:
            return self._compiler.guarded(body, codes, result, may_fail=True)
        return Code(body.format(*(code.text for code in codes)), result)

    def _argument(self, function: Function, index: int, code: Code, place: Expr) -> Code:
        """Widened to what the overload declares."""
        parameter = function.signature.parameter(index)
        if parameter is None or parameter.pattern.kind not in ("DOUBLE", "BIGINT") or isinstance(place, Lambda):
            return code
        return self._compiler.as_type(code, parameter.pattern, place.at)

    def _arguments(self, call: Call, overloads: Sequence[Function]) -> list[Code]:
        codes: list[Code] = []
        letters: dict[str, SqlType] = {}
        for index, argument in enumerate(call.arguments):
            if isinstance(argument, Lambda):
                codes.append(self._lambda(call, argument, index, overloads, codes))
                continue
            pattern = overloads[0].signature.parameter(index)
            if pattern is not None and pattern.pattern.kind == "UNIT":
                if not isinstance(argument, Literal) or argument.value not in UNITS:
                    hint = near(str(argument.value), UNITS) if isinstance(argument, Literal) else ""
                    raise SqlError("a unit such as DAYS or SECONDS is needed here", argument.at, hint)
                codes.append(Code(repr(argument.value), SqlType("UNIT"), False))
                continue
            codes.append(self._compiler.code(argument))
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
            names = {name: self._compiler.new_name("p") for name in argument.parameters}
            types = [resolved(each, letters) for each in parameter.arguments]
            codes = {name: Code(names[name], type_) for name, type_ in zip(names, types, strict=True)}
            body = self._compiler.within(codes, argument.body)
            return Code(f"(lambda {', '.join(names.values())}: {body.text})", body.type, False)
        raise SqlError(f"{call.name} takes no lambda here", argument.at)
