"""`STRING, INTEGER, [INTEGER] -> STRING`: what a function takes and gives, and whether given types fit.

T, K, V and U stand for any type, N for any number; the same letter is the same type throughout. `[…]` may be left out,
`T...` may be repeated, ANY takes anything. A `(T) => U` parameter is a lambda.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from streams.sql.errors import SqlError
from streams.sql.types import NAMED, SqlType, array_of, common, decimal_of, fits, map_of

_LETTERS = ("T", "K", "V", "U", "N")
_TOKEN = re.compile(r"\s*(=>|->|\.\.\.|[A-Z_]+|[<>(),\[\]])")


@dataclass(frozen=True, slots=True)
class Parameter:
    """`pattern` is what it takes; for a lambda what the lambda gives, its `arguments` what the lambda is given."""

    pattern: SqlType
    is_optional: bool = False
    is_repeated: bool = False
    arguments: tuple[SqlType, ...] | None = None

    def __str__(self) -> str:
        text = str(self.pattern)
        if self.arguments is not None:
            text = f"({', '.join(map(str, self.arguments))}) => {text}"
        return f"[{text}]" if self.is_optional else text + "..." * self.is_repeated


@dataclass(frozen=True, slots=True)
class Signature:
    parameters: tuple[Parameter, ...]
    result: SqlType

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.parameters))}) -> {self.result}"

    def parameter(self, index: int) -> Parameter | None:
        """The one that takes argument `index`, if any does."""
        if index < len(self.parameters):
            return self.parameters[index]
        last = self.parameters[-1] if self.parameters else None
        return last if last is not None and last.is_repeated else None

    def takes(self, count: int) -> bool:
        least = sum(not each.is_optional and not each.is_repeated for each in self.parameters)
        return count >= least and (count == 0 or self.parameter(count - 1) is not None)


def bind(pattern: SqlType, given: SqlType, letters: dict[str, SqlType]) -> bool:
    """Whether `given` fits, remembering in `letters` what each letter stands for."""
    if pattern.kind == "ANY":
        return True
    if pattern.kind in _LETTERS:
        if pattern.kind == "N" and not (given.is_number or given.kind == "NULL"):
            return False
        both = common(letters[pattern.kind], given) if pattern.kind in letters else given
        if both is not None:
            letters[pattern.kind] = both
        return both is not None
    if given.kind == "NULL":
        return True
    if pattern.kind == given.kind == "DECIMAL":
        return True
    if pattern.items and pattern.kind == given.kind:
        return all(bind(inner, each, letters) for inner, each in zip(pattern.items, given.items, strict=True))
    return fits(given, pattern)


def resolved(pattern: SqlType, letters: dict[str, SqlType]) -> SqlType:
    """`pattern` with its letters filled in."""
    if pattern.kind in _LETTERS:
        return letters.get(pattern.kind, SqlType("NULL"))
    if not pattern.items:
        return pattern
    return SqlType(pattern.kind, tuple(resolved(inner, letters) for inner in pattern.items), pattern.names)


def score(signature: Signature, given: Sequence[SqlType]) -> int:
    """How much widening it takes to call it: the overload with the least is meant."""
    total = 0
    for index, type_ in enumerate(given):
        parameter = signature.parameter(index)
        if parameter is not None and parameter.pattern != type_:
            total += 1 + (parameter.pattern.kind in ("DOUBLE", "ANY")) + (type_.kind == "NULL")
    return total


def parse_signature(text: str) -> Signature:
    """Raises SqlError for a signature that makes no sense."""
    return _Parser(text).signature()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _TOKEN.findall(text.upper())
        self._at = 0

    def signature(self) -> Signature:
        parameters = []
        if not self._take("->"):
            while True:
                parameters.append(self._parameter())
                if not self._take(","):
                    break
            self._expect("->")
        return Signature(tuple(parameters), self._type())

    def _parameter(self) -> Parameter:
        if self._take("["):
            pattern = self._type()
            self._expect("]")
            return Parameter(pattern, is_optional=True)
        if self._take("("):
            arguments = [self._type()]
            while self._take(","):
                arguments.append(self._type())
            self._expect(")")
            self._expect("=>")
            return Parameter(self._type(), arguments=tuple(arguments))
        return Parameter(self._type(), is_repeated=False) if not self._is_repeated() else self._repeated()

    def _is_repeated(self) -> bool:
        return self._at + 1 < len(self._tokens) and self._tokens[self._at + 1] == "..."

    def _repeated(self) -> Parameter:
        pattern = self._type()
        self._expect("...")
        return Parameter(pattern, is_repeated=True)

    def _type(self) -> SqlType:
        name = self._tokens[self._at] if self._at < len(self._tokens) else ""
        self._at += 1
        if name in ("ARRAY", "MAP"):
            self._expect("<")
            first = self._type()
            if name == "ARRAY":
                self._expect(">")
                return array_of(first)
            self._expect(",")
            second = self._type()
            self._expect(">")
            return map_of(first, second)
        if name in _LETTERS or name in ("ANY", "UNIT"):
            return SqlType(name)
        if name == "DECIMAL":
            return decimal_of(38, 10)
        if name not in NAMED:
            raise SqlError(f"signature {self._text!r}: no type {name or 'at its end'}")
        return NAMED[name]

    def _take(self, symbol: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == symbol:
            self._at += 1
            return True
        return False

    def _expect(self, symbol: str) -> None:
        if not self._take(symbol):
            raise SqlError(f"signature {self._text!r}: {symbol} is missing")
