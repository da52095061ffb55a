"""A record as the consumer hands it out: a view that decodes what is looked at, when it is looked at."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from model.ids import TopicPartition

if TYPE_CHECKING:
    from clients.configs import Deserializer


class Source(NamedTuple):
    """What the records of one batch have in common."""

    topic: str
    partition: int
    leader_epoch: int
    timestamp_type: str
    deserialize_key: Deserializer | None
    deserialize_value: Deserializer | None


class ConsumerRecord(tuple[Any, Source]):
    """Made in compiled code, a tuple of the codec's record and its source; use the properties."""

    __slots__ = ()

    @property
    def topic(self) -> str:
        return self[1].topic

    @property
    def partition(self) -> int:
        return self[1].partition

    @property
    def topic_partition(self) -> TopicPartition:
        return TopicPartition(self[1].topic, self[1].partition)

    @property
    def offset(self) -> int:
        return self[0].offset  # type: ignore[no-any-return]

    @property
    def timestamp(self) -> int:
        """Milliseconds: the producer's (CreateTime) or the broker's (LogAppendTime), see `timestamp_type`."""
        return self[0].timestamp  # type: ignore[no-any-return]

    @property
    def timestamp_type(self) -> str:
        return self[1].timestamp_type

    @property
    def leader_epoch(self) -> int:
        return self[1].leader_epoch

    @property
    def key(self) -> Any:
        """Bytes or None."""
        return self[0].key

    @property
    def value(self) -> Any:
        """Bytes or None; None is a tombstone in a compacted topic."""
        return self[0].value

    @property
    def raw_key(self) -> bytes | None:
        """Before the deserializer."""
        return self[0].key  # type: ignore[no-any-return]

    @property
    def raw_value(self) -> bytes | None:
        """Before the deserializer."""
        return self[0].value  # type: ignore[no-any-return]

    @property
    def headers(self) -> list[tuple[str, bytes | None]]:
        return list(self[0].headers)

    def header(self, name: str) -> bytes | None:
        """The last header of that name; None when there is none."""
        for key, value in reversed(self[0].headers):
            if key == name:
                return value  # type: ignore[no-any-return]
        return None

    def __repr__(self) -> str:
        return f"<ConsumerRecord {self.topic}-{self.partition}@{self.offset}>"


class DeserializedRecord(ConsumerRecord):
    """With deserializers: what they give is kept, what they raise is raised where the record is looked at."""

    @cached_property
    def key(self) -> Any:
        raw, deserialize = self[0].key, self[1].deserialize_key
        return raw if deserialize is None or raw is None else deserialize(raw)

    @cached_property
    def value(self) -> Any:
        raw, deserialize = self[0].value, self[1].deserialize_value
        return raw if deserialize is None or raw is None else deserialize(raw)
