"""Tables that are grouped anew, and their aggregations: what leaves a group is subtracted, what enters it is added."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.engine.operator import Change, NodeContext, Process, StoreView, TableOperator, ValueGetter, row_writer
from streams.errors import StreamsError
from streams.operators.aggregate import StoredTable
from streams.records import NO_TIMESTAMP, Headers
from streams.stores.builder import StoreBuilder
from streams.stores.versioned import IS_LATEST, NOT_PUT


class Regroup(TableOperator):
    """`table.group_by`: each change leaves its old group and enters its new one, as one record if they are the same."""

    def __init__(self, parent: TableOperator, selector: Callable[[Any, Any], tuple[Any, Any]]) -> None:
        self._parent = parent
        self._selector = selector
        self.uses_versioned_semantics = False

    def enable_sending_old_values(self, force_materialization: bool) -> bool:
        raise StreamsError("a regrouped table always sends old values")

    @property
    def view_store_names(self) -> list[str]:
        raise StreamsError("a regrouped table can't be looked up")

    def view(self, node: NodeContext) -> ValueGetter:
        raise StreamsError("a regrouped table can't be looked up")

    def bind(self, node: NodeContext, forward: Process) -> Process:
        select, versioned = self._selector, self.uses_versioned_semantics

        def process(key: Any, change: Change, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            if key is None:
                raise StreamsError("a table that is grouped can't have null keys")
            new, old, is_latest = change
            if versioned and not is_latest:
                return
            new_pair = None if new is None else select(key, new)
            old_pair = None if old is None else select(key, old)
            has_new = new_pair is not None and new_pair[0] is not None and new_pair[1] is not None
            has_old = old_pair is not None and old_pair[0] is not None and old_pair[1] is not None
            if has_new and has_old and new_pair is not None and old_pair is not None and old_pair[0] == new_pair[0]:
                forward(old_pair[0], (new_pair[1], old_pair[1], is_latest), timestamp, headers)
                return
            if has_old and old_pair is not None:
                forward(old_pair[0], (None, old_pair[1], is_latest), timestamp, headers)
            if has_new and new_pair is not None:
                forward(new_pair[0], (new_pair[1], None, is_latest), timestamp, headers)

        return process


class TableAggregate(StoredTable):
    """Aggregation of a regrouped table: the old value is subtracted, then the new one added."""

    def __init__(
        self,
        store: StoreBuilder,
        initializer: Callable[[], Any],
        adder: Callable[[Any, Any, Any], Any],
        subtractor: Callable[[Any, Any, Any], Any],
    ) -> None:
        super().__init__(store)
        self._initializer = initializer
        self._adder = adder
        self._subtractor = subtractor

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, store, with_old = node.task, node.store(self.store.name), self.sends_old_values
        get, put = StoreView(store).get, row_writer(store)
        initialize, add, subtract = self._initializer, self._adder, self._subtractor

        def process(key: Any, change: Change, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            if key is None:
                raise StreamsError("a grouped table can't have null keys")
            row = get(key)
            old, old_timestamp = (None, NO_TIMESTAMP) if row is None else row
            aggregate, new_timestamp = old, timestamp
            if change[1] is not None and old is not None:
                aggregate = subtract(key, change[1], old)
                new_timestamp = max(timestamp, old_timestamp)
            if change[0] is not None:
                aggregate = add(key, change[0], initialize() if aggregate is None else aggregate)
                new_timestamp = max(timestamp, old_timestamp)
            task.timestamp = timestamp
            valid_to = put(key, aggregate, new_timestamp)
            if valid_to != NOT_PUT:
                forward(key, (aggregate, old if with_old else None, valid_to == IS_LATEST), new_timestamp, headers)

        return process


class TableReduce(StoredTable):
    """As TableAggregate, with the first value of a group as its first aggregate."""

    def __init__(
        self, store: StoreBuilder, adder: Callable[[Any, Any], Any], subtractor: Callable[[Any, Any], Any]
    ) -> None:
        super().__init__(store)
        self._adder = adder
        self._subtractor = subtractor

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, store, with_old = node.task, node.store(self.store.name), self.sends_old_values
        get, put, add, subtract = StoreView(store).get, row_writer(store), self._adder, self._subtractor

        def process(key: Any, change: Change, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            if key is None:
                raise StreamsError("a grouped table can't have null keys")
            row = get(key)
            old, old_timestamp = (None, NO_TIMESTAMP) if row is None else row
            aggregate, new_timestamp = old, timestamp
            if change[1] is not None and old is not None:
                aggregate = subtract(old, change[1])
                new_timestamp = max(timestamp, old_timestamp)
            if change[0] is not None:
                if aggregate is None:
                    aggregate = change[0]
                else:
                    aggregate = add(aggregate, change[0])
                    new_timestamp = max(timestamp, old_timestamp)
            task.timestamp = timestamp
            valid_to = put(key, aggregate, new_timestamp)
            if valid_to != NOT_PUT:
                forward(key, (aggregate, old if with_old else None, valid_to == IS_LATEST), new_timestamp, headers)

        return process
