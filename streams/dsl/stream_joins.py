"""What a stream can be joined with: another stream within a window, a table by key, a global table by any key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from streams.dsl.base import Flow, K, V
from streams.dsl.graph import ProcessorStep
from streams.dsl.join_steps import GraceJoinStep, StreamJoinStep
from streams.errors import TopologyError
from streams.functions import joiner_with_key, reversed_joiner
from streams.operators.stream_join import JoinWindow, SelfJoin, StreamJoin
from streams.operators.stream_table_join import StreamTableJoin
from streams.serdes import Serde
from streams.stores.builder import StoreBuilder, StoreKind, StoreSupplier
from streams.windows import Duration, JoinWindows, to_ms

if TYPE_CHECKING:
    from streams.dsl.stream import KStream
    from streams.dsl.table import GlobalKTable, KTable


class StreamJoins(Flow[K, V]):
    """The joins of a KStream. Joiners take (left, right) or (key, left, right)."""

    needs_repartition: bool

    def join(
        self,
        other: KStream[K, Any] | KTable[K, Any] | GlobalKTable[Any, Any],
        joiner: Callable[..., Any],
        windows: JoinWindows | None = None,
        *,
        key_selector: Callable[..., Any] | None = None,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
        other_value: Serde[Any] | None = None,
        grace: Duration | None = None,
        name: str | None = None,
        store: str | tuple[StoreSupplier, StoreSupplier] | None = None,
        logging: bool = True,
    ) -> KStream[K, Any]:
        """Inner join. A stream needs `windows`; a global table `key_selector`, which gives its key for a record.

        `key`, `value` and `other_value` are the serdes of stores and repartitions. `grace` lets a stream wait for late
        rows of a versioned table. `store` names the window stores of a stream-stream join, or supplies both.
        """
        options = JoinOptions(key, value, other_value, grace, name, store, logging)
        return self._join(other, joiner, windows, key_selector, options, False, False)

    def left_join(
        self,
        other: KStream[K, Any] | KTable[K, Any] | GlobalKTable[Any, Any],
        joiner: Callable[..., Any],
        windows: JoinWindows | None = None,
        *,
        key_selector: Callable[..., Any] | None = None,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
        other_value: Serde[Any] | None = None,
        grace: Duration | None = None,
        name: str | None = None,
        store: str | tuple[StoreSupplier, StoreSupplier] | None = None,
        logging: bool = True,
    ) -> KStream[K, Any]:
        """As `join`, and records of this stream that meet nothing are joined with None."""
        options = JoinOptions(key, value, other_value, grace, name, store, logging)
        return self._join(other, joiner, windows, key_selector, options, True, False)

    def outer_join(
        self,
        other: KStream[K, Any],
        joiner: Callable[..., Any],
        windows: JoinWindows,
        *,
        key: Serde[Any] | None = None,
        value: Serde[Any] | None = None,
        other_value: Serde[Any] | None = None,
        name: str | None = None,
        store: str | tuple[StoreSupplier, StoreSupplier] | None = None,
        logging: bool = True,
    ) -> KStream[K, Any]:
        """As `join`, and records of either stream that meet nothing are joined with None."""
        options = JoinOptions(key, value, other_value, None, name, store, logging)
        return self._join(other, joiner, windows, None, options, True, True)

    def _join(
        self,
        other: Any,
        joiner: Callable[..., Any],
        windows: JoinWindows | None,
        key_selector: Callable[..., Any] | None,
        options: JoinOptions,
        left_outer: bool,
        right_outer: bool,
    ) -> KStream[K, Any]:
        from streams.dsl.table import GlobalKTable, KTable

        full_joiner = joiner_with_key(joiner)
        if isinstance(other, GlobalKTable):
            if key_selector is None:
                raise TopologyError("a join with a global table needs key_selector")
            return self._join_global(other, full_joiner, key_selector, options, left_outer)
        if isinstance(other, KTable):
            return self._join_table(other, full_joiner, options, left_outer)
        if windows is None:
            raise TopologyError("a join of two streams needs windows")
        return join_streams(self._self(), other, full_joiner, windows, options, left_outer, right_outer)

    def _self(self) -> KStream[K, V]:
        stream: Any = self
        return stream  # type: ignore[no-any-return]

    def _join_table(
        self, table: KTable[K, Any], joiner: Callable[..., Any], options: JoinOptions, is_left: bool
    ) -> KStream[K, Any]:
        from streams.dsl.stream import KStream

        stream = self._self()
        if stream.needs_repartition:
            stream = stream.repartitioned_for_join(options.name or self.name, options.key, options.value)
        sources = stream.copartition_with(table)
        name = self.plan.named(options.name, "KSTREAM-LEFTJOIN-" if is_left else "KSTREAM-JOIN-")
        key_serde = options.key or stream.key_serde
        buffer = None
        if options.grace is not None:
            if table.node.output_is_versioned is False:
                raise TopologyError(f"{name}: a table must be versioned for a stream to wait for it")
            buffer = StoreBuilder(
                StoreSupplier(f"{name}-Buffer", StoreKind.STREAM_BUFFER),
                key_serde,
                options.value or stream.value_serde,
                grace_ms=to_ms(options.grace),
                serde_topic=name,
            )
        operator = StreamTableJoin(table.operator, joiner, is_left=is_left, buffer=buffer)
        store_names = table.operator.view_store_names
        node = ProcessorStep(name, operator, store_names)
        if options.grace is not None:
            node = GraceJoinStep(name, operator, store_names, to_ms(options.grace))
        node.ignores_null_keys = not is_left
        self.plan.add(node, stream.node)
        return KStream(self.plan, node, name, key_serde, None, sources, needs_repartition=False)

    def _join_global(
        self,
        table: GlobalKTable[Any, Any],
        joiner: Callable[..., Any],
        key_selector: Callable[..., Any],
        options: JoinOptions,
        is_left: bool,
    ) -> KStream[K, Any]:
        from streams.dsl.stream import KStream

        name = self.plan.named(options.name, "KSTREAM-LEFTJOIN-")
        operator = StreamTableJoin(table.store_name, joiner, is_left=is_left, key_selector=key_selector)
        node = ProcessorStep(name, operator)
        node.ignores_null_keys = not is_left
        self.plan.add(node, self.node)
        return KStream(
            self.plan, node, name, self.key_serde, None, self.sources, needs_repartition=self.needs_repartition
        )


class JoinOptions:
    """The keyword options of a join."""

    def __init__(
        self,
        key: Serde[Any] | None,
        value: Serde[Any] | None,
        other_value: Serde[Any] | None,
        grace: Duration | None,
        name: str | None,
        store: str | tuple[StoreSupplier, StoreSupplier] | None,
        is_logged: bool,
    ) -> None:
        self.key = key
        self.value = value
        self.other_value = other_value
        self.grace = grace
        self.name = name
        self.store_name = store if isinstance(store, str) else None
        self.suppliers = store if isinstance(store, tuple) else (None, None)
        self.is_logged = is_logged

    def suffixed(self, suffix: str, otherwise: str) -> str:
        return otherwise if self.name is None else f"{self.name}{suffix}"

    def window_store(
        self, name: str, supplier: StoreSupplier | None, windows: JoinWindows, value: Serde[Any] | None
    ) -> StoreBuilder:
        """One side's window store, with a place for each record even if they share key and time."""
        is_logged = self.is_logged or supplier is not None  # Kafka asks only about stores that it makes itself
        if supplier is None:
            supplier = StoreSupplier(
                f"{name}-store", StoreKind.WINDOW, None, windows.retention_ms, windows.size_ms, retain_duplicates=True
            )
        fits = (supplier.retention_ms, supplier.window_size_ms) == (windows.retention_ms, windows.size_ms)
        if not supplier.retain_duplicates or not fits:
            raise TopologyError(f"store {supplier.name} must retain duplicates and fit the windows of the join")
        return StoreBuilder(supplier, self.key, value, is_logged=is_logged, is_cached=False)

    def unmatched_store(self, this_name: str, windows: JoinWindows, right_outer: bool) -> StoreBuilder:
        """Where records of outer sides wait for their window to close."""
        base = self.store_name if self.suppliers[0] is None else self.suppliers[0].name
        if base is None:
            prefix = "KSTREAM-OUTERTHIS-" if right_outer else "KSTREAM-JOINTHIS-"
            name = f"KSTREAM-OUTERSHARED-{this_name.removeprefix(prefix)}-store"
        else:
            name = f"{base}{'-outer-shared-join' if right_outer else '-left-shared-join'}-store"
        is_persistent = None if self.suppliers[0] is None else self.suppliers[0].is_persistent
        supplier = StoreSupplier(name, StoreKind.OUTER_JOIN, is_persistent, windows.retention_ms, windows.size_ms)
        builder = StoreBuilder(supplier, self.key, self.value, is_logged=self.is_logged, is_cached=False)
        return replace(builder, other_value_serde=self.other_value)


def join_streams(
    left: KStream[Any, Any],
    right: KStream[Any, Any],
    joiner: Callable[[Any, Any, Any], Any],
    windows: JoinWindows,
    options: JoinOptions,
    left_outer: bool,
    right_outer: bool,
) -> KStream[Any, Any]:
    """Two windowed sides, their lookups, and the merge; behind repartitions where keys may have changed."""
    from streams.dsl.stream import KStream

    plan = left.plan
    if left.needs_repartition:
        left = left.repartitioned_for_join(options.suffixed("-left", left.name), options.key, options.value)
    if right.needs_repartition:
        right = right.repartitioned_for_join(options.suffixed("-right", right.name), options.key, options.other_value)
    left.copartition_with(right)
    this_suffix = "-outer-this-join" if right_outer else "-this-join"
    other_suffix = "-outer-other-join" if left_outer else "-other-join"
    this_windowed = plan.suffixed(options.name, "-this-windowed", "KSTREAM-WINDOWED-")
    other_windowed = plan.suffixed(options.name, "-other-windowed", "KSTREAM-WINDOWED-")
    this_generated = plan.new_name("KSTREAM-OUTERTHIS-" if right_outer else "KSTREAM-JOINTHIS-")
    other_generated = plan.new_name("KSTREAM-OUTEROTHER-" if left_outer else "KSTREAM-JOINOTHER-")
    merge_name = plan.suffixed(options.name, "-merge", "KSTREAM-MERGE-")

    base = options.store_name
    this_store_name = this_generated if base is None else f"{base}{this_suffix}"
    other_store_name = other_generated if base is None else f"{base}{other_suffix}"
    this_store = options.window_store(this_store_name, options.suppliers[0], windows, options.value)
    other_store = options.window_store(other_store_name, options.suppliers[1], windows, options.other_value)
    if this_store.name == other_store.name:
        raise TopologyError("both window stores of a join have the same name")
    unmatched = options.unmatched_store(this_generated, windows, right_outer) if left_outer else None

    plan.add(ProcessorStep(this_windowed, JoinWindow(this_store)), left.node)
    plan.add(ProcessorStep(other_windowed, JoinWindow(other_store)), right.node)
    clock_owner = object()
    this_side = StreamJoin(
        windows, joiner, is_left=True, is_outer=left_outer, other_store=other_store, unmatched=unmatched,
        clock_owner=clock_owner,
    )  # fmt: skip
    other_side = StreamJoin(
        windows, reversed_joiner(joiner), is_left=False, is_outer=right_outer, other_store=this_store,
        unmatched=unmatched, clock_owner=clock_owner,
    )  # fmt: skip
    node = StreamJoinStep(
        merge_name,
        (options.suffixed(this_suffix, this_generated), this_side),
        (options.suffixed(other_suffix, other_generated), other_side),
        SelfJoin(this_store, windows, joiner),
        (this_windowed, other_windowed),
    )
    node.ignores_null_keys = not (left_outer or right_outer)
    plan.add(node, left.node, right.node)
    sources = left.sources | right.sources
    return KStream(plan, node, merge_name, options.key, None, sources, needs_repartition=False)
