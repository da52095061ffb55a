"""The bytes of a table's change on its way through a repartition topic.

new and old    varint of the new value's length ‖ new ‖ old ‖ 2
new only       new ‖ 1
old only       old ‖ 0
"""

from __future__ import annotations

from typing import Any

from streams.errors import SerdeError
from streams.serdes import Deserializer, Serde, Serializer, needed


class ChangeSerde(Serde[Any]):
    """(new, old, is_latest) tuples. At least one of new and old is there."""

    name = "Change"

    def __init__(self, inner: Serde[Any] | None) -> None:
        self._inner = inner

    def resolved(self, default_key: Serde[Any] | None, default_value: Serde[Any] | None) -> Serde[Any]:
        return self if self._inner is not None else ChangeSerde(default_value)

    def serializer(self, topic: str) -> Serializer:
        inner = needed(self._inner, "value").serializer(topic)

        def serialize(change: Any) -> bytes | None:
            new, old = inner(change[0]), inner(change[1])
            if new is not None and old is not None:
                return _zigzag(len(new)) + new + old + b"\x02"
            if new is not None:
                return new + b"\x01"
            if old is not None:
                return old + b"\x00"
            raise SerdeError("a change without old and new value can't be sent")

        return serialize

    def deserializer(self, topic: str) -> Deserializer:
        inner = needed(self._inner, "value").deserializer(topic)

        def deserialize(data: bytes | None) -> Any:
            if not data:
                raise SerdeError(f"no change in a record of {topic}")
            kind = data[-1]
            if kind == 2:
                size, at = _read_zigzag(data)
                return inner(data[at : at + size]), inner(data[at + size : -1]), True
            if kind == 1:
                return inner(data[:-1]), None, True
            if kind == 0:
                return None, inner(data[:-1]), True
            raise SerdeError(f"unknown kind of change {kind} in {topic}")

        return deserialize


def _zigzag(value: int) -> bytes:
    rest = value << 1
    encoded = bytearray()
    while rest > 0x7F:
        encoded.append(rest & 0x7F | 0x80)
        rest >>= 7
    encoded.append(rest)
    return bytes(encoded)


def _read_zigzag(data: bytes) -> tuple[int, int]:
    value = shift = at = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value >> 1, at
