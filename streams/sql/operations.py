"""What operators do with compiled operands: three-valued logic, comparisons, arithmetic, `||`."""

from __future__ import annotations

from streams.sql.assembler import Assembler, cast_hint
from streams.sql.casts import cast_of
from streams.sql.code import PSEUDO, Code
from streams.sql.errors import Span, SqlError
from streams.sql.operators import arithmetic_type, int_divide, remainder
from streams.sql.syntax import Expr, Literal, Name
from streams.sql.types import BOOLEAN, DOUBLE, STRING, TIMESTAMP, SqlType, common


class Operations(Assembler):
    """`operands` are the expressions that the codes come from, for the places of errors."""

    def logic(self, operator: str, codes: list[Code]) -> Code:
        if operator == "NOT":
            return self.guarded("not {0}", codes, BOOLEAN)
        left, right = codes
        if not left.is_nullable and not right.is_nullable:
            return Code(f"({left.text} {operator.lower()} {right.text})", BOOLEAN, False)
        decides = "False" if operator == "AND" else "True"
        one, other = self.new_name("t"), self.new_name("t")
        rest = f"({other} if ({other} := {right.text}) is {decides} or {one} is not None else None)"
        return Code(f"({decides} if ({one} := {left.text}) is {decides} else {rest})", BOOLEAN)

    def comparable(
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
            hint = cast_hint(right.type, left.type)
            raise SqlError(f"{left.type} can't be compared with {right.type}", at, hint)
        if both.is_nested and operator not in ("=", "<>", "DISTINCT"):
            raise SqlError(f"{both} has no order", at)
        if both.kind == "DOUBLE":
            return tuple(  # type: ignore[return-value]
                self.as_type(each, DOUBLE, at) if each.type.kind == "DECIMAL" else each for each in (left, right)
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
        return self.converted(code, wanted, expression.at)

    def joined(self, left: Code, right: Code, operands: tuple[Expr, ...]) -> Code:
        for code, operand in zip((left, right), operands, strict=True):
            if code.type.kind not in ("STRING", "NULL"):
                raise SqlError(f"|| joins strings, this is {code.type}", operand.at, cast_hint(code.type, STRING))
        return self.guarded("{0} + {1}", [left, right], STRING)

    def arithmetic(self, operator: str, left: Code, right: Code, operands: tuple[Expr, ...], at: Span) -> Code:
        for code, operand in zip((left, right), operands, strict=True):
            if not code.type.is_number and code.type.kind != "NULL":
                hint = "|| joins strings" if operator == "+" and code.type.kind == "STRING" else ""
                raise SqlError(f"{operator} needs numbers, this is {code.type}", operand.at, hint)
        type_ = arithmetic_type(operator, left.type, right.type)
        if type_.kind == "DOUBLE":
            left, right = (self.as_type(c, DOUBLE, at) if c.type.kind == "DECIMAL" else c for c in (left, right))
        if type_.kind in ("INTEGER", "BIGINT") and operator in "/%":
            run = self.named_constant(int_divide if operator == "/" else remainder)
            return self.guarded(f"{run}({{0}}, {{1}})", [left, right], type_)
        if operator == "%":
            return self.guarded(f"{self.named_constant(remainder)}({{0}}, {{1}})", [left, right], type_)
        if type_.kind == "DECIMAL":
            return self.guarded(f"to_decimal({{0}} {operator} {{1}}, {type_.size})", [left, right], type_)
        return self.guarded(f"{{0}} {operator} {{1}}", [left, right], type_)
