"""Regular expressions over topic names, matched in linear time.

A client chooses the pattern and the broker's only loop runs it, so backtracking is out of the question: the pattern is
parsed by Python's own parser, turned into a non-deterministic automaton and run as a deterministic one whose states are
made as they are met. The syntax is what Python and RE2 (which KIP-848 speaks of) have in common: no look-around, no
back references. A name matches as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

MAX_PROGRAM = 5_000
MAX_STATES = 2_000
MAX_PATTERN = 10_000

Accepts = Callable[[str], bool]


class BadPattern(ValueError):
    """The pattern does not parse, is of a kind that has no linear match, or is too large."""


class TopicRegex:
    """One compiled pattern. Raises BadPattern."""

    def __init__(self, pattern: str) -> None:
        if len(pattern) > MAX_PATTERN:
            raise BadPattern(f"the pattern is longer than {MAX_PATTERN} characters")
        try:
            tree = parser.parse(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise BadPattern(str(error)) from None
        self._program: list[tuple[Any, ...]] = []
        self._work = 0
        try:
            self._compile(tree, bool(tree.state.flags & re.IGNORECASE))
        except RecursionError:
            raise BadPattern("the pattern is nested too deeply") from None
        self._emit("match")
        self._steps: dict[tuple[frozenset[int], str], frozenset[int]] = {}
        self._start: dict[str, frozenset[int]] = {}

    def matches(self, name: str) -> bool:
        """Whether the whole name is of the pattern."""
        states = self._follow({0}, is_start=True, is_end=not name)
        last = len(name) - 1
        for index, character in enumerate(name):
            if not states:
                return False
            if index == last:
                states = self._step(states, character, is_end=True)
            else:
                key = (states, character)
                known = self._steps.get(key)
                if known is None:
                    if len(self._steps) >= MAX_STATES:
                        self._steps.clear()
                    known = self._steps[key] = self._step(states, character, is_end=False)
                states = known
        return any(self._program[state][0] == "match" for state in states)

    def _step(self, states: frozenset[int], character: str, *, is_end: bool) -> frozenset[int]:
        program = self._program
        after = {state + 1 for state in states if program[state][0] == "take" and program[state][1](character)}
        return self._follow(after, is_start=False, is_end=is_end)

    def _follow(self, states: set[int], *, is_start: bool, is_end: bool) -> frozenset[int]:
        """These states and all that are reached from them without a character."""
        program, seen, todo = self._program, set[int](), list(states)
        while todo:
            state = todo.pop()
            if state in seen:
                continue
            seen.add(state)
            instruction = program[state]
            if instruction[0] == "fork":
                todo += instruction[1:]
            elif (instruction[0] == "start" and is_start) or (instruction[0] == "end" and is_end):
                todo.append(state + 1)
        return frozenset(seen)

    # -- compiling -----------------------------------------------------------------------------------------------------

    def _emit(self, *instruction: Any) -> int:
        if len(self._program) >= MAX_PROGRAM:
            raise BadPattern("the pattern is too large")
        self._program.append(instruction)
        return len(self._program) - 1

    def _compile(self, tree: Any, folds: bool) -> None:
        self._work += 1
        if self._work > MAX_PROGRAM:  # repeats of what is empty: no program, but no end either
            raise BadPattern("the pattern is too large")
        for operator, argument in tree:
            if operator is sre.SUBPATTERN:
                _, added, removed, inner = argument
                self._compile(inner, (folds or bool(added & re.IGNORECASE)) and not removed & re.IGNORECASE)
            elif operator is sre.BRANCH:
                self._branch(argument[1], folds)
            elif operator is sre.MAX_REPEAT or operator is sre.MIN_REPEAT:
                least, most, inner = argument
                self._repeat(least, most, inner, folds)
            elif operator is sre.AT:
                self._at(argument)
            else:
                self._emit("take", _taker(operator, argument, folds))

    def _branch(self, alternatives: list[Any], folds: bool) -> None:
        exits = []
        for alternative in alternatives[:-1]:
            fork = self._emit("fork")
            self._compile(alternative, folds)
            exits.append(self._emit("fork"))
            self._program[fork] = ("fork", fork + 1, len(self._program))
        self._compile(alternatives[-1], folds)
        for exit_ in exits:
            self._program[exit_] = ("fork", len(self._program))

    def _repeat(self, least: int, most: int, inner: Any, folds: bool) -> None:
        for _ in range(least):
            self._compile(inner, folds)
        if most is sre.MAXREPEAT:
            fork = self._emit("fork")
            self._compile(inner, folds)
            self._emit("fork", fork)
            self._program[fork] = ("fork", fork + 1, len(self._program))
            return
        forks = []
        for _ in range(most - least):
            forks.append(self._emit("fork"))
            self._compile(inner, folds)
        for fork in forks:
            self._program[fork] = ("fork", fork + 1, len(self._program))

    def _at(self, where: Any) -> None:
        if where in (sre.AT_BEGINNING, sre.AT_BEGINNING_STRING):
            self._emit("start")
        elif where in (sre.AT_END, sre.AT_END_STRING):
            self._emit("end")
        else:
            raise BadPattern("word boundaries are not supported")


def _taker(operator: Any, argument: Any, folds: bool) -> Accepts:
    """Which single characters an element takes."""
    if operator is sre.LITERAL:
        return _literal(chr(argument), folds)
    if operator is sre.NOT_LITERAL:
        is_it = _literal(chr(argument), folds)
        return lambda character: not is_it(character)
    if operator is sre.ANY:
        return lambda character: character != "\n"
    if operator is sre.IN:
        return _class(argument, folds)
    raise BadPattern(f"{str(operator).lower()} is not supported")


def _literal(wanted: str, folds: bool) -> Accepts:
    if not folds:
        return lambda character: character == wanted
    lower = wanted.lower()
    return lambda character: character.lower() == lower


def _class(items: list[Any], folds: bool) -> Accepts:
    negates = bool(items) and items[0][0] is sre.NEGATE
    takers = [_class_item(operator, argument) for operator, argument in items[negates:]]

    def accepts(character: str) -> bool:
        forms = {character, character.lower(), character.upper()} if folds else (character,)
        return any(taker(form) for taker in takers for form in forms) != negates

    return accepts


_CATEGORIES: dict[Any, Accepts] = {
    sre.CATEGORY_DIGIT: lambda c: c in "0123456789",
    sre.CATEGORY_NOT_DIGIT: lambda c: c not in "0123456789",
    sre.CATEGORY_SPACE: str.isspace,
    sre.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
    sre.CATEGORY_WORD: lambda c: c == "_" or (c.isascii() and c.isalnum()),
    sre.CATEGORY_NOT_WORD: lambda c: c != "_" and not (c.isascii() and c.isalnum()),
}


def _class_item(operator: Any, argument: Any) -> Accepts:
    if operator is sre.LITERAL:
        return _literal(chr(argument), False)
    if operator is sre.RANGE:
        first, last = map(chr, argument)
        return lambda character: first <= character <= last
    return _CATEGORIES[argument]
