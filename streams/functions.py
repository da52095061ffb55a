"""How many arguments a user's function wants, so that `lambda v: …` and `lambda k, v: …` both work."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def positional_count(function: Callable[..., Any], default: int) -> int:
    """Required positional parameters; `default` where Python can't tell (some builtins)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return default
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return max(default, len(required))
    return len(required) if required else min(len(positional), default)


def takes_key(function: Callable[..., Any]) -> bool:
    """Whether a function of a value also wants the key, first."""
    return positional_count(function, 1) >= 2


def joiner_with_key(joiner: Callable[..., Any]) -> Callable[[Any, Any, Any], Any]:
    """Any joiner as one of (key, left, right)."""
    if positional_count(joiner, 2) >= 3:
        return joiner
    return lambda _key, left, right: joiner(left, right)


def reversed_joiner(joiner: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    """A (key, left, right) joiner seen from the right side."""
    return lambda key, right, left: joiner(key, left, right)


def reversed_table_joiner(joiner: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A (left, right) joiner seen from the right side."""
    return lambda right, left: joiner(left, right)
