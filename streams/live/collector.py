"""The way out of a live task: through a producer, to partitions as Kafka's own partitioner would choose them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from clients.producer import Producer
from streams.engine.batch import BatchProcess, Columns
from streams.engine.collector import ProducedRecord
from streams.engine.operator import Process
from streams.records import NO_TIMESTAMP, Headers, RecordMetadata
from streams.serdes import Serde
from streams.stores.store import BatchChangeWriter, ChangeWriter


class ProducerCollector:
    """One per task: changes go to the partition of the changelog that is the task's own."""

    def __init__(self, producer: Callable[[], Producer], partition: int, on_failure: Callable[[BaseException], None]):
        self._producer = producer
        self._partition = partition
        self._on_failure = on_failure
        self.context: Any = None

    def _delivered(self, _metadata: Any, error: BaseException | None) -> None:
        if error is not None:
            self._on_failure(error)

    def _send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        timestamp: int | None,
        headers: Headers,
        partition: int | None,
    ) -> None:
        self._producer().send(
            topic,
            value,
            key,
            partition,
            None if timestamp is None or timestamp == NO_TIMESTAMP else timestamp,
            list(headers),
            self._delivered,
        )

    def sink(self, topic: str, key: Serde[Any], value: Serde[Any], partitioner: Any, node: str) -> Process:
        key_bytes, value_bytes, send_bytes = key.serializer(topic), value.serializer(topic), self._send

        def send(k: Any, v: Any, timestamp: int, headers: Headers, _node: str = node) -> None:
            partition = None
            if partitioner is not None:
                count = len(self._producer().partitions_for(topic).partitions)
                partition = partitioner(topic, k, v, count)
            send_bytes(topic, key_bytes(k), value_bytes(v), timestamp, headers, partition)

        return send

    def dynamic_sink(self, extractor: Any, key: Serde[Any], value: Serde[Any], partitioner: Any, node: str) -> Process:
        sinks: dict[str, Process] = {}

        def send(k: Any, v: Any, timestamp: int, headers: Headers, _node: str = node) -> None:
            context = self.context
            topic = extractor(k, v, RecordMetadata(context.topic, context.partition, context.offset))
            if topic not in sinks:
                sinks[topic] = self.sink(topic, key, value, partitioner, node)
            sinks[topic](k, v, timestamp, headers)

        return send

    def change_writer(self, store_name: str, topic: str) -> ChangeWriter:
        send_bytes, partition = self._send, self._partition

        def write(key: bytes, value: bytes | None, timestamp: int | None, headers: Headers) -> None:
            send_bytes(topic, key, value, timestamp, headers, partition)

        return write

    def batch_sink(self, topic: str, key: Serde[Any], value: Serde[Any]) -> BatchProcess:
        keys_bytes, values_bytes, send_bytes = key.batch_serializer(topic), value.batch_serializer(topic), self._send

        def send(batch: Columns) -> None:
            keys, values = keys_bytes(batch.keys), values_bytes(batch.values)
            self.context.has_batch_effects = True
            for k, v, timestamp, headers in zip(keys, values, batch.timestamps, batch.headers, strict=True):
                send_bytes(topic, k, v, timestamp, headers, None)

        return send

    def batch_change_writer(self, store_name: str, topic: str) -> BatchChangeWriter:
        send_bytes, partition = self._send, self._partition

        def write(keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]) -> None:
            for key, value, timestamp in zip(keys, values, timestamps, strict=True):
                send_bytes(topic, key, value, timestamp, (), partition)

        return write

    def send(self, record: ProducedRecord) -> None:
        self._send(record.topic, record.key, record.value, record.timestamp, record.headers, record.partition)
