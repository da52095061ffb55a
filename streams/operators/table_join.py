"""Table-table joins by key: inner, left and outer. Two sides look each other's row up; a merge node unites them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from streams.engine.operator import Change, NodeContext, Process, StoreView, TableOperator, ValueGetter, row_writer
from streams.records import NO_TIMESTAMP, Headers
from streams.stores.builder import StoreBuilder
from streams.stores.versioned import IS_LATEST, NOT_PUT


class Side(Enum):
    """Which rows a side emits for: a RIGHT side is the other side of a left join."""

    INNER = "inner"
    LEFT = "left"
    RIGHT = "right"
    OUTER = "outer"


class TableJoinSide(TableOperator):
    """`joiner(this value, other value)`; the result's timestamp is the later of both rows'."""

    def __init__(
        self, this: TableOperator, other: TableOperator, joiner: Callable[[Any, Any], Any], side: Side
    ) -> None:
        self._this = this
        self._other = other
        self._joiner = joiner
        self._side = side
        self.uses_versioned_semantics = False

    def enable_sending_old_values(self, force_materialization: bool) -> bool:
        self._this.enable_sending_old_values(True)
        self._other.enable_sending_old_values(True)
        self.sends_old_values = True
        return True

    @property
    def view_store_names(self) -> list[str]:
        return [*self._this.view_store_names, *self._other.view_store_names]

    def view(self, node: NodeContext) -> ValueGetter:
        return JoinedView(self._this.view(node), self._other.view(node), self._joiner, self._side)

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, join, side = node.task, self._joiner, self._side
        look_up = self._other.view(node).get
        with_old, versioned = self.sends_old_values, self.uses_versioned_semantics
        needs_other = side in (Side.INNER, Side.RIGHT)
        joins_nothing = side in (Side.RIGHT, Side.OUTER)

        def process(key: Any, change: Change, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            new, old, is_latest = change
            if key is None or (versioned and not is_latest):
                task.dropped_records += 1
                return
            row = look_up(key)
            other, other_timestamp = (None, NO_TIMESTAMP) if row is None else row
            if other is None:
                if needs_other or (new is None and old is None):
                    return
                other_timestamp = NO_TIMESTAMP
            allow_null = joins_nothing and other is not None
            joined = join(new, other) if new is not None or allow_null else None
            joined_old = join(old, other) if with_old and (old is not None or allow_null) else None
            forward(key, (joined, joined_old, is_latest), max(timestamp, other_timestamp), headers)

        return process


class JoinedView:
    """Rows of a join that isn't stored, computed from both sides' rows."""

    is_versioned = False

    def __init__(self, this: ValueGetter, other: ValueGetter, joiner: Callable[[Any, Any], Any], side: Side) -> None:
        self._this = this
        self._other = other
        self._joiner = joiner
        self._side = side

    def get(self, key: Any) -> tuple[Any, int] | None:
        this, this_timestamp = self._this.get(key) or (None, NO_TIMESTAMP)
        other, other_timestamp = self._other.get(key) or (None, NO_TIMESTAMP)
        needs_this = self._side in (Side.INNER, Side.LEFT)
        needs_other = self._side in (Side.INNER, Side.RIGHT)
        if (this is None and (needs_this or other is None)) or (other is None and needs_other):
            return None
        value = self._joiner(this, other)
        return None if value is None else (value, max(this_timestamp, other_timestamp))

    def get_as_of(self, key: Any, timestamp: int) -> tuple[Any, int] | None:
        raise NotImplementedError("joined tables have no history")


class TableJoinMerge(TableOperator):
    """Unites the two sides, and keeps the result if it is to be looked up."""

    def __init__(self, this: TableJoinSide, other: TableJoinSide, store: StoreBuilder | None) -> None:
        self._this = this
        self._other = other
        self._store = store

    @property
    def stores(self) -> Sequence[StoreBuilder]:
        return () if self._store is None else (self._store,)

    def enable_sending_old_values(self, force_materialization: bool) -> bool:
        self._this.enable_sending_old_values(True)
        self._other.enable_sending_old_values(True)
        self.sends_old_values = True
        return True

    @property
    def view_store_names(self) -> list[str]:
        if self._store is not None:
            return [self._store.name]
        return list(dict.fromkeys([*self._this.view_store_names, *self._other.view_store_names]))

    def view(self, node: NodeContext) -> ValueGetter:
        return self._this.view(node) if self._store is None else StoreView(node.store(self._store.name))

    def bind(self, node: NodeContext, forward: Process) -> Process:
        with_old, task = self.sends_old_values, node.task
        if self._store is None:
            if with_old:
                return forward

            def without_old(key: Any, change: Change, timestamp: int, headers: Headers) -> None:
                forward(key, (change[0], None, change[2]), timestamp, headers)

            return without_old
        put = row_writer(node.store(self._store.name))

        def process(key: Any, change: Change, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            task.timestamp = timestamp
            valid_to = put(key, change[0], timestamp)
            if valid_to != NOT_PUT:
                old = change[1] if with_old else None
                forward(key, (change[0], old, valid_to == IS_LATEST), timestamp, headers)

        return process
