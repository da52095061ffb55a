"""From a description to a store: which class, and where its bytes lie."""

from __future__ import annotations

from collections.abc import Callable

from streams.stores.builder import StoreBuilder, StoreKind
from streams.stores.byte_map import ByteMap, MemoryByteMap
from streams.stores.change_buffer import ChangeBuffer
from streams.stores.join_buffers import OuterJoinStore, StreamBuffer
from streams.stores.memory_key_value import MemoryKeyValueStore
from streams.stores.persistent_key_value import PersistentKeyValueStore
from streams.stores.persistent_window_bytes import PersistentWindowBytes, segment_interval_ms
from streams.stores.session import SessionStore
from streams.stores.session_bytes import MemorySessionBytes, PersistentSessionBytes
from streams.stores.store import StateStore, StoreContext
from streams.stores.versioned import VersionedKeyValueStore
from streams.stores.window import WindowStore
from streams.stores.window_bytes import MemoryWindowBytes

ByteMaps = Callable[[str], ByteMap]
"""Opens the ordered map of bytes of the persistent store of that name."""


def memory_byte_maps(_store_name: str) -> ByteMap:
    """For tests: persistent stores behave as such and forget everything with the process."""
    return MemoryByteMap()


def build_store(
    builder: StoreBuilder, context: StoreContext, byte_maps: ByteMaps, *, persistent_by_default: bool
) -> StateStore:
    """The store that `builder` describes, empty or as its files left it."""
    supplier = builder.supplier
    is_persistent = persistent_by_default if supplier.is_persistent is None else supplier.is_persistent
    kind = supplier.kind
    if kind in (StoreKind.KEY_VALUE, StoreKind.TIMESTAMPED_KEY_VALUE):
        if is_persistent:
            return PersistentKeyValueStore(builder, context, byte_maps(builder.name))
        return MemoryKeyValueStore(builder, context)
    if kind in (StoreKind.WINDOW, StoreKind.TIMESTAMPED_WINDOW):
        return _window_store(builder, context, byte_maps, is_persistent)
    if kind is StoreKind.SESSION:
        return _session_store(builder, context, byte_maps, is_persistent)
    if kind is StoreKind.VERSIONED:
        return VersionedKeyValueStore(builder, context, byte_maps(builder.name))
    if kind is StoreKind.OUTER_JOIN:
        outer = OuterJoinStore(builder, context, byte_maps(builder.name) if is_persistent else MemoryByteMap())
        outer.is_persistent = is_persistent
        return outer
    if kind is StoreKind.SUPPRESS:
        return ChangeBuffer(builder, context)
    return StreamBuffer(builder, context)


def _window_store(builder: StoreBuilder, context: StoreContext, byte_maps: ByteMaps, is_persistent: bool) -> StateStore:
    supplier = builder.supplier
    if not is_persistent:
        retention_ms = supplier.retention_ms + (1 if supplier.is_time_ordered else 0)  # as the persistent ones do
        is_default = supplier.is_persistent is None
        memory = MemoryWindowBytes(retention_ms, supplier.retain_duplicates, context, like_persistent=is_default)
        return WindowStore(builder, context, memory, False)
    persistent = PersistentWindowBytes(
        byte_maps(builder.name),
        supplier.retention_ms,
        supplier.segment_interval_ms or segment_interval_ms(supplier.retention_ms),
        supplier.retain_duplicates,
        supplier.is_time_ordered,
        supplier.has_key_index,
        context,
    )
    return WindowStore(builder, context, persistent, True)


def _session_store(
    builder: StoreBuilder, context: StoreContext, byte_maps: ByteMaps, is_persistent: bool
) -> StateStore:
    supplier = builder.supplier
    interval_ms = supplier.segment_interval_ms or segment_interval_ms(supplier.retention_ms)
    if not is_persistent and not supplier.is_time_ordered:
        return SessionStore(builder, context, MemorySessionBytes(supplier.retention_ms, context), False)
    # Emit-on-close looks for sessions past retention. Kafka's in-memory store has forgotten them by then and emits
    # nothing; ours keeps them by segments, as the persistent store does.
    sessions = PersistentSessionBytes(
        byte_maps(builder.name) if is_persistent else MemoryByteMap(),
        supplier.retention_ms,
        interval_ms,
        supplier.is_time_ordered,
        context,
    )
    return SessionStore(builder, context, sessions, is_persistent)
