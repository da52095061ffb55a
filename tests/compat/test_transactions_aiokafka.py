"""aiokafka's transactions: version 0 of everything."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import ProducerFenced
from committed import read

from odradek import Cluster, wait_until

pytestmark = pytest.mark.compat


@asynccontextmanager
async def a_producer(cluster: Cluster, name: str | None = None) -> AsyncIterator[AIOKafkaProducer]:
    transactional_id = name or f"tx-{uuid.uuid4().hex[:10]}"
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, transactional_id=transactional_id)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


def test_commit_and_abort(cluster: Cluster, topic: str) -> None:
    async def scenario() -> None:
        async with a_producer(cluster) as producer:
            for number in range(6):
                await producer.begin_transaction()
                for partition in range(3):
                    await producer.send_and_wait(topic, b"%d" % number, partition=partition)
                if number % 2:
                    await producer.abort_transaction()
                else:
                    await producer.commit_transaction()

    asyncio.run(scenario())
    expected = [b"0", b"2", b"4"] * 3
    wait_until(lambda: read(cluster.bootstrap, topic, partitions=3) == expected, what="the committed ones")


def test_a_second_producer_fences_the_first(cluster: Cluster, topic: str) -> None:
    async def scenario() -> None:
        name = f"tx-{uuid.uuid4().hex[:10]}"
        async with a_producer(cluster, name) as old:
            await old.begin_transaction()
            await old.send_and_wait(topic, b"old", partition=0)
            async with a_producer(cluster, name) as new:
                with pytest.raises(ProducerFenced):
                    await old.commit_transaction()
                async with new.transaction():
                    await new.send_and_wait(topic, b"new", partition=0)

    asyncio.run(scenario())
    wait_until(lambda: read(cluster.bootstrap, topic) == [b"new"], what="the new one's record")


def test_its_own_read_committed_consumer_filters_aborted_records(cluster: Cluster, topic: str) -> None:
    async def scenario() -> list[bytes]:
        async with a_producer(cluster) as producer:
            await producer.begin_transaction()
            await producer.send_and_wait(topic, b"aborted", partition=0)
            await producer.abort_transaction()
            async with producer.transaction():
                await producer.send_and_wait(topic, b"kept", partition=0)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=cluster.bootstrap, isolation_level="read_committed", enable_auto_commit=False
        )
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic, 0)])
            await consumer.seek_to_beginning()
            async with asyncio.timeout(30):
                record = await consumer.getone()
            return [record.value]
        finally:
            await consumer.stop()

    assert asyncio.run(scenario()) == [b"kept"]


def test_offsets_travel_with_the_transaction(cluster: Cluster, topic: str) -> None:
    async def scenario() -> None:
        group, partition = f"g-{topic}", TopicPartition(topic, 0)
        async with a_producer(cluster) as producer:
            async with producer.transaction():
                await producer.send_and_wait(topic, b"x", partition=0)
            await producer.begin_transaction()
            await producer.send_offsets_to_transaction({partition: 1}, group)
            await producer.abort_transaction()
            consumer = AIOKafkaConsumer(bootstrap_servers=cluster.bootstrap, group_id=group, enable_auto_commit=False)
            await consumer.start()
            try:
                consumer.assign([partition])
                assert await consumer.committed(partition) is None
                async with producer.transaction():
                    await producer.send_offsets_to_transaction({partition: 1}, group)
                async with asyncio.timeout(30):
                    while await consumer.committed(partition) != 1:
                        await asyncio.sleep(0.05)
            finally:
                await consumer.stop()

    asyncio.run(scenario())
