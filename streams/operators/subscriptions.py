"""What the two sides of a foreign-key join tell each other, and its bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

from streams.engine.operator import NodeContext
from streams.murmur3 import hash128
from streams.serdes import Deserializer, Serde, Serializer, needed

_INT = struct.Struct(">i")
_VERSION = 1
_NO_HASH = 0x80


class Instruction(IntEnum):
    """What the right side is to do about a subscription. The numbers travel."""

    DELETE_KEY_NO_PROPAGATE = 0
    DELETE_KEY_AND_PROPAGATE = 1
    PROPAGATE_NULL_IF_NO_FK_VAL_AVAILABLE = 2
    PROPAGATE_ONLY_IF_FK_VAL_AVAILABLE = 3


class Subscription(NamedTuple):
    """A left row's interest in a right row. `hash` is of the left row's bytes, None for a tombstone."""

    hash: bytes | None
    instruction: Instruction
    primary_key: Any
    primary_partition: int


class Answer(NamedTuple):
    """A right row for a left key, with the hash of the left row that asked."""

    hash: bytes | None
    foreign_value: Any
    primary_partition: int | None


class SubscriptionSerde(Serde[Subscription]):
    """version and whether there is no hash ‖ instruction ‖ hash ‖ primary key ‖ primary partition."""

    name = "Subscription"

    def __init__(self, primary_key: Serde[Any] | None) -> None:
        self._primary_key = primary_key

    def resolved(self, default_key: Serde[Any] | None, default_value: Serde[Any] | None) -> Serde[Any]:
        return self if self._primary_key is not None else SubscriptionSerde(default_key)

    def serializer(self, topic: str) -> Serializer:
        key_bytes = needed(self._primary_key, "key").serializer(f"{topic}-pk")

        def serialize(value: Any) -> bytes | None:
            if value is None:
                return None
            version = _VERSION if value.hash is not None else _VERSION | _NO_HASH
            head = bytes((version, value.instruction)) + (value.hash or b"")
            return head + (key_bytes(value.primary_key) or b"") + _INT.pack(value.primary_partition)

        return serialize

    def deserializer(self, topic: str) -> Deserializer:
        key_object = needed(self._primary_key, "key").deserializer(f"{topic}-pk")

        def deserialize(data: bytes | None) -> Any:
            if data is None:
                return None
            start = 2 if data[0] & _NO_HASH else 18
            partition = _INT.unpack(data[-4:])[0]
            return Subscription(data[2:start] or None, Instruction(data[1]), key_object(data[start:-4]), partition)

        return deserialize


class AnswerSerde(Serde[Answer]):
    """version and whether there is no hash ‖ hash ‖ right row."""

    name = "SubscriptionResponse"

    def __init__(self, foreign_value: Serde[Any] | None) -> None:
        self._foreign_value = foreign_value

    def resolved(self, default_key: Serde[Any] | None, default_value: Serde[Any] | None) -> Serde[Any]:
        return self if self._foreign_value is not None else AnswerSerde(default_value)

    def serializer(self, topic: str) -> Serializer:
        value_bytes = needed(self._foreign_value, "value").serializer(topic)

        def serialize(value: Any) -> bytes | None:
            if value is None:
                return None
            head = b"\x00" + value.hash if value.hash is not None else bytes((_NO_HASH,))
            return head + (value_bytes(value.foreign_value) or b"")

        return serialize

    def deserializer(self, topic: str) -> Deserializer:
        value_object = needed(self._foreign_value, "value").deserializer(topic)

        def deserialize(data: bytes | None) -> Any:
            if data is None:
                return None
            start = 1 if data[0] & _NO_HASH else 17
            return Answer(data[1:start] or None, value_object(data[start:]) if len(data) > start else None, None)

        return deserialize


class ForeignKeySerdes(NamedTuple):
    """Serdes of the join; None takes the app's default."""

    primary_key: Serde[Any] | None
    primary_value: Serde[Any] | None
    foreign_key: Serde[Any] | None
    foreign_value: Serde[Any] | None
    topic: str


class CombinedKey:
    """Bytes of (foreign key, primary key), so that the subscriptions of one right row lie side by side."""

    def __init__(self, serdes: ForeignKeySerdes, node: NodeContext) -> None:
        task, topic = node.task, node.task.decorated(serdes.topic)
        self._foreign = task.key_serde(serdes.foreign_key, node.name).serializer(f"{topic}-fk")
        self._primary = task.key_serde(serdes.primary_key, node.name)
        self._primary_bytes = self._primary.serializer(f"{topic}-pk")

    def prefix(self, foreign_key: Any) -> bytes:
        foreign = self._foreign(foreign_key) or b""
        return _INT.pack(len(foreign)) + foreign

    def encode(self, foreign_key: Any, primary_key: Any) -> bytes:
        return self.prefix(foreign_key) + (self._primary_bytes(primary_key) or b"")


def row_hash(serdes: ForeignKeySerdes, node: NodeContext) -> Callable[[Any], bytes | None]:
    """The hash by which an answer is matched to the left row that asked."""
    topic = f"{node.task.decorated(serdes.topic)}-vh"
    to_bytes = node.task.value_serde(serdes.primary_value, node.name).serializer(topic)
    return lambda value: None if value is None else hash128(to_bytes(value) or b"")
