"""The ids that travel through every room."""

from __future__ import annotations

import base64
import binascii
import os
from typing import NamedTuple, NewType

BrokerId = NewType("BrokerId", int)

TopicId = NewType("TopicId", bytes)
"""16 raw bytes, as on the wire; text only for people (see topic_id_to_str)."""

NO_BROKER = BrokerId(-1)
NO_TOPIC_ID = TopicId(bytes(16))

_METADATA_TOPIC_ID = bytes(15) + b"\x01"
"""Kafka keeps this id for its own metadata log; a client may treat it specially, so no topic gets it."""


class TopicPartition(NamedTuple):
    topic: str
    partition: int

    def __str__(self) -> str:
        """`topic-0`, which is also the name of the partition's directory."""
        return f"{self.topic}-{self.partition}"


def new_topic_id() -> TopicId:
    """A random id whose text doesn't start with '-', which a shell would take for an option."""
    while True:
        raw = bytearray(os.urandom(16))
        raw[6] = raw[6] & 0x0F | 0x40
        raw[8] = raw[8] & 0x3F | 0x80
        topic_id = TopicId(bytes(raw))
        if topic_id not in (NO_TOPIC_ID, _METADATA_TOPIC_ID) and topic_id_to_str(topic_id)[0] != "-":
            return topic_id


def topic_id_to_str(topic_id: bytes) -> str:
    """22 characters of url-safe base64 without padding, as Kafka's tools and `partition.metadata` write it."""
    return base64.urlsafe_b64encode(topic_id).rstrip(b"=").decode("ascii")


def topic_id_from_str(text: str) -> TopicId:
    """Raises ValueError when `text` isn't such an id."""
    try:
        raw = base64.b64decode(text + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(text) != 22 or len(raw) != 16:
        raise ValueError(f"not a topic id: {text!r}")
    return TopicId(raw)


def topic_partition_from_str(text: str) -> TopicPartition:
    """The inverse of `str(topic_partition)`; raises ValueError when `text` isn't `topic-0`."""
    topic, dash, partition = text.rpartition("-")
    if not (topic and dash and partition.isascii() and partition.isdigit()):
        raise ValueError(f"not a topic and partition: {text!r}")
    return TopicPartition(topic, int(partition))
