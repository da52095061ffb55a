"""Messages: declared structs that turn into bytes and back, in any version they know.

Everything that the files `kNN_name.py` need is imported from here. A message's functions are compiled by
`decoding.py` and `encoding.py` when a version is first met.
"""

from __future__ import annotations

import struct
from typing import Any, ClassVar, Self, dataclass_transform

from model.errors import OdradekError, UnsupportedVersion
from protocol.decoding import Decoder, compile_decoder
from protocol.encoding import Encoder, compile_encoder
from protocol.spec import (
    Bool,
    Buffer,
    Bytes,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    RecordPieces,
    Records,
    String,
    Struct,
    StructType,
    Uint16,
    Uuid,
    field,
    version_range,
)
from protocol.varint import MalformedMessage

__all__ = [
    "Bool",
    "Buffer",
    "Bytes",
    "Float64",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "MalformedMessage",
    "Message",
    "RecordPieces",
    "Records",
    "String",
    "Struct",
    "Uint16",
    "UnencodableMessage",
    "Uuid",
    "field",
]


class UnencodableMessage(OdradekError):
    """A field holds what its wire type can't carry (None, a number too large): a bug of whoever filled the message."""


class MessageType(StructType):
    """Keeps the version ranges that a message's class line states."""

    api_key: int
    versions: range
    flexible_versions: range

    def __new__(
        mcs,
        name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        *,
        key: int = -1,
        versions: str = "none",
        flexible: str = "none",
    ) -> MessageType:
        created = super().__new__(mcs, name, bases, namespace)
        assert isinstance(created, MessageType)
        created.api_key = key
        created.versions = version_range(versions)
        created.flexible_versions = version_range(flexible)
        created._decoders = {}
        created._encoders = {}
        return created

    _decoders: dict[int, Decoder]
    _encoders: dict[int, Encoder]


@dataclass_transform(kw_only_default=True)
class Message(Struct, metaclass=MessageType):
    """A struct that travels on its own. `api_key` is -1 for those that are neither request nor response."""

    _decoders: ClassVar[dict[int, Decoder]]
    _encoders: ClassVar[dict[int, Encoder]]

    @classmethod
    def decode(cls, buffer: Buffer, version: int, offset: int = 0) -> Self:
        """The message that starts at `offset`. Records are views on `buffer`, everything else is copied out.

        Bytes that follow the message are left alone, as Kafka does. Raises MalformedMessage or UnsupportedVersion.
        """
        decoder = cls._decoders.get(version)
        if decoder is None:
            decoder = cls._decoders[version] = compile_decoder(cls, cls._known(version), cls.is_flexible(version))
        try:
            message: Self = decoder(buffer, offset)
        except (struct.error, IndexError, UnicodeDecodeError, OverflowError) as failure:
            raise MalformedMessage(f"{cls.__name__} v{version}: {failure}") from failure
        return message

    def encode(self, version: int) -> bytes:
        """The message in one piece."""
        chunks: list[Buffer] = []
        tail = self._encode(version, chunks)
        return tail if not chunks else b"".join((*chunks, tail))

    def encode_chunks(self, version: int) -> list[Buffer]:
        """The message in pieces to be written one after the other; long record batches are not copied."""
        chunks: list[Buffer] = []
        tail = self._encode(version, chunks)
        if tail or not chunks:
            chunks.append(tail)
        return chunks

    def _encode(self, version: int, chunks: list[Buffer]) -> bytes:
        cls = type(self)
        encoder = cls._encoders.get(version)
        if encoder is None:
            encoder = cls._encoders[version] = compile_encoder(cls, cls._known(version), cls.is_flexible(version))
        try:
            return encoder(self, chunks)
        except (struct.error, TypeError, AttributeError, ValueError) as failure:
            raise UnencodableMessage(f"{cls.__name__} v{version}: {failure}") from failure

    @classmethod
    def is_flexible(cls, version: int) -> bool:
        """Whether this version has compact lengths and tagged fields."""
        return version in cls.flexible_versions

    @classmethod
    def _known(cls, version: int) -> int:
        if version not in cls.versions:
            raise UnsupportedVersion(f"{cls.__name__} has no version {version}")
        return version
