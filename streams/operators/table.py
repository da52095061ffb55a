"""Tables read from topics, and tables made from tables one row at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from streams.engine.operator import (
    Change,
    NodeContext,
    Process,
    StoreView,
    TableOperator,
    ValueGetter,
    row_writer,
)
from streams.functions import takes_key
from streams.records import Headers
from streams.stores.builder import StoreBuilder
from streams.stores.versioned import IS_LATEST, NOT_PUT


class TableSource(TableOperator):
    """Each record is the new row of its key, None a tombstone. Has a store only once somebody needs it."""

    def __init__(self, store: StoreBuilder, *, is_materialized: bool) -> None:
        self.store = store
        self.is_materialized = is_materialized

    @property
    def stores(self) -> Sequence[StoreBuilder]:
        return (self.store,) if self.is_materialized else ()

    def enable_sending_old_values(self, force_materialization: bool) -> bool:
        if not force_materialization and not self.is_materialized:
            return False
        self.sends_old_values = self.is_materialized = True
        return True

    @property
    def view_store_names(self) -> list[str]:
        self.is_materialized = True
        return [self.store.name]

    def view(self, node: NodeContext) -> ValueGetter:
        return StoreView(node.store(self.store.name))

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task = node.task
        if not self.is_materialized:

            def pass_on(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
                if key is None:
                    task.dropped_records += 1
                else:
                    forward(key, (value, None, True), timestamp, headers)

            return pass_on
        store, with_old = node.store(self.store.name), self.sends_old_values
        get, put = StoreView(store).get, row_writer(store)

        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            if key is None:
                task.dropped_records += 1
                return
            row = get(key) if with_old else None
            task.timestamp = timestamp
            valid_to = put(key, value, timestamp)
            if valid_to != NOT_PUT:
                old = None if row is None else row[0]
                forward(key, (value, old, valid_to == IS_LATEST), timestamp, headers)

        return process


class DerivedTable(TableOperator):
    """A table computed row by row from its parent; `store` keeps the result, without it rows are computed on demand."""

    def __init__(self, parent: TableOperator, store: StoreBuilder | None) -> None:
        self.parent = parent
        self.store = store
        self.uses_versioned_semantics = False

    @property
    def stores(self) -> Sequence[StoreBuilder]:
        return () if self.store is None else (self.store,)

    def enable_sending_old_values(self, force_materialization: bool) -> bool:
        if self.store is not None or self.parent.enable_sending_old_values(force_materialization):
            self.sends_old_values = True
        return self.sends_old_values

    @property
    def view_store_names(self) -> list[str]:
        return self.parent.view_store_names if self.store is None else [self.store.name]

    def view(self, node: NodeContext) -> ValueGetter:
        if self.store is not None:
            return StoreView(node.store(self.store.name))
        return ComputedView(self.parent.view(node), self.row_of)

    def row_of(self, key: Any, row: tuple[Any, int] | None) -> tuple[Any, int] | None:
        """The row that the parent's row becomes."""
        value = None if row is None else self.compute(key, row[0])
        return None if row is None or value is None else (value, row[1])

    @abstractmethod
    def compute(self, key: Any, value: Any) -> Any:
        """The value that the parent's value becomes."""

    def is_futile(self, new: Any, old: Any) -> bool:
        """Whether a change need not be passed on."""
        return False

    def bind(self, node: NodeContext, forward: Process) -> Process:
        compute, with_old, is_futile = self.compute, self.sends_old_values, self.is_futile
        if self.store is None:

            def process(key: Any, change: Change, timestamp: int, headers: Headers, _node: str = node.name) -> None:
                new = compute(key, change[0])
                old = compute(key, change[1]) if with_old else None
                if not is_futile(new, old):
                    forward(key, (new, old, change[2]), timestamp, headers)

            return process
        task, store = node.task, node.store(self.store.name)
        get, put = StoreView(store).get, row_writer(store)

        def process_stored(key: Any, change: Change, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            new = compute(key, change[0])
            row = get(key) if with_old else None
            old = None if row is None else row[0]
            if is_futile(new, old):
                return
            task.timestamp = timestamp
            valid_to = put(key, new, timestamp)
            if valid_to != NOT_PUT:
                forward(key, (new, old, valid_to == IS_LATEST), timestamp, headers)

        return process_stored


class ComputedView:
    """Rows computed from the parent's rows."""

    def __init__(
        self, parent: ValueGetter, row_of: Callable[[Any, tuple[Any, int] | None], tuple[Any, int] | None]
    ) -> None:
        self._parent = parent
        self._row_of = row_of
        self.is_versioned = parent.is_versioned

    def get(self, key: Any) -> tuple[Any, int] | None:
        return self._row_of(key, self._parent.get(key))

    def get_as_of(self, key: Any, timestamp: int) -> tuple[Any, int] | None:
        return self._row_of(key, self._parent.get_as_of(key, timestamp))


class TableFilter(DerivedTable):
    """Rows that don't pass become tombstones; predicates never see tombstones."""

    def __init__(
        self, parent: TableOperator, store: StoreBuilder | None, predicate: Callable[..., Any], *, negated: bool
    ) -> None:
        super().__init__(parent, store)
        self.sends_old_values = parent.enable_sending_old_values(False)
        self._predicate = predicate
        self._with_key = takes_key(predicate)
        self._negated = negated

    def compute(self, key: Any, value: Any) -> Any:
        if value is None:
            return None
        passes = self._predicate(key, value) if self._with_key else self._predicate(value)
        return value if bool(passes) is not self._negated else None

    def is_futile(self, new: Any, old: Any) -> bool:
        return self.sends_old_values and not self.uses_versioned_semantics and new is None and old is None


class TableMapValues(DerivedTable):
    """New values for rows; mappers never see tombstones."""

    def __init__(self, parent: TableOperator, store: StoreBuilder | None, mapper: Callable[..., Any]) -> None:
        super().__init__(parent, store)
        self._mapper = mapper
        self._with_key = takes_key(mapper)

    def compute(self, key: Any, value: Any) -> Any:
        if value is None:
            return None
        return self._mapper(key, value) if self._with_key else self._mapper(value)
