"""What the two compilers share: lines of Python being written, names for helpers, runs of fixed-size fields."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any

from protocol.spec import Field, Struct


class Source:
    """Python text under construction, with the environment that it will run in."""

    def __init__(self) -> None:
        self.environment: dict[str, Any] = {}
        self._lines: list[str] = []
        self._depth = 1
        self._name_count = 0

    def line(self, text: str) -> None:
        self._lines.append("    " * self._depth + text)

    def indent(self) -> None:
        self._depth += 1

    def dedent(self) -> None:
        self._depth -= 1

    def new_name(self, stem: str) -> str:
        """A local variable that nothing else uses."""
        self._name_count += 1
        return f"{stem}{self._name_count}"

    def constant(self, name: str, value: Any) -> str:
        """`name`, under which the generated function finds `value`."""
        self.environment[name] = value
        return name

    def compile(self, signature: str, title: str) -> Callable[..., Any]:
        """The finished function; `title` is its file name in tracebacks."""
        text = f"def {signature}:\n" + "\n".join(self._lines) + "\n"
        exec(compile(text, f"<{title}>", "exec"), self.environment)
        function: Callable[..., Any] = self.environment[signature.partition("(")[0]]
        return function


class PerCount(dict[int, Any]):
    """Bound struct methods for arrays of n equal numbers, by n. Long ones are not kept: a peer chooses n."""

    def __init__(self, code: str, method: str):
        super().__init__()
        self._code = code
        self._method = method

    def __missing__(self, count: int) -> Any:
        method = getattr(struct.Struct(f">{count}{self._code}"), self._method)
        if count <= 256:
            self[count] = method
        return method


@functools.cache
def array_method(code: str, method: str) -> PerCount:
    """`array_method("i", "pack")[3](1, 2, 3)`, shared by all messages."""
    return PerCount(code, method)


@functools.cache
def fixed_run(codes: str) -> struct.Struct:
    """One struct for adjacent fixed-size fields, shared by all messages."""
    return struct.Struct(">" + codes)


def split_fields(cls: type[Struct], version: int, flexible: bool) -> tuple[list[Field], list[Field], list[Field]]:
    """(in their order on the wire, tagged, absent in this version)."""
    plain, tagged, absent = [], [], []
    for each in cls.schema.fields:
        if version not in each.versions:
            absent.append(each)
        elif each.tag is None:
            plain.append(each)
        elif flexible:
            tagged.append(each)
        else:
            absent.append(each)
    return plain, sorted(tagged, key=lambda each: each.tag or 0), absent
