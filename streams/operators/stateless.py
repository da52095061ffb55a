"""Steps that look at one record at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, compress, repeat
from typing import Any

from streams.engine.batch import BatchProcess, Columns
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

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        test, unwanted, with_key = self.predicate, self.negated, takes_key(self.predicate)

        def run(batch: Columns, _node: str = node.name) -> None:
            answers = map(test, batch.keys, batch.values) if with_key else map(test, batch.values)
            wanted = [bool(answer) is not unwanted for answer in answers]
            forward(kept(batch, wanted))

        return run


class PassThrough(Operator):
    """Passes everything on: merges, branches and the filters of repartitions that keep null keys."""

    def bind(self, node: NodeContext, forward: Process) -> Process:
        return forward

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        return forward


class DropNullKeys(Operator):
    """Before a repartition that only feeds joins which ignore null keys."""

    def bind(self, node: NodeContext, forward: Process) -> Process:
        def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            if key is not None:
                forward(key, value, timestamp, headers)

        return process

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        def run(batch: Columns) -> None:
            forward(kept(batch, [key is not None for key in batch.keys]) if None in batch.keys else batch)

        return run


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

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        mapper = self.mapper

        def run(batch: Columns, _node: str = node.name) -> None:
            pairs = [(key, value) for key, value in map(mapper, batch.keys, batch.values)]
            keys, values = [key for key, _ in pairs], [value for _, value in pairs]
            forward(Columns(keys, values, batch.timestamps, batch.headers))

        return run


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

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        select, with_key = self.selector, takes_key(self.selector)

        def run(batch: Columns, _node: str = node.name) -> None:
            keys = list(map(select, batch.keys, batch.values) if with_key else map(select, batch.values))
            forward(batch._replace(keys=keys))

        return run


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

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        mapper, with_key = self.mapper, takes_key(self.mapper)

        def run(batch: Columns, _node: str = node.name) -> None:
            values = list(map(mapper, batch.keys, batch.values) if with_key else map(mapper, batch.values))
            forward(batch._replace(values=values))

        return run


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

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        mapper = self.mapper

        def run(batch: Columns, _node: str = node.name) -> None:
            found = [list(pairs) for pairs in map(mapper, batch.keys, batch.values)]
            counts = list(map(len, found))
            pairs = [(key, value) for key, value in chain.from_iterable(found)]
            keys, values = [key for key, _ in pairs], [value for _, value in pairs]
            forward(Columns(keys, values, repeated(batch.timestamps, counts), repeated(batch.headers, counts)))

        return run


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

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        mapper, with_key = self.mapper, takes_key(self.mapper)

        def run(batch: Columns, _node: str = node.name) -> None:
            answers = map(mapper, batch.keys, batch.values) if with_key else map(mapper, batch.values)
            found = [answer if type(answer) is list else list(answer) for answer in answers]
            counts, values = list(map(len, found)), list(chain.from_iterable(found))
            columns = [repeated(column, counts) for column in (batch.keys, batch.timestamps, batch.headers)]
            forward(Columns(columns[0], values, columns[1], columns[2]))

        return run


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

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        def run(batch: Columns) -> None:
            forward(batch._replace(values=[change[0] for change in batch.values]))

        return run


def kept(batch: Columns, wanted: Sequence[bool]) -> Columns:
    """The records that are wanted."""
    return Columns(*(list(compress(column, wanted)) for column in batch))


def repeated(column: Sequence[Any], counts: Sequence[int]) -> Sequence[Any]:
    """Each item as often as its count says."""
    if len(counts) == sum(counts) and all(counts):
        return column
    return list(chain.from_iterable(map(repeat, column, counts)))


def not_a_table(name: str) -> StreamsError:
    return StreamsError(f"{name} is no table: rows can't be looked up")
