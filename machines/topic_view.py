"""What a group's machine sees of the cluster's topics, handed to it with each event that needs it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple, Protocol

from model.ids import topic_id_to_str

Partitions = frozenset[tuple[bytes, int]]
"""Partitions by topic id: what a member of a KIP-848 group owns, shall own, or gives away."""

NO_PARTITIONS: Partitions = frozenset()


class TopicShape(NamedTuple):
    topic_id: bytes
    partitions: int


class TopicView(Protocol):
    """The topics of one moment."""

    def names(self) -> Iterable[str]: ...

    def shape(self, name: str) -> TopicShape | None:
        """None: there is no such topic."""

    def name_of(self, topic_id: bytes) -> str | None: ...


class NoTopics:
    """An empty cluster."""

    def names(self) -> Iterable[str]:
        return ()

    def shape(self, name: str) -> TopicShape | None:
        return None

    def name_of(self, topic_id: bytes) -> str | None:
        return None


NO_TOPICS = NoTopics()


def hash_of(names: Iterable[str], topics: TopicView) -> int:
    """A number that changes when one of these topics comes, goes or grows; 0 when none of them exists."""
    shapes = [(name, shape) for name in sorted(names) if (shape := topics.shape(name)) is not None]
    if not shapes:
        return 0
    text = "\n".join(f"{name} {topic_id_to_str(shape.topic_id)} {shape.partitions}" for name, shape in shapes)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)
