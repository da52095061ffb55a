"""Other people's codecs, asked for the bytes of our messages.

kafka-python gets the values of a message and encodes them by itself. kio's types are richer than ours (timedelta,
enums), so it reads our bytes, and must write the same ones again.
"""

from __future__ import annotations

import functools
import io
import uuid
from typing import Any

import kafka.protocol.admin
import kafka.protocol.consumer
import kafka.protocol.metadata
import kafka.protocol.producer
import kafka.protocol.sasl  # noqa: F401 (registers its messages)
import kio.index
from kafka.protocol.api_message import ApiMessage
from kio.serial import entity_reader, entity_writer
from kio.static.constants import EntityType

from protocol.codec import Message, Struct
from protocol.spec import WireType

_THEIR_NAMES = {
    "cluster_authorized_operations": "authorized_operations",
    "topic_authorized_operations": "authorized_operations",
    "generation_id_or_member_epoch": "generation_id",
}


@functools.cache
def _kafka_python_classes() -> dict[str, Any]:
    return {cls.__name__: cls for cls in ApiMessage.__subclasses__() if "_v" not in cls.__name__}


def kafka_python_class(cls: type[Message], version: int) -> Any | None:
    """kafka-python's class for this message; None when it doesn't know the version."""
    theirs = _kafka_python_classes().get(cls.__name__)
    return theirs if theirs is not None and version <= theirs.max_version else None


def kafka_python_bytes(message: Message, version: int) -> bytes:
    theirs = kafka_python_class(type(message), version)
    assert theirs is not None
    values = _kafka_python_values(message, version, theirs._struct)
    encoded: bytes = theirs(version=version, **values).encode(version=version)
    return encoded


def _kafka_python_values(message: Struct, version: int, struct: Any) -> dict[str, Any]:
    """Constructor arguments for `struct`'s class, matched by field name."""
    values = {}
    for each in message.schema.fields:
        if version not in each.versions:
            continue
        value = getattr(message, each.name)
        if each.tag is not None and value == each.new_default():
            continue
        name = each.name if each.name in struct.fields else _THEIR_NAMES[each.name]
        theirs = struct.fields[name]
        if theirs.type_str == "bitfield":
            value = {bit for bit in range(32) if value >> bit & 1}
        if isinstance(each.item, WireType):
            if each.item.name == "uuid":
                value = [uuid.UUID(bytes=one) for one in value] if each.is_list else uuid.UUID(bytes=value)
        elif value is not None:
            inner = theirs.array_of if each.is_list else theirs
            nested = [
                inner.data_class(version=version, **_kafka_python_values(one, version, inner))
                for one in (value if each.is_list else [value])
            ]
            value = nested if each.is_list else nested[0]
        values[name] = value
    return values


def kio_class(cls: type[Message], version: int) -> Any | None:
    """kio's class for this message; None when it doesn't know the version."""
    kind = EntityType.request if cls.__name__.endswith("Request") else EntityType.response
    try:
        load = kio.index.load_request_schema if kind is EntityType.request else kio.index.load_response_schema
        return load(cls.api_key, version)
    except kio.index.KioIndexError:
        return None


def kio_rewritten(theirs: Any, encoded: bytes) -> bytes:
    """What kio writes for what it read from `encoded`."""
    entity, size = entity_reader(theirs)(encoded, 0)
    assert size == len(encoded)
    out = io.BytesIO()
    entity_writer(theirs)(out, entity)
    return out.getvalue()
