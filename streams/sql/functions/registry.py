"""The functions that expressions may call, by name, with their overloads; and `@udf` for those written in Python."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from streams.sql.errors import SqlError
from streams.sql.functions.signatures import Signature, bind, parse_signature, resolved, score
from streams.sql.types import BIGINT, BOOLEAN, BYTES, DOUBLE, STRING, SqlType, array_of, map_of


@dataclass(frozen=True, slots=True)
class Function:
    """One overload. A strict function is never called with NULL: it gives NULL then. `run` gets Python values."""

    name: str
    signature: Signature
    run: Callable[..., Any]
    is_strict: bool = True
    describes: str = ""
    is_yours: bool = False
    exact: Callable[[Sequence[SqlType]], SqlType] | None = None
    """Gives the result's type where a signature can't say it, from the arguments' types."""

    def result_of(self, given: Sequence[SqlType]) -> SqlType | None:
        """The type it gives for these arguments; None when they don't fit. Lambdas are given as what they return."""
        if not self.signature.takes(len(given)):
            return None
        letters: dict[str, SqlType] = {}
        for index, type_ in enumerate(given):
            parameter = self.signature.parameter(index)
            if parameter is None or not bind(parameter.pattern, type_, letters):
                return None
        return self.exact(given) if self.exact is not None else resolved(self.signature.result, letters)


class Registry:
    """Built-in functions, and beside them those of one engine."""

    def __init__(self, base: Registry | None = None) -> None:
        self._base = base
        self._own: dict[str, list[Function]] = {}

    def add(self, function: Function) -> None:
        self._own.setdefault(function.name, []).append(function)

    def replace(self, function: Function) -> None:
        """As `add`, taking the place of overloads added here before."""
        self._own[function.name] = [function]

    def own_names(self) -> set[str]:
        return set(self._own)

    def overloads(self, name: str) -> list[Function]:
        found = self._own.get(name)
        return found if found is not None else self._base.overloads(name) if self._base is not None else []

    def names(self) -> list[str]:
        return sorted({*self._own, *(self._base.names() if self._base is not None else ())})

    def best(self, name: str, given: Sequence[SqlType]) -> tuple[Function, SqlType] | None:
        """The overload that fits with the least widening, and the type it gives."""
        fitting = list[tuple[int, int, Function, SqlType]]()
        for function in self.overloads(name):
            result = function.result_of(given)
            if result is not None:
                fitting.append((score(function.signature, given), len(fitting), function, result))
        if not fitting:
            return None
        _, _, function, result = min(fitting, key=lambda entry: entry[:2])
        return function, result


BUILT_IN = Registry()
_YOURS: dict[str, Function] = {}
"""Functions marked with `@udf`: every engine knows them."""


def function(
    name: str,
    signature: str,
    describes: str = "",
    *,
    is_strict: bool = True,
    exact: Callable[[Sequence[SqlType]], SqlType] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add a built-in overload; several signatures are separated by semicolons."""

    def register(run: Callable[..., Any]) -> Callable[..., Any]:
        for each in signature.split(";"):
            BUILT_IN.add(Function(name, parse_signature(each), run, is_strict, describes, exact=exact))
        return run

    return register


def function_of(run: Callable[..., Any], name: str | None, signature: str | None, is_strict: bool) -> Function:
    """A Python function as one that SQL can call; its signature from its annotations unless given.

    Raises SqlError when the annotations don't say enough.
    """
    chosen = (name or run.__name__).upper()
    described = (inspect.getdoc(run) or "").split("\n")[0]
    parsed = parse_signature(signature) if signature is not None else _annotated(run, chosen)
    return Function(chosen, parsed, run, is_strict, described, is_yours=True)


def udf(
    run: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    signature: str | None = None,
    is_strict: bool = True,
) -> Any:
    """Mark a Python function for every engine: `@udf`, or `@udf(signature="STRING, [INTEGER] -> STRING")`.

    Without a signature its annotations count: int is BIGINT, float DOUBLE, str STRING, bool BOOLEAN, bytes BYTES,
    list[…] ARRAY and dict[…] MAP.
    """

    def mark(function: Callable[..., Any]) -> Callable[..., Any]:
        made = function_of(function, name, signature, is_strict)
        _YOURS[made.name] = made
        return function

    return mark if run is None else mark(run)


def marked_functions() -> list[Function]:
    return list(_YOURS.values())


_PYTHON: dict[Any, SqlType] = {int: BIGINT, float: DOUBLE, str: STRING, bool: BOOLEAN, bytes: BYTES}


def _annotated(run: Callable[..., Any], name: str) -> Signature:
    from streams.sql.functions.signatures import Parameter

    hints = typing.get_type_hints(run)
    parameters = []
    for parameter in inspect.signature(run).parameters.values():
        type_ = _type_of(hints.get(parameter.name), f"{name}: parameter {parameter.name}")
        repeated = parameter.kind is parameter.VAR_POSITIONAL
        optional = parameter.default is not parameter.empty and not repeated
        parameters.append(Parameter(type_, optional, repeated))
    return Signature(tuple(parameters), _type_of(hints.get("return"), f"{name}: the result"))


def _type_of(hint: Any, whose: str) -> SqlType:
    if hint in _PYTHON:
        return _PYTHON[hint]
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is list:
        return array_of(_type_of(inner[0], whose))
    if origin is dict:
        return map_of(_type_of(inner[0], whose), _type_of(inner[1], whose))
    some = [each for each in inner if each is not type(None)]
    if len(some) == 1 and len(inner) == 2:  # T | None
        return _type_of(some[0], whose)
    raise SqlError(f"{whose} has no annotation that SQL knows", hint="annotate it, or give a signature")
