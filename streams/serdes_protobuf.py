"""Protobuf messages (extra `protobuf`)."""

from __future__ import annotations

from typing import Any, TypeVar

from streams.errors import SerdeError
from streams.serdes import Serde

M = TypeVar("M")


class ProtobufSerde(Serde[M]):
    """Messages of one generated class: `ProtobufSerde(Order)`.

    With `schema_id` each begins with Confluent's wire format: 0, the id, and the message's index in its file (only
    the first message of a file, whose index is the single byte 0).
    """

    def __init__(self, message_class: type[M], *, schema_id: int | None = None) -> None:
        try:
            from google.protobuf.message import Message
        except ImportError as error:
            raise SerdeError("Protobuf needs a package: pip install 'odradek[protobuf]'") from error
        if not (isinstance(message_class, type) and issubclass(message_class, Message)):
            raise SerdeError(f"{message_class!r} is no generated message class")
        self.message_class = message_class
        self.holds = message_class
        self.name = f"Protobuf[{message_class.__name__}]"
        self._id = schema_id
        self._prefix = b"" if schema_id is None else b"\0" + schema_id.to_bytes(4, "big") + b"\0"

    def encode(self, value: M) -> bytes:
        message: Any = value
        if not isinstance(value, self.message_class):
            raise SerdeError(f"{self.name} can't write {type(value).__name__}")
        # deterministic: equal messages are equal bytes, as keys must be
        data: bytes = message.SerializeToString(deterministic=True)
        return self._prefix + data

    def decode(self, data: bytes) -> M:
        if not data.startswith(self._prefix):
            raise SerdeError(f"{self.name}: the value does not begin with schema {self._id}")
        message: Any = self.message_class()
        message.ParseFromString(data[len(self._prefix) :])
        found: M = message
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return _protobuf, (self.message_class, self._id)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ProtobufSerde)
            and other.message_class is self.message_class
            and other._prefix == self._prefix
        )

    def __hash__(self) -> int:
        return hash(self.name)


def _protobuf(message_class: type[Any], schema_id: int | None) -> ProtobufSerde[Any]:
    return ProtobufSerde(message_class, schema_id=schema_id)
