"""What a node of a topology does with a record, bound to one task.

An operator is a description that may be bound many times, once per task. Binding gives a plain function
`process(key, value, timestamp, headers)` which hands its results to the function it was given: a chain of operators
is a chain of closures, with no record object and no lookup between them.

Values on the way from a table are changes: `(new, old, is_latest)`, old being None unless somebody asked for it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from streams.records import Headers
from streams.serdes import Serde
from streams.stores.builder import StoreBuilder
from streams.stores.store import StateStore

if TYPE_CHECKING:
    from streams.engine.batch import BatchProcess
    from streams.engine.context import TaskContext

Process = Callable[[Any, Any, int, Headers], None]

Change = tuple[Any, Any, bool]
"""new value, old value, whether the new one is the latest of its key"""


class NodeContext:
    """What an operator finds around it while it binds."""

    __slots__ = ("children", "name", "store_names", "task")

    def __init__(
        self, name: str, task: TaskContext, children: Mapping[str, Process], store_names: Sequence[str]
    ) -> None:
        self.name = name
        self.task = task
        self.children = children
        self.store_names = store_names

    def store(self, name: str) -> Any:
        """The store of that name, which this node or the app as a whole (global stores) is connected to."""
        return self.task.stores[name]

    def serializer(self, serde: Serde[Any] | None, topic: str) -> Callable[[Any], bytes | None]:
        return self.task.value_serde(serde, self.name).serializer(topic)


class Operator(ABC):
    """One node's work. `stores` are built by the task and connected to the node."""

    @property
    def stores(self) -> Sequence[StoreBuilder]:
        return ()

    @abstractmethod
    def bind(self, node: NodeContext, forward: Process) -> Process:
        """The function that does the work in this task. Stores exist; other nodes may not yet."""

    def bind_batch(self, node: NodeContext, forward: BatchProcess) -> BatchProcess | None:
        """The same for many records at once, if that makes no difference to anybody; see engine/batch.py."""
        return None


class ValueGetter(Protocol):
    """A table's current rows, whether stored or computed from a stored parent."""

    is_versioned: bool

    def get(self, key: Any) -> tuple[Any, int] | None:
        """`(value, timestamp)` of the latest row."""

    def get_as_of(self, key: Any, timestamp: int) -> tuple[Any, int] | None:
        """The row valid at `timestamp`; only for versioned tables."""


class TableOperator(Operator):
    """An operator whose output is a table, which others may look up rows of."""

    sends_old_values = False

    @abstractmethod
    def enable_sending_old_values(self, force_materialization: bool) -> bool:
        """Ask for old values in the changes; False when that would need a store and it isn't to be forced."""

    @property
    @abstractmethod
    def view_store_names(self) -> list[str]:
        """The stores that a node needs in order to look up rows."""

    @abstractmethod
    def view(self, node: NodeContext) -> ValueGetter:
        """A getter for rows, for use by `node`."""


class StoreView:
    """Rows straight from a timestamped store or a versioned one."""

    def __init__(self, store: StateStore) -> None:
        from streams.stores.versioned import VersionedKeyValueStore

        self.is_versioned = isinstance(store, VersionedKeyValueStore)
        self._store: Any = store
        self.get: Callable[[Any], tuple[Any, int] | None] = self._get_version
        if not self.is_versioned:
            self.get = getattr(store, "get")  # noqa: B009  (a StateStore need not have it)

    def _get_version(self, key: Any) -> tuple[Any, int] | None:
        version = self._store.get(key)
        return None if version is None else (version.value, version.timestamp)

    def get_as_of(self, key: Any, timestamp: int) -> tuple[Any, int] | None:
        version = self._store.get_as_of(key, timestamp)
        return None if version is None else (version.value, version.timestamp)


def row_writer(store: StateStore) -> Callable[[Any, Any, int], int]:
    """A function that puts a table's row: `(key, value or None, timestamp)` -> IS_LATEST, valid-to time or NOT_PUT."""
    from streams.stores.versioned import IS_LATEST, VersionedKeyValueStore

    if isinstance(store, VersionedKeyValueStore):
        return store.put
    put = store.put  # type: ignore[attr-defined]

    def put_row(key: Any, value: Any, timestamp: int) -> int:
        put(key, None if value is None else (value, timestamp))
        return IS_LATEST

    return put_row


def drop_nothing(_key: Any, _value: Any, _timestamp: int, _headers: Headers) -> None:
    """Where the output of a node without children goes."""


def fan_out(children: Sequence[Process]) -> Process:
    """One function that hands a record to each child in order."""
    if not children:
        return drop_nothing
    if len(children) == 1:
        return children[0]
    if len(children) == 2:
        first, second = children

        def forward_to_two(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
            first(key, value, timestamp, headers)
            second(key, value, timestamp, headers)

        return forward_to_two
    every = tuple(children)

    def forward_to_all(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        for child in every:
            child(key, value, timestamp, headers)

    return forward_to_all
