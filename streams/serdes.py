"""How keys and values become bytes and back. The bytes are those of Kafka's own serdes.

A `Serde` encodes and decodes one value; None never reaches it (a null stays null). The engine takes
`serializer(topic)` and `deserializer(topic)`, which also let a schema registry know which topic it writes for.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from streams.errors import SerdeError

T = TypeVar("T")

Serializer = Callable[[Any], bytes | None]
Deserializer = Callable[[bytes | None], Any]
BatchCoder = Callable[[Sequence[Any]], Sequence[Any]]
"""Encodes or decodes a list of values, None staying None."""


class Serde(Generic[T]):
    """One type's bytes. Subclasses give `encode` and `decode`, or `serializer` and `deserializer` by topic.

    `immutable` claims that values are hashable, never change, and survive a round trip unchanged: stores then keep
    the objects themselves and encode them only when bytes are needed.
    """

    name: str = ""
    immutable: bool = False
    holds: type | None = None
    """The type of every value, where there is one: a topology that gives it another is wrong already at build()."""

    def resolved(self, default_key: Serde[Any] | None, default_value: Serde[Any] | None) -> Serde[Any]:
        """Itself; serdes that wrap another one fill in the app's default where they were given none."""
        return self

    # neither is abstract: a serde by topic gives `serializer` and `deserializer` instead

    def encode(self, value: T) -> bytes:
        raise NotImplementedError(f"{type(self).__name__} has no encode; has it a serializer(topic)?")

    def decode(self, data: bytes) -> T:
        raise NotImplementedError(f"{type(self).__name__} has no decode; has it a deserializer(topic)?")

    def serializer(self, topic: str) -> Serializer:
        encode, name = self.encode, self.name

        def serialize(value: Any) -> bytes | None:
            if value is None:
                return None
            try:
                return encode(value)
            except SerdeError:
                raise
            except Exception as error:
                raise SerdeError(f"{name} can't write {type(value).__name__} to {topic}: {error}") from error

        return serialize

    def deserializer(self, topic: str) -> Deserializer:
        decode, name = self.decode, self.name

        def deserialize(data: bytes | None) -> Any:
            if data is None:
                return None
            try:
                return decode(data)
            except SerdeError:
                raise
            except Exception as error:
                raise SerdeError(f"{name} can't read {len(data)} bytes from {topic}: {error}") from error

        return deserialize

    def batch_serializer(self, topic: str) -> BatchCoder:
        """A serializer of lists. Raises what `serializer` raises, at the first value that can't be written."""
        serialize = self.serializer(topic)
        return lambda values: list(map(serialize, values))

    def batch_deserializer(self, topic: str) -> BatchCoder:
        deserialize = self.deserializer(topic)
        return lambda data: list(map(deserialize, data))

    def __repr__(self) -> str:
        return self.name or type(self).__name__


def fast_or_exact(fast: Callable[[Sequence[Any]], Sequence[Any]], exact: Callable[[Any], Any]) -> BatchCoder:
    """`fast` over the list; whatever it trips over (None, too), `exact` one by one, which raises the right errors."""

    def code(values: Sequence[Any]) -> Sequence[Any]:
        try:
            return fast(values)
        except Exception:  # only a hint that the list isn't plain; `exact` decides
            return list(map(exact, values))

    return code


class StringSerde(Serde[str]):
    """UTF-8. What can't be encoded becomes '?', what can't be decoded U+FFFD, as in Kafka's."""

    name = "String"
    immutable = True
    holds = str

    def encode(self, value: str) -> bytes:
        return value.encode("utf-8", "replace")

    def decode(self, data: bytes) -> str:
        return str(data, "utf-8", "replace")

    def batch_serializer(self, topic: str) -> BatchCoder:
        return fast_or_exact(lambda values: list(map(str.encode, values)), self.serializer(topic))

    def batch_deserializer(self, topic: str) -> BatchCoder:
        return fast_or_exact(lambda data: list(map(bytes.decode, data)), self.deserializer(topic))


class BytesSerde(Serde[bytes]):
    """Bytes as they are."""

    name = "Bytes"
    immutable = True
    holds = bytes

    def encode(self, value: bytes) -> bytes:
        if not isinstance(value, (bytes, bytearray, memoryview)):
            raise SerdeError(f"Bytes can't write {type(value).__name__}; encode it first or name its serde")
        return bytes(value)

    def decode(self, data: bytes) -> bytes:
        return bytes(data)


class StructSerde(Serde[T]):
    """One fixed-size big-endian number."""

    def __init__(self, name: str, layout: str) -> None:
        self.name = name
        self.holds = float if layout in (">f", ">d") else int
        self.immutable = layout != ">f"  # a float loses digits on its way through four bytes
        self._packed = struct.Struct(layout)
        self._pack = self._packed.pack

    def encode(self, value: T) -> bytes:
        return self._pack(value)

    def decode(self, data: bytes) -> T:
        if len(data) != self._packed.size:
            raise SerdeError(f"{self.name} needs {self._packed.size} bytes, got {len(data)}")
        value: T = self._packed.unpack(data)[0]
        return value

    def batch_serializer(self, topic: str) -> BatchCoder:
        size, letter = self._packed.size, self._packed.format[1:]

        def pack(values: Sequence[Any]) -> Sequence[Any]:
            data = struct.pack(f">{len(values)}{letter}", *values)
            return [data[at : at + size] for at in range(0, len(data), size)]

        return fast_or_exact(pack, self.serializer(topic))

    def __reduce__(self) -> tuple[Any, ...]:
        return StructSerde, (self.name, self._packed.format)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StructSerde) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


class BooleanSerde(Serde[bool]):
    """One byte, 0 or 1."""

    name = "Boolean"
    immutable = True
    holds = bool

    def encode(self, value: bool) -> bytes:
        return b"\x01" if value else b"\x00"

    def decode(self, data: bytes) -> bool:
        if len(data) != 1 or data[0] > 1:
            raise SerdeError("Boolean needs one byte, 0 or 1")
        return data[0] == 1


class UUIDSerde(Serde[uuid.UUID]):
    """The 36 characters."""

    name = "UUID"
    immutable = True
    holds = uuid.UUID

    def encode(self, value: uuid.UUID) -> bytes:
        return str(value).encode()

    def decode(self, data: bytes) -> uuid.UUID:
        return uuid.UUID(data.decode())


STRING = StringSerde()
BYTES = BytesSerde()
SHORT: Serde[int] = StructSerde("Short", ">h")
INT: Serde[int] = StructSerde("Integer", ">i")
LONG: Serde[int] = StructSerde("Long", ">q")
FLOAT: Serde[float] = StructSerde("Float", ">f")
DOUBLE: Serde[float] = StructSerde("Double", ">d")
BOOLEAN = BooleanSerde()
UUID = UUIDSerde()


class JsonSerde(Serde[T]):
    """JSON through msgspec: `JsonSerde(Order)` for a msgspec struct or dataclass, `JsonSerde()` for plain objects.

    Decoding validates: a missing or wrongly typed field is a SerdeError, so the deserialization handler sees it.
    """

    def __init__(self, type_: Any = Any) -> None:
        import msgspec

        self.type = type_
        self.name = f"Json[{getattr(type_, '__name__', type_)}]"
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(type_)

    def encode(self, value: T) -> bytes:
        return self._encoder.encode(value)

    def decode(self, data: bytes) -> T:
        value: T = self._decoder.decode(data)
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return JsonSerde, (self.type,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JsonSerde) and other.type == self.type

    def __hash__(self) -> int:
        return hash(("json", self.name))


def disagree(one: Serde[Any] | None, other: Serde[Any] | None) -> bool:
    """Whether no value can fit both. Ints of all sizes agree; a serde that says nothing of its type agrees with all."""
    first, second = None if one is None else one.holds, None if other is None else other.holds
    return first is not None and second is not None and first is not second


def needed(serde: Serde[Any] | None, which: str) -> Serde[Any]:
    """`serde`, or an error that says what is missing."""
    if serde is None:
        raise SerdeError(f"no {which} serde: name one, or set the app's default")
    return serde
