"""Values that carry their own version, and keys that carry their record type, as the first two bytes.

So are written what group members send each other (`consumer_protocol.py`) and the records of the internal topics.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TypeVar

from protocol.codec import Buffer, MalformedMessage, Message

M = TypeVar("M", bound=Message)

_PREFIX = struct.Struct(">h")


def encode_with_version(message: Message, version: int) -> bytes:
    return _PREFIX.pack(version) + message.encode(version)


def decode_with_version(cls: type[M], buffer: Buffer) -> M:
    """The value; one of a later version than ours is read as our latest. Raises MalformedMessage."""
    version = _read_prefix(buffer)
    if version < cls.versions.start:
        raise MalformedMessage(f"{cls.__name__} has no version {version}")
    return cls.decode(buffer, min(version, cls.versions.stop - 1), _PREFIX.size)


def encode_record_key(key: Message) -> bytes:
    """The key of a record in an internal topic: its type, then its fields."""
    return _PREFIX.pack(type(key).api_key) + key.encode(0)


def decode_record_key(types: Mapping[int, type[Message]], buffer: Buffer) -> Message | None:
    """The key, as one of `types`; None when it is of another type, which is to be passed over."""
    cls = types.get(_read_prefix(buffer))
    return None if cls is None else cls.decode(buffer, 0, _PREFIX.size)


def _read_prefix(buffer: Buffer) -> int:
    try:
        prefix: int = _PREFIX.unpack_from(buffer)[0]
    except struct.error as failure:
        raise MalformedMessage(f"version prefix: {failure}") from failure
    return prefix
