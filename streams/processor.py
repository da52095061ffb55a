"""The Processor API: write a class, get one record at a time, keep state, forward what you like, wake up by the clock.

class CountPerKey(Processor[str, str, str, int]):
    def init(self, context):
        super().init(context)
        self.counts = context.get_state_store("counts")

    def process(self, record):
        count = (self.counts.get(record.key) or 0) + 1
        self.counts.put(record.key, count)
        self.context.forward(record.with_value(count))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from streams.engine.operator import NodeContext, Operator, Process
from streams.errors import TopologyError
from streams.records import FixedKeyRecord, Headers, Record

if TYPE_CHECKING:
    from streams.engine.processor_context import ProcessorContext
    from streams.stores.builder import StoreBuilder

KIn = TypeVar("KIn")
VIn = TypeVar("VIn")
KOut = TypeVar("KOut")
VOut = TypeVar("VOut")


class Processor(Generic[KIn, VIn, KOut, VOut]):
    """One node's logic in one task. `init` runs before the first record, `close` after the last."""

    context: ProcessorContext

    def init(self, context: ProcessorContext) -> None:
        self.context = context

    def process(self, record: Record[KIn, VIn]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what `init` took."""


class FixedKeyProcessor(Generic[KIn, VIn, VOut]):
    """As Processor, for `process_values`: forwards records under the key they came with."""

    context: ProcessorContext

    def init(self, context: ProcessorContext) -> None:
        self.context = context

    def process(self, record: FixedKeyRecord[KIn, VIn]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what `init` took."""


ProcessorSupplier = Callable[[], Any]
"""Makes a new Processor or FixedKeyProcessor at each call: usually the class itself.

It may have an attribute `stores`, a sequence of StoreBuilder: they are added to the topology and connected.
"""


class UserOperator(Operator):
    """Runs what a ProcessorSupplier makes."""

    def __init__(self, supplier: ProcessorSupplier, *, is_fixed_key: bool = False) -> None:
        if not callable(supplier):
            raise TopologyError(f"a supplier makes a new processor when called; {supplier!r} can't be called")
        self._supplier = supplier
        self._is_fixed_key = is_fixed_key

    @property
    def stores(self) -> Sequence[StoreBuilder]:
        declared = getattr(self._supplier, "stores", ())
        return tuple(declared() if callable(declared) else declared)

    def bind(self, node: NodeContext, forward: Process) -> Process:
        processor = self._supplier()
        task = node.task
        context = task.processor_context(node, forward)
        task.on_init(lambda: processor.init(context))
        task.on_close(processor.close)
        run, record_class = processor.process, FixedKeyRecord if self._is_fixed_key else Record

        def process(key: Any, value: Any, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            task.timestamp = timestamp
            task.headers = headers
            run(record_class(key, value, timestamp, headers))

        return process
