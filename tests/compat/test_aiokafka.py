"""aiokafka: the client that never sends a flexible version of anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from odradek import Cluster

pytestmark = pytest.mark.compat


@asynccontextmanager
async def an_admin(cluster: Cluster) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def a_consumer(cluster: Cluster, *partitions: TopicPartition) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(bootstrap_servers=cluster.bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(partitions)
        yield consumer
    finally:
        await consumer.stop()


async def create(cluster: Cluster, topic: str, partitions: int = 1) -> None:
    async with an_admin(cluster) as admin:
        response = await admin.create_topics([NewTopic(topic, partitions, 3)])
        assert [error[1] for error in response.topic_errors] == [0]


async def produce(cluster: Cluster, topic: str, values: list[bytes], **conf: object) -> list[int]:
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, **conf)
    await producer.start()
    try:
        futures = [
            await producer.send(topic, value, partition=0, timestamp_ms=1_700_000_000_000 + i)
            for i, value in enumerate(values)
        ]
        return [metadata.offset if metadata else -1 for metadata in await asyncio.gather(*futures)]
    finally:
        await producer.stop()


async def consume(consumer: AIOKafkaConsumer, count: int) -> list[ConsumerRecord]:
    records: list[ConsumerRecord] = []
    async with asyncio.timeout(30):
        while len(records) < count:
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records += batch
    return records


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_round_trips(cluster: Cluster, topic: str, codec: str | None) -> None:
    async def scenario() -> None:
        await create(cluster, topic)
        values = [f"value {i} ".encode() * 20 for i in range(200)]
        offsets = await produce(cluster, topic, values, compression_type=codec)
        assert offsets == list(range(200))
        async with a_consumer(cluster, TopicPartition(topic, 0)) as consumer:
            await consumer.seek_to_beginning()
            assert [r.value for r in await consume(consumer, 200)] == values

    asyncio.run(scenario())


@pytest.mark.parametrize("acks", [0, 1, "all"])
def test_every_acks_mode_is_written(cluster: Cluster, topic: str, acks: int | str) -> None:
    async def scenario() -> None:
        await create(cluster, topic)
        await produce(cluster, topic, [b"a", b"b"], acks=acks)
        async with a_consumer(cluster, TopicPartition(topic, 0)) as consumer:
            await consumer.seek_to_beginning()
            assert [r.value for r in await consume(consumer, 2)] == [b"a", b"b"]

    asyncio.run(scenario())


def test_an_idempotent_producer_is_served(cluster: Cluster, topic: str) -> None:
    async def scenario() -> None:
        await create(cluster, topic)
        values = [str(i).encode() for i in range(1000)]
        offsets = await produce(cluster, topic, values, enable_idempotence=True, max_batch_size=256)
        assert offsets == list(range(1000))

    asyncio.run(scenario())


def test_offsets_by_position_and_time(cluster: Cluster, topic: str) -> None:
    async def scenario() -> None:
        await create(cluster, topic)
        await produce(cluster, topic, [str(i).encode() for i in range(20)], acks="all")
        partition = TopicPartition(topic, 0)
        async with a_consumer(cluster, partition) as consumer:
            assert await consumer.beginning_offsets([partition]) == {partition: 0}
            assert await consumer.end_offsets([partition]) == {partition: 20}
            found = await consumer.offsets_for_times({partition: 1_700_000_000_007})
            assert found[partition].offset == 7
            consumer.seek(partition, 13)
            assert [r.offset for r in await consume(consumer, 7)] == list(range(13, 20))

    asyncio.run(scenario())


def test_a_consumer_started_on_an_empty_partition_gets_what_comes(cluster: Cluster, topic: str) -> None:
    async def scenario() -> None:
        await create(cluster, topic)
        async with a_consumer(cluster, TopicPartition(topic, 0)) as consumer:
            await consumer.seek_to_end()
            waiting = asyncio.ensure_future(consume(consumer, 1))
            await produce(cluster, topic, [b"news"])
            assert [r.value for r in await waiting] == [b"news"]

    asyncio.run(scenario())


def test_the_admin_client(cluster: Cluster, topic: str) -> None:
    async def scenario() -> None:
        await create(cluster, topic)
        await produce(cluster, topic, [b"x"] * 10, acks="all")
        async with an_admin(cluster) as admin:
            assert topic in await admin.list_topics()
            assert (await admin.describe_cluster())["cluster_id"] == cluster.state()["cluster_id"]
            resource = ConfigResource(ConfigResourceType.TOPIC, topic)
            (answer,) = await admin.describe_configs([resource])
            assert "retention.ms" in {entry[0] for entry in answer.resources[0][4]}
            changed = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "9000000"})
            assert [r[0] for r in (await admin.alter_configs([changed]))[0].resources] == [0]
            await admin.create_partitions({topic: NewPartitions(3)})
            async with asyncio.timeout(10):  # the broker that is asked may hear of them a moment later
                while len((await admin.describe_topics([topic]))[0]["partitions"]) != 3:
                    pass
            partition = TopicPartition(topic, 0)
            assert await admin.delete_records({partition: RecordsToDelete(before_offset=4)}) == {partition: 4}
            response = await admin.delete_topics([topic])
            assert [code for _, code in response.topic_error_codes] == [0]

    asyncio.run(scenario())
