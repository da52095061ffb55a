"""The way out of a live task: through a producer, to partitions as Kafka's own partitioners would choose them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from clients.murmur2 import murmur2
from model.errors import MessageTooLarge
from streams.config import StreamsConfig
from streams.engine.batch import BatchProcess, Columns
from streams.engine.collector import ProducedRecord
from streams.engine.dead_letters import reason
from streams.engine.operator import Process
from streams.errors import TaskFailed
from streams.live.trouble import is_of_a_record
from streams.records import NO_TIMESTAMP, Headers, RecordMetadata
from streams.serdes import Serde
from streams.stores.store import BatchChangeWriter, ChangeWriter
from streams.windowed_keys import SessionWindowedSerde, TimeWindowedSerde

if TYPE_CHECKING:
    from clients.delivery import Delivery
    from clients.producer import Producer


class _Origin(NamedTuple):
    """The record that was being processed."""

    key: bytes | None
    value: bytes | None
    topic: str | None
    partition: int
    offset: int


class ProducerCollector:
    """One per task: changes go to the partition of the changelog that is the task's own.

    `last` is the last delivery to each changelog, which tells how far the changelog goes once it is acknowledged.
    `on_failure` hears of records that could not be written and that no handler let pass.
    """

    def __init__(
        self,
        producer: Callable[[], Producer],
        partition: int,
        config: StreamsConfig,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._producer = producer
        self._partition = partition
        self._config = config
        self._on_failure = on_failure
        default = StreamsConfig.production_exception_handler
        self._is_asked = config.production_exception_handler is not default or config.dead_letter_topic is not None
        self.last: dict[str, Delivery] = {}
        self.context: Any = None

    # -- records

    def _send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        timestamp: int | None,
        headers: Headers,
        partition: int | None,
    ) -> None:
        when = None if timestamp is None or timestamp == NO_TIMESTAMP else timestamp
        if not self._is_asked:
            self._producer().send(topic, value, key, partition, when, list(headers))
            return
        record = ProducedRecord(topic, key, value, when, headers, partition)
        context = self.context
        raw_key, raw_value = context.raw
        origin = _Origin(raw_key, raw_value, context.topic, context.partition, context.offset)

        def delivered(_metadata: Any, error: BaseException | None) -> None:
            if error is not None:
                self._refused(record, origin, error)

        try:
            self._producer().send(topic, value, key, partition, when, list(headers), delivered)
        except MessageTooLarge as error:
            self._refused(record, origin, error)

    def _refused(self, record: ProducedRecord, origin: _Origin, error: BaseException) -> None:
        """Ask the app's handler, unless it is the cluster that is in trouble rather than the record."""
        dead_letters = self._config.dead_letter_topic
        if not isinstance(error, Exception) or not is_of_a_record(error) or record.topic == dead_letters:
            self._on_failure(error)
            return
        answer = self._config.production_exception_handler(record, error)
        if dead_letters is not None:  # gets the record that this one came from, as it was read
            told = reason(error, origin.topic, origin.partition, origin.offset)
            self._producer().send(dead_letters, origin.value, origin.key, None, record.timestamp, list(told))
        if answer == "fail":
            self._on_failure(TaskFailed(f"a record for {record.topic} could not be written: {error}"))
        else:
            self.context.dropped_records += 1

    def sink(self, topic: str, key: Serde[Any], value: Serde[Any], partitioner: Any, node: str) -> Process:
        key_bytes, value_bytes, send_bytes = key.serializer(topic), value.serializer(topic), self._send
        choose = partitioner or _by_inner_key(key, topic)
        if choose is None:

            def send(k: Any, v: Any, timestamp: int, headers: Headers, _node: str = node) -> None:
                send_bytes(topic, key_bytes(k), value_bytes(v), timestamp, headers, None)

            return send

        def send_to(k: Any, v: Any, timestamp: int, headers: Headers, _node: str = node) -> None:
            count = len(self._producer().partitions_for(topic).partitions)
            chosen = choose(topic, k, v, count)
            data = key_bytes(k), value_bytes(v)
            if isinstance(chosen, Iterable):  # one copy to each of them; to none, the record is dropped
                for partition in chosen:
                    send_bytes(topic, *data, timestamp, headers, partition)
            else:
                send_bytes(topic, *data, timestamp, headers, chosen)

        return send_to

    def dynamic_sink(self, extractor: Any, key: Serde[Any], value: Serde[Any], partitioner: Any, node: str) -> Process:
        sinks: dict[str, Process] = {}

        def send(k: Any, v: Any, timestamp: int, headers: Headers, _node: str = node) -> None:
            context = self.context
            topic = extractor(k, v, RecordMetadata(context.topic, context.partition, context.offset))
            if topic not in sinks:
                sinks[topic] = self.sink(topic, key, value, partitioner, node)
            sinks[topic](k, v, timestamp, headers)

        return send

    def batch_sink(self, topic: str, key: Serde[Any], value: Serde[Any]) -> BatchProcess:
        keys_bytes, values_bytes = key.batch_serializer(topic), value.batch_serializer(topic)
        choose = _by_inner_key(key, topic)

        def send(batch: Columns) -> None:
            keys, values = keys_bytes(batch.keys), values_bytes(batch.values)
            self.context.has_batch_effects = True
            if choose is not None or self._is_asked:
                count = len(self._producer().partitions_for(topic).partitions)
                for original, k, v, when, its in zip(batch.keys, keys, values, *batch[2:], strict=True):
                    chosen = None if choose is None else choose(topic, original, None, count)
                    self._send(topic, k, v, when, its, chosen)
                return
            its_headers = batch.headers if any(batch.headers) else None
            self._producer().send_columns(topic, keys, values, batch.timestamps, headers=its_headers)

        return send

    def send(self, record: ProducedRecord) -> None:
        self._send(record.topic, record.key, record.value, record.timestamp, record.headers, record.partition)

    # -- changes

    def change_writer(self, store_name: str, topic: str) -> ChangeWriter:
        partition, last = self._partition, self.last

        def write(key: bytes, value: bytes | None, timestamp: int | None, headers: Headers) -> None:
            when = None if timestamp is None or timestamp == NO_TIMESTAMP else timestamp
            last[topic] = self._producer().send(topic, value, key, partition, when, list(headers) if headers else None)

        return write

    def batch_change_writer(self, store_name: str, topic: str) -> BatchChangeWriter:
        partition, last = self._partition, self.last

        def write(keys: Sequence[bytes], values: Sequence[bytes | None], timestamps: Sequence[int]) -> None:
            delivery = self._producer().send_columns(topic, keys, values, timestamps, partition=partition)
            if delivery is not None:
                last[topic] = delivery

        return write


def _by_inner_key(serde: Serde[Any], topic: str) -> Callable[[str, Any, Any, int], int] | None:
    """Windowed keys go where their inner key goes: all windows of a key are in one partition."""
    if not isinstance(serde, (TimeWindowedSerde, SessionWindowedSerde)) or serde.inner is None:
        return None
    inner = serde.inner.serializer(topic)

    def choose(_topic: str, key: Any, _value: Any, partitions: int) -> int:
        return (murmur2(inner(key.key) or b"") & 0x7FFFFFFF) % partitions

    return choose
