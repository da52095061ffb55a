"""Questions about state stores as they travel, and the bytes of a store's keys and values."""

from __future__ import annotations

from typing import Any

import msgspec

from streams.config import StreamsConfig
from streams.stores.builder import StoreBuilder, StoreKind
from streams.topology import ProcessorNode, Topology

MOST_ROWS = 5_000
ANYWHERE = -1

Argument = bytes | int | bool | None


class Question(msgspec.Struct, frozen=True, array_like=True):
    """`arguments` are keys as bytes, times, and the like, as the store's method `what` takes them."""

    application: str
    store: str
    partition: int
    what: str
    arguments: list[Argument] = []
    stale_ok: bool = False


Row = tuple[bytes, int, int, "bytes | None", int]
"""key, start, end (0 unless windowed), value, timestamp (-1: none)"""


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """`is_here` is False when this instance does not have that partition (any more, yet). `has_more`: ask on after
    the last row."""

    is_here: bool = True
    rows: list[Row] = []
    has_more: bool = False
    error: str = ""


encode = msgspec.msgpack.Encoder().encode
decode_question = msgspec.msgpack.Decoder(Question).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode


class StoreCodec:
    """How a store's keys and values become bytes, for whoever asks and whoever answers."""

    def __init__(self, builder: StoreBuilder, config: StreamsConfig) -> None:
        name = builder.name
        topic = f"{config.application_id}-{name}-changelog"
        default_key, default_value = config.default_key_serde, config.default_value_serde
        key, value = builder.key_serde or default_key, builder.value_serde or default_value
        if key is None or value is None:
            raise ValueError(f"store {name} has no serdes")
        key, value = key.resolved(default_key, default_value), value.resolved(default_key, default_value)
        self.kind: StoreKind = builder.supplier.kind
        self.window_size_ms = builder.supplier.window_size_ms
        self.is_timestamped = self.kind in (StoreKind.TIMESTAMPED_KEY_VALUE, StoreKind.TIMESTAMPED_WINDOW)
        self.key_bytes, self.key_object = key.serializer(topic), key.deserializer(topic)
        self.value_bytes, self.value_object = value.serializer(topic), value.deserializer(topic)

    def row(self, key: bytes, start: int, end: int, stored: Any) -> Row:
        """Of a value as the store gives it."""
        if self.is_timestamped:
            return key, start, end, self.value_bytes(stored[0]), stored[1]
        return key, start, end, self.value_bytes(stored), -1


def builder_of(topology: Topology, store: str) -> StoreBuilder:
    return topology.stores.get(store) or topology.global_stores[store]


def subtopology_of(topology: Topology, store: str) -> int:
    """Which one keeps the store."""
    for number, names in topology.subtopologies().items():
        for name in names:
            node = topology.nodes[name]
            if isinstance(node, ProcessorNode) and store in node.stores:
                return number
    raise KeyError(store)
