"""What the synchronous and the asynchronous producer share: everything but the waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from clients import partitioners
from clients.accumulator import Accumulator, Headers, OnDelivery, TopicQueues
from clients.cluster import ClusterClient
from clients.configs import ClientConfig
from clients.delivery import Delivery
from clients.errors import BufferFull, ClientClosed
from clients.identity import IdempotentIdentity, Identity
from clients.interceptors import Interceptors, OutgoingRecord
from clients.sender import Sender
from clients.transactional_core import TransactionalCore
from model.errors import ErrorCode, InvalidTopic, KafkaError, UnknownTopicOrPartition, kafka_error

_FATAL_TOPIC: Final = (ErrorCode.INVALID_TOPIC_EXCEPTION, ErrorCode.TOPIC_AUTHORIZATION_FAILED)


class NotYet(Exception):
    """`append` can't go on: wait for the topic's metadata (`topic`), or for memory (`topic` is None)."""

    def __init__(self, topic: str | None, partition: int | None = None) -> None:
        super().__init__(topic)
        self.topic = topic
        self.partition = partition


class ProducerCore(TransactionalCore):
    """Made on the loop that does the sending; `append` and `append_many` may be called from any thread."""

    def __init__(self, config: ClientConfig) -> None:
        self.config = config
        self.cluster = ClusterClient(config, may_create_topics=True)
        self.is_transactional = bool(config.get_str("transactional.id"))
        self.accumulator = Accumulator(
            batch_size=config.get_int("batch.size"),
            buffer_memory=config.get_int("buffer.memory"),
            max_request_size=config.get_int("max.request.size"),
            codec=config.get_str("compression.type"),
            is_transactional=self.is_transactional,
            wake=lambda: self.sender.soon(),
        )
        self.identity = self._make_identity()
        self.sender = self.identity.sender = Sender(self.cluster, self.accumulator, self.identity)
        self.cluster.on_metadata.append(self._on_metadata)
        self.serialize_key = config.get_object("key.serializer")
        self.serialize_value = config.get_object("value.serializer")
        self.partitioner = partitioners.make(config.get_object("partitioner") or config.get_str("partitioner"))
        self.sticks = not config.get_object("partitioner") and config.get_str("partitioner") in partitioners.STICKING
        self.interceptors = Interceptors(config.get_object("interceptors"))
        self.is_closed = False
        self.topics: dict[str, TopicQueues] = self.accumulator.topics

    def _make_identity(self) -> Identity:
        if self.is_transactional:
            from clients.transactions import TransactionalIdentity

            return TransactionalIdentity(self.cluster)
        return (
            IdempotentIdentity(self.cluster) if self.config.get_bool("enable.idempotence") else Identity(self.cluster)
        )

    def quick_topics(self) -> Mapping[str, TopicQueues]:
        """The topics whose open batches a record may go into as it is; none where there is more to do about each."""
        is_plain = (
            self.serialize_key is None
            and self.serialize_value is None
            and not self.interceptors.are_there
            and not self.is_transactional
        )
        return self.topics if is_plain else {}

    def append(
        self,
        topic: str,
        value: Any,
        key: Any,
        partition: int | None,
        timestamp_ms: int | None,
        headers: Headers | None,
        on_delivery: OnDelivery | None,
    ) -> Delivery:
        """Into the buffer, without waiting. Raises NotYet when there is something to wait for first."""
        if self.interceptors.are_there:
            record = self.interceptors.on_send(
                OutgoingRecord(topic, value, key, partition, timestamp_ms, list(headers or ()))
            )
            topic, value, key, partition, timestamp_ms, headers = record
            on_delivery = self.interceptors.wrap(record, on_delivery)
        if self.serialize_value is not None:
            value = self.serialize_value(value)
        if self.serialize_key is not None:
            key = self.serialize_key(key)
        queues = self.topics.get(topic)
        if queues is None:
            raise NotYet(topic)
        if partition is None:
            partition = self.partitioner(topic, key, value, queues.partitions)
        if partition >= queues.partitions:
            raise NotYet(topic, partition)
        if self.is_closed or self.sender.failure is not None or self.is_transactional:
            self.check()
        try:
            return self.accumulator.append(queues, partition, timestamp_ms, key, value, headers, on_delivery)
        except BufferFull as error:
            raise NotYet(None) from error

    def append_many(
        self, topic: str, values: Sequence[Any], key: Any, partition: int | None, timestamp_ms: int | None
    ) -> tuple[int, list[Delivery]]:
        """As many as there is room for, and the last delivery of each batch. Raises NotYet for an unknown topic."""
        queues = self.topics.get(topic)
        if queues is None:
            raise NotYet(topic)
        self.check()
        if partition is None:
            partition = self.partitioner(topic, key, None, queues.partitions)
        if partition >= queues.partitions:
            raise NotYet(topic, partition)
        return self.accumulator.append_many(queues, partition, timestamp_ms, key, values)

    def check(self) -> None:
        """Raises what makes sending senseless: closed, failed, or no transaction begun."""
        if self.is_closed:
            raise ClientClosed("the producer is closed")
        if self.sender.failure is not None:
            raise self.sender.failure
        self.identity.check_may_append()

    async def learn(self, topic: str, partition: int | None = None) -> None:
        """Until the topic is known and has that partition. Raises what the cluster says against it."""
        if not topic or not isinstance(topic, str):
            raise InvalidTopic(f"not a topic's name: {topic!r}")
        cluster = self.cluster
        cluster.topics.add(topic)
        rounds = 0
        while True:
            await cluster.refresh()
            rounds += 1
            if topic in self.topics:
                if partition is None or partition < self.topics[topic].partitions:
                    return
                if rounds > 1:
                    raise UnknownTopicOrPartition(f"{topic} has {self.topics[topic].partitions} partitions")
            error = cluster.metadata.errors.get(topic)
            if error in _FATAL_TOPIC:
                cluster.topics.discard(topic)
                raise kafka_error(error, topic)

    def why_not(self, topic: str) -> KafkaError:
        """For a topic that did not become known in time."""
        error = self.cluster.metadata.errors.get(topic)
        why = error.name if error is not None else self.cluster.last_failure or "no answer"
        return UnknownTopicOrPartition(f"{topic} did not become known within max.block.ms; {why}")

    async def flush(self) -> None:
        """Until all that was sent before is acknowledged or failed."""
        accumulator, sender = self.accumulator, self.sender
        with accumulator.lock:
            batches = [batch for batch in accumulator.unfinished if batch.count]
        if not batches:
            return
        done = asyncio.get_running_loop().create_future()
        left = len(batches)

        def tell() -> None:
            nonlocal left
            left -= 1
            if not left and not done.done():
                done.set_result(None)

        for batch in batches:
            if not batch.call_when_done(tell):
                tell()
        sender.is_flushing += 1
        try:
            sender.pump()
            await done
        finally:
            sender.is_flushing -= 1

    async def close(self, timeout_s: float | None) -> None:
        """Flush for at most that long, fail the rest, and go."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.flush()
        except TimeoutError:
            pass
        self.is_closed = True
        self.sender.fail_all(ClientClosed("the producer was closed before the record was acknowledged"))
        self.sender.close()
        self.interceptors.close()
        await self.cluster.close()

    def metrics(self) -> dict[str, float]:
        """Counters by the names that Java's producer uses."""
        return self.sender.metrics.snapshot(
            used=self.accumulator.used,
            limit=self.config.get_int("buffer.memory"),
            in_flight=self.sender.requests_in_flight,
        )

    def _on_metadata(self) -> None:
        metadata, accumulator = self.cluster.metadata, self.accumulator
        for name in self.cluster.topics:
            view = metadata.topics.get(name)
            if view is None or not view.partitions:
                continue
            available = sorted(p.partition for p in view.partitions.values() if p.leader >= 0)
            with accumulator.lock:
                queues = accumulator.topics.get(name)
                if queues is None:
                    accumulator.topics[name] = TopicQueues(name, len(view.partitions), available)
                else:
                    queues.available, queues.partitions = available, len(view.partitions)
