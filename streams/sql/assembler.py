"""Pieces of compiled text put together: NULL in, NULL out; types widened; functions made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streams.sql.casts import cast_of
from streams.sql.code import Code, Counted, Environment, Evaluated, Row, tuple_text
from streams.sql.errors import Span, SqlError
from streams.sql.types import SqlType, fits


class Assembler:
    """Those of one statement share its environment."""

    def __init__(self, environment: Environment | None = None) -> None:
        self._environment = Environment() if environment is None else environment

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

    def new_name(self, prefix: str) -> str:
        return self._environment.new_name(prefix)

    def named_constant(self, value: Any) -> str:
        """A name for it in the compiled text."""
        name = self.new_name("c")
        self._environment[name] = value
        return name

    def define(self, name: str, value: Any) -> None:
        """Something that compiled text calls by name."""
        self._environment[name] = value

    def guarded(self, template: str, operands: Sequence[Code], type_: SqlType, *, may_fail: bool = False) -> Code:
        """`template` with {0}, {1}, … filled in, NULL as soon as one of them is."""
        tests, names = [], []
        for operand in operands:
            if operand.is_nullable:
                name = self.new_name("t")
                tests.append(f"({name} := {operand.text}) is None")
                names.append(name)
            else:
                names.append(operand.text)
        body = template.format(*names)
        nullable = bool(tests) or may_fail
        return Code(f"(None if {' or '.join(tests)} else {body})" if tests else f"({body})", type_, nullable)

    def as_type(self, code: Code, wanted: SqlType, at: Span) -> Code:
        """`code` where `wanted` is expected: widened if need be."""
        given = code.type
        if given == wanted:
            return code
        if given.kind == "NULL":
            return Code(code.text, wanted)
        if not fits(given, wanted):
            if given.kind == "STRING" and wanted.is_time:
                return self.converted(code, wanted, at)
            raise SqlError(f"{wanted} is needed here, this is {given}", at, cast_hint(given, wanted))
        if wanted.kind == "DOUBLE":
            return self.guarded("float({0})", [code], wanted)
        if wanted.kind == "DECIMAL":
            return self.guarded(f"to_decimal({{0}}, {wanted.size})", [code], wanted)
        if wanted.kind in ("ARRAY", "MAP"):
            return self.converted(code, wanted, at)
        return Code(code.text, wanted, code.is_nullable)

    def converted(self, code: Code, wanted: SqlType, at: Span) -> Code:
        convert = cast_of(code.type, wanted)
        if convert is None:
            raise SqlError(f"{code.type} can't be cast to {wanted}", at)
        is_text = code.type.kind == "STRING"
        return self.guarded(f"{self.named_constant(convert)}({{0}})", [code], wanted, may_fail=is_text)


def cast_hint(given: SqlType, wanted: SqlType) -> str:
    return f"CAST(… AS {wanted})" if cast_of(given, wanted) is not None and given.kind != "NULL" else ""
