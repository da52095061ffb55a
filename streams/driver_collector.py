"""What a task in the test driver produces: kept in lists, in order, as bytes and as the objects they were."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from streams.engine.batch import BatchProcess, BatchSource, Columns
from streams.engine.collector import ProducedRecord
from streams.engine.operator import Process
from streams.records import NO_TIMESTAMP, Headers, RecordMetadata
from streams.serdes import Serde
from streams.stores.store import BatchChangeWriter, ChangeWriter


class ProducedBatch(NamedTuple):
    """Records as they go to a topic, and before they became bytes; without serdes, the changes of a store."""

    topic: str
    data: Columns
    objects: Columns | None
    key: Serde[Any] | None
    value: Serde[Any] | None

    def records(self) -> Iterator[ProducedRecord]:
        topic, partition = self.topic, 0 if self.objects is None else None
        for key, value, timestamp, headers in zip(*self.data, strict=True):
            yield ProducedRecord(topic, key, value, timestamp, headers, partition)


class ListCollector:
    """Keeps what a task produces, in order."""

    def __init__(self) -> None:
        self.records: list[ProducedRecord] = []
        self.batches: list[ProducedBatch] = []
        self.context: Any = None

    def sink(self, topic: str, key: Serde[Any], value: Serde[Any], partitioner: Any, node: str) -> Process:
        key_bytes, value_bytes, append = key.serializer(topic), value.serializer(topic), self.records.append

        def send(k: Any, v: Any, timestamp: int, headers: Headers, _node: str = node) -> None:
            append(ProducedRecord(topic, key_bytes(k), value_bytes(v), timestamp, headers))

        return send

    def dynamic_sink(self, extractor: Any, key: Serde[Any], value: Serde[Any], partitioner: Any, node: str) -> Process:
        sinks: dict[str, Process] = {}

        def send(k: Any, v: Any, timestamp: int, headers: Headers, _node: str = node) -> None:
            context = self.context
            topic = extractor(k, v, RecordMetadata(context.topic, context.partition, context.offset))
            sink = sinks.get(topic)
            if sink is None:
                sink = sinks[topic] = self.sink(topic, key, value, partitioner, node)
            sink(k, v, timestamp, headers)

        return send

    def change_writer(self, store_name: str, topic: str) -> ChangeWriter:
        append = self.records.append

        def write(key: bytes, value: bytes | None, timestamp: int | None, headers: Headers) -> None:
            append(ProducedRecord(topic, key, value, None if timestamp == NO_TIMESTAMP else timestamp, headers, 0))

        return write

    def batch_sink(self, topic: str, key: Serde[Any], value: Serde[Any]) -> BatchProcess:
        keys_bytes, values_bytes = key.batch_serializer(topic), value.batch_serializer(topic)
        append = self.batches.append

        def send(batch: Columns) -> None:
            data = batch._replace(keys=keys_bytes(batch.keys), values=values_bytes(batch.values))
            self.context.has_batch_effects = True
            append(ProducedBatch(topic, data, batch, key, value))

        return send

    def batch_change_writer(self, store_name: str, topic: str) -> BatchChangeWriter:
        append = self.batches.append

        def write(keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]) -> None:
            append(ProducedBatch(topic, Columns(keys, values, timestamps, [()] * len(keys)), None, None, None))

        return write

    def send(self, record: ProducedRecord) -> None:
        self.records.append(record)

    def drain(self) -> list[ProducedRecord]:
        records = self.records[:]
        self.records.clear()
        return records


def survives_as_it_is(source: BatchSource, produced: ProducedBatch) -> bool:
    """Whether reading back what was just written would give equal objects."""
    key, value = source.key_serde, source.value_serde
    return key.immutable and value.immutable and key == produced.key and value == produced.value
