"""A stream enriched from a table: by key, by a selected key from a global table, or as of the record's own time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streams.engine.operator import NodeContext, Operator, Process, StoreView, TableOperator, ValueGetter
from streams.errors import TopologyError
from streams.functions import takes_key
from streams.records import Headers
from streams.stores.builder import StoreBuilder
from streams.stores.join_buffers import StreamBuffer


class StreamTableJoin(Operator):
    """`joiner(key, value, row)`. Only the stream triggers output. A versioned table is read as of the record's time.

    With a `buffer`, records wait there for its grace, so that late rows of a versioned table are seen.
    """

    def __init__(
        self,
        table: TableOperator | str,
        joiner: Callable[[Any, Any, Any], Any],
        *,
        is_left: bool,
        key_selector: Callable[..., Any] | None = None,
        buffer: StoreBuilder | None = None,
    ) -> None:
        self._table = table
        self._joiner = joiner
        self._is_left = is_left
        self._key_selector = key_selector
        self._buffer = buffer

    @property
    def stores(self) -> Sequence[StoreBuilder]:
        return () if self._buffer is None else (self._buffer,)

    def _view(self, node: NodeContext) -> ValueGetter:
        if isinstance(self._table, str):
            return StoreView(node.store(self._table))
        return self._table.view(node)

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, join, is_left = node.task, self._joiner, self._is_left
        view = self._view(node)
        look_up, look_up_as_of, is_versioned = view.get, view.get_as_of, view.is_versioned
        select = self._select()

        def join_now(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            table_key = key if select is None else select(key, value)
            if table_key is None:
                row = None
            else:
                row = look_up_as_of(table_key, timestamp) if is_versioned else look_up(table_key)
            row_value = None if row is None else row[0]
            if is_left or row_value is not None:
                forward(key, join(key, value, row_value), timestamp, headers)

        join_later: Process = join_now
        if self._buffer is not None:
            if not is_versioned:
                raise TopologyError(f"{node.name}: a table must be versioned for a stream to wait for it")
            join_later = _join_after_grace(node, node.store(self._buffer.name), join_now)

        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            table_key = key if select is None else select(key, value)
            if value is None or (table_key is None and not is_left):
                task.dropped_records += 1
                return
            join_later(key, value, timestamp, headers)

        return process

    def _select(self) -> Callable[[Any, Any], Any] | None:
        selector = self._key_selector
        if selector is None or takes_key(selector):
            return selector
        return lambda _key, value: selector(value)


def _join_after_grace(node: NodeContext, buffer: StreamBuffer, join_now: Process) -> Process:
    task = node.task

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if not buffer.put(key, value, task.origin(timestamp, headers)):
            join_now(key, value, timestamp, headers)
            return
        here = task.topic, task.partition, task.offset, task.timestamp
        for waited_key, waited_value, origin in buffer.evict():
            task.topic, task.partition, task.offset = origin.topic, origin.partition, origin.offset
            join_now(waited_key, waited_value, origin.timestamp, origin.headers)
        task.topic, task.partition, task.offset, task.timestamp = here

    return process
