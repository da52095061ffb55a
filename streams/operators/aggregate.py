"""Aggregations of a grouped stream without windows: count, reduce, aggregate; and the merge of a cogroup."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

from streams.engine.batch import BatchProcess, Columns, one_by_one
from streams.engine.operator import NodeContext, Process, StoreView, TableOperator, ValueGetter, row_writer
from streams.records import Headers
from streams.stores.builder import StoreBuilder
from streams.stores.key_value import KeyValueStore
from streams.stores.versioned import IS_LATEST, NOT_PUT, VersionedKeyValueStore


class StoredTable(TableOperator):
    """A table that always lies in a store of its own."""

    def __init__(self, store: StoreBuilder) -> None:
        self.store = store

    @property
    def stores(self) -> Sequence[StoreBuilder]:
        return (self.store,)

    def enable_sending_old_values(self, force_materialization: bool) -> bool:
        self.sends_old_values = True
        return True

    @property
    def view_store_names(self) -> list[str]:
        return [self.store.name]

    def view(self, node: NodeContext) -> ValueGetter:
        return StoreView(node.store(self.store.name))


class Aggregate(StoredTable):
    """`aggregator(key, value, aggregate)`, starting from `initializer()`. Null keys and values are dropped."""

    def __init__(
        self, store: StoreBuilder, initializer: Callable[[], Any], aggregator: Callable[[Any, Any, Any], Any]
    ) -> None:
        super().__init__(store)
        self.initializer = initializer
        self.aggregator = aggregator

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, store = node.task, node.store(self.store.name)
        initialize, aggregate, with_old = self.initializer, self.aggregator, self.sends_old_values
        get, put = StoreView(store).get, row_writer(store)

        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            if key is None or value is None:
                task.dropped_records += 1
                return
            row = get(key)
            if row is None or row[0] is None:
                old = initialize()
                new_timestamp = timestamp
            else:
                old, old_timestamp = row
                new_timestamp = timestamp if timestamp > old_timestamp else old_timestamp
            new = aggregate(key, value, old)
            task.timestamp = timestamp
            valid_to = put(key, new, new_timestamp)
            if valid_to != NOT_PUT:
                forward(key, (new, old if with_old else None, valid_to == IS_LATEST), new_timestamp, headers)

        return process

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        return one_by_one(self, node, forward)


class Count(StoredTable):
    """How many records each key had."""

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, store, with_old = node.task, node.store(self.store.name), self.sends_old_values
        if isinstance(store, VersionedKeyValueStore):
            return Aggregate.bind(as_aggregate(self), node, forward)
        get, put = store.get, store.put

        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            if key is None or value is None:
                task.dropped_records += 1
                return
            row = get(key)
            if row is None:
                old = 0
            else:
                old, old_timestamp = row
                if old_timestamp > timestamp:
                    timestamp = old_timestamp
            put(key, (old + 1, timestamp))
            forward(key, (old + 1, old if with_old else None, True), timestamp, headers)

        return process

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        store, with_old, task = node.store(self.store.name), self.sends_old_values, node.task
        slowly = one_by_one(self, node, forward)
        if not isinstance(store, KeyValueStore):
            return slowly

        def run(batch: Columns, _node: str = node.name) -> None:
            keys = batch.keys
            rows = None if None in keys or None in batch.values else store.batch_rows(keys)
            if rows is None:
                slowly(batch)
                return
            task.has_batch_effects = True
            get, counts, timestamps = rows.get, [], list(batch.timestamps)
            for at, key in enumerate(keys):
                row, timestamp = get(key), timestamps[at]
                if row is None:
                    count = 1
                else:
                    count, latest = row
                    count += 1
                    if latest > timestamp:
                        timestamps[at] = timestamp = latest
                rows[key] = (count, timestamp)
                counts.append(count)
            store.wrote(keys, counts, timestamps)
            changes: list[Any]
            if with_old:
                changes = [(count, count - 1, True) for count in counts]
            else:
                changes = list(zip(counts, repeat(None), repeat(True), strict=False))
            forward(Columns(keys, changes, timestamps, batch.headers))

        return run


def count_initializer() -> int:
    return 0


def count_aggregator(_key: Any, _value: Any, count: int) -> int:
    return count + 1


def as_aggregate(count: Count) -> Aggregate:
    """The same count in general terms."""
    aggregate = Aggregate(count.store, count_initializer, count_aggregator)
    aggregate.sends_old_values = count.sends_old_values
    return aggregate


class Reduce(StoredTable):
    """`reducer(aggregate, value)`; the first value of a key is its first aggregate."""

    def __init__(self, store: StoreBuilder, reducer: Callable[[Any, Any], Any]) -> None:
        super().__init__(store)
        self.reducer = reducer

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, store = node.task, node.store(self.store.name)
        reduce, with_old = self.reducer, self.sends_old_values
        get, put = StoreView(store).get, row_writer(store)

        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            if key is None or value is None:
                task.dropped_records += 1
                return
            row = get(key)
            old = None if row is None else row[0]
            if row is None or old is None:
                new, new_timestamp = value, timestamp
            else:
                new, new_timestamp = reduce(old, value), max(timestamp, row[1])
            task.timestamp = timestamp
            valid_to = put(key, new, new_timestamp)
            if valid_to != NOT_PUT:
                forward(key, (new, old if with_old else None, valid_to == IS_LATEST), new_timestamp, headers)

        return process

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        return one_by_one(self, node, forward)


class CogroupMerge(TableOperator):
    """Joins the aggregations of a cogroup, which share one store, into one table."""

    def __init__(self, parents: Sequence[TableOperator], store_name: str) -> None:
        self._parents = parents
        self._store_name = store_name

    def bind(self, node: NodeContext, forward: Process) -> Process:
        return forward

    def enable_sending_old_values(self, force_materialization: bool) -> bool:
        for parent in self._parents:
            parent.enable_sending_old_values(force_materialization)
        return True

    @property
    def view_store_names(self) -> list[str]:
        return [self._store_name]

    def view(self, node: NodeContext) -> ValueGetter:
        return self._parents[0].view(node)
