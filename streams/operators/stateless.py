"""Steps that look at one record at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streams.engine.operator import NodeContext, Operator, Process
from streams.errors import StreamsError
from streams.functions import takes_key
from streams.records import Headers


class Filter(Operator):
    """Passes on what `predicate` says; `negated` passes the rest."""

    def __init__(self, predicate: Callable[..., Any], *, negated: bool = False) -> None:
        self.predicate = predicate
        self.negated = negated

    def bind(self, node: NodeContext, forward: Process) -> Process:
        test, unwanted, with_key = self.predicate, self.negated, takes_key(self.predicate)

        def filter_by_value(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            if bool(test(value)) is not unwanted:
                forward(key, value, timestamp, headers)

        def filter_by_both(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            if bool(test(key, value)) is not unwanted:
                forward(key, value, timestamp, headers)

        return filter_by_both if with_key else filter_by_value


class PassThrough(Operator):
    """Passes everything on: merges, branches and the filters of repartitions that keep null keys."""

    def bind(self, node: NodeContext, forward: Process) -> Process:
        return forward


class DropNullKeys(Operator):
    """Before a repartition that only feeds joins which ignore null keys."""

    def bind(self, node: NodeContext, forward: Process) -> Process:
        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is not None:
                forward(key, value, timestamp, headers)

        return process


class Map(Operator):
    """`mapper(key, value)` gives the new (key, value)."""

    def __init__(self, mapper: Callable[[Any, Any], tuple[Any, Any]]) -> None:
        self.mapper = mapper

    def bind(self, node: NodeContext, forward: Process) -> Process:
        mapper = self.mapper

        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            new_key, new_value = mapper(key, value)
            forward(new_key, new_value, timestamp, headers)

        return process


class SelectKey(Operator):
    """`selector` gives the new key from the value, or from key and value."""

    def __init__(self, selector: Callable[..., Any]) -> None:
        self.selector = selector

    def bind(self, node: NodeContext, forward: Process) -> Process:
        select, with_key = self.selector, takes_key(self.selector)

        def by_value(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            forward(select(value), value, timestamp, headers)

        def by_both(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            forward(select(key, value), value, timestamp, headers)

        return by_both if with_key else by_value


class MapValues(Operator):
    """`mapper` gives the new value."""

    def __init__(self, mapper: Callable[..., Any]) -> None:
        self.mapper = mapper

    def bind(self, node: NodeContext, forward: Process) -> Process:
        mapper, with_key = self.mapper, takes_key(self.mapper)

        def by_value(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            forward(key, mapper(value), timestamp, headers)

        def by_both(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            forward(key, mapper(key, value), timestamp, headers)

        return by_both if with_key else by_value


class FlatMap(Operator):
    """`mapper(key, value)` gives any number of (key, value) pairs."""

    def __init__(self, mapper: Callable[[Any, Any], Any]) -> None:
        self.mapper = mapper

    def bind(self, node: NodeContext, forward: Process) -> Process:
        mapper = self.mapper

        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            for new_key, new_value in mapper(key, value):
                forward(new_key, new_value, timestamp, headers)

        return process


class FlatMapValues(Operator):
    """`mapper` gives any number of values for the same key."""

    def __init__(self, mapper: Callable[..., Any]) -> None:
        self.mapper = mapper

    def bind(self, node: NodeContext, forward: Process) -> Process:
        mapper, with_key = self.mapper, takes_key(self.mapper)

        def by_value(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            for new_value in mapper(value):
                forward(key, new_value, timestamp, headers)

        def by_both(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            for new_value in mapper(key, value):
                forward(key, new_value, timestamp, headers)

        return by_both if with_key else by_value


class Peek(Operator):
    """Shows each record to `action`; `is_last` passes nothing on."""

    def __init__(self, action: Callable[..., Any], *, is_last: bool = False) -> None:
        self.action = action
        self.is_last = is_last

    def bind(self, node: NodeContext, forward: Process) -> Process:
        action, with_key, is_last = self.action, takes_key(self.action), self.is_last

        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            if with_key:
                action(key, value)
            else:
                action(value)
            if not is_last:
                forward(key, value, timestamp, headers)

        return process


class Branch(Operator):
    """Sends each record to the child of the first predicate that holds, or to the default child, if there is one."""

    def __init__(self, predicates: Sequence[Callable[..., Any]], children: Sequence[str]) -> None:
        self.predicates = predicates
        self.children = children

    def bind(self, node: NodeContext, forward: Process) -> Process:
        targets = [node.children[name] for name in self.children]
        tests = [(test, takes_key(test), target) for test, target in zip(self.predicates, targets, strict=False)]
        default = targets[len(tests)] if len(targets) > len(tests) else None

        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            for test, with_key, target in tests:
                if test(key, value) if with_key else test(value):
                    target(key, value, timestamp, headers)
                    return
            if default is not None:
                default(key, value, timestamp, headers)

        return process


class ToStream(Operator):
    """From a table's changes to the new values."""

    def bind(self, node: NodeContext, forward: Process) -> Process:
        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            forward(key, value[0], timestamp, headers)

        return process


def not_a_table(name: str) -> StreamsError:
    return StreamsError(f"{name} is no table: rows can't be looked up")
