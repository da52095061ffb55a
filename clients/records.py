"""A record as the consumer hands it out: a view that decodes what is looked at, when it is looked at.

Views are made by the thousand, so they are structs, filled and read in compiled code, and none of the garbage
collector's business (millions of records a second had it look at everything, over and over). Value, key and offset are
in the view; timestamp and headers are found by opening the batch a second time, once for all its records.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from itertools import chain, groupby, islice, repeat
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from model.ids import TopicPartition

if TYPE_CHECKING:
    from clients.configs import Deserializer
    from protocol.records import BatchHeader

_value_of, _key_of, _offset_of, _source_of = map(attrgetter, ("value", "key", "offset", "_source"))
_timestamp_of, _headers_of = map(attrgetter, ("timestamp", "headers"))
_SLICE: Final = 128  # the codec's own records are garbage-collected: so few at a time never set a collection off


class Source:
    """What the records of one batch have in common. `batch` are its bytes, header and all."""

    __slots__ = (
        "_columns",
        "_opened",
        "batch",
        "deserialize_key",
        "deserialize_value",
        "leader_epoch",
        "partition",
        "timestamp_type",
        "topic",
    )

    def __init__(
        self,
        topic: str,
        partition: int,
        batch: bytes,
        header: BatchHeader,
        deserialize_key: Deserializer | None,
        deserialize_value: Deserializer | None,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.batch = batch
        self.leader_epoch = header.leader_epoch
        self.timestamp_type = header.timestamp_type
        self.deserialize_key = deserialize_key
        self.deserialize_value = deserialize_value
        self._opened: list[Any] | None = None
        self._columns: tuple[list[int], list[int], list[Any]] | None = None

    def views(self, record_class: type[ConsumerRecord]) -> list[ConsumerRecord]:
        """Of all its records. Raises what the codec raises for bytes that make no sense."""
        from aiokafka.record.default_records import DefaultRecordBatch

        views: list[ConsumerRecord] = []
        records: Iterator[Any] = chain(DefaultRecordBatch(self.batch))
        while part := list(islice(records, _SLICE)):
            views += map(record_class, map(_value_of, part), map(_key_of, part), map(_offset_of, part), repeat(self))
        return views

    def columns(self) -> tuple[list[int], list[int], list[Any]]:
        """Offsets, timestamps and headers (tuples, one and the same for those that have none) of all its records."""
        if self._columns is None:
            from aiokafka.record.default_records import DefaultRecordBatch

            offsets: list[int] = []
            timestamps: list[int] = []
            headers: list[Any] = []
            records: Iterator[Any] = chain(DefaultRecordBatch(self.batch))
            while part := list(islice(records, _SLICE)):
                offsets += map(_offset_of, part)
                timestamps += map(_timestamp_of, part)
                headers += map(tuple, map(_headers_of, part))
            self._columns = offsets, timestamps, headers
        return self._columns

    def record_at(self, offset: int) -> Any:
        """The codec's own record."""
        opened = self._opened
        if opened is None:
            from aiokafka.record.default_records import DefaultRecordBatch

            opened = self._opened = list(DefaultRecordBatch(self.batch))
        index = offset - opened[0].offset
        if index >= len(opened) or opened[index].offset != offset:  # compaction took some out
            index = bisect_left(opened, offset, key=_offset_of)
        return opened[index]


class ConsumerRecord(Struct, frozen=True, eq=False, gc=False):
    """`value` and `key` are bytes or None; a value of None is a tombstone in a compacted topic."""

    value: Any
    key: Any
    offset: int
    _source: Source

    @property
    def topic(self) -> str:
        return self._source.topic

    @property
    def partition(self) -> int:
        return self._source.partition

    @property
    def topic_partition(self) -> TopicPartition:
        return TopicPartition(self._source.topic, self._source.partition)

    @property
    def timestamp(self) -> int:
        """Milliseconds: the producer's (CreateTime) or the broker's (LogAppendTime), see `timestamp_type`."""
        return self._source.record_at(self.offset).timestamp  # type: ignore[no-any-return]

    @property
    def timestamp_type(self) -> str:
        return self._source.timestamp_type

    @property
    def leader_epoch(self) -> int:
        return self._source.leader_epoch

    @property
    def raw_key(self) -> bytes | None:
        """Before the deserializer."""
        return _raw_key(self)

    @property
    def raw_value(self) -> bytes | None:
        """Before the deserializer."""
        return _raw_value(self)

    @property
    def headers(self) -> list[tuple[str, bytes | None]]:
        return list(self._source.record_at(self.offset).headers)

    def header(self, name: str) -> bytes | None:
        """The last header of that name; None when there is none."""
        for key, value in reversed(self._source.record_at(self.offset).headers):
            if key == name:
                return value  # type: ignore[no-any-return]
        return None

    def __repr__(self) -> str:
        return f"<ConsumerRecord {self.topic}-{self.partition}@{self.offset}>"


def by_partition(records: Iterable[ConsumerRecord]) -> dict[TopicPartition, list[ConsumerRecord]]:
    """Batch by batch, not record by record; in their order."""
    found: dict[TopicPartition, list[ConsumerRecord]] = {}
    for source, part in groupby(records, _source_of):
        found.setdefault(TopicPartition(source.topic, source.partition), []).extend(part)
    return found


_raw_key: Callable[[ConsumerRecord], bytes | None] = ConsumerRecord.key.__get__
_raw_value: Callable[[ConsumerRecord], bytes | None] = ConsumerRecord.value.__get__


raw_key_of, raw_value_of = _raw_key, _raw_value
source_of: Callable[[ConsumerRecord], Source] = attrgetter("_source")


class DeserializedRecord(ConsumerRecord, frozen=True, eq=False, gc=True, dict=True):
    """With deserializers: what they give is kept, what they raise is raised where the record is looked at."""

    @cached_property  # type: ignore[misc]
    def key(self) -> Any:
        raw, deserialize = _raw_key(self), self._source.deserialize_key
        return raw if deserialize is None or raw is None else deserialize(raw)

    @cached_property  # type: ignore[misc]
    def value(self) -> Any:
        raw, deserialize = _raw_value(self), self._source.deserialize_value
        return raw if deserialize is None or raw is None else deserialize(raw)
