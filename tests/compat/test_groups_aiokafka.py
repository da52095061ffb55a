"""aiokafka in classic groups: rebalances as listeners see them, ways to commit and to read, the admin's calls."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor

from odradek import Cluster

pytestmark = pytest.mark.compat

PARTITIONS = 4


class Listener(ConsumerRebalanceListener):
    """Writes down, in order, what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, list[int]]] = []

    @property
    def shares(self) -> list[tuple[str, list[int]]]:
        """Those that were about any partition: before it knows the topic it may be assigned nothing."""
        return [event for event in self.events if event[1]]

    async def on_partitions_revoked(self, revoked: Any) -> None:
        self.events.append(("revoke", sorted(p.partition for p in revoked)))

    async def on_partitions_assigned(self, assigned: Any) -> None:
        self.events.append(("assign", sorted(p.partition for p in assigned)))


class Stage:
    """A topic of four partitions with ten records each, a group, and members that are stopped at the end."""

    def __init__(self, cluster: Cluster, topic: str, admin: AIOKafkaAdminClient, stack: AsyncExitStack) -> None:
        self.cluster = cluster
        self.topic = topic
        self.group = f"g-{uuid.uuid4().hex[:10]}"
        self.admin = admin
        self.stack = stack

    async def member(self, **conf: Any) -> tuple[AIOKafkaConsumer, Listener]:
        settings: dict[str, Any] = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
        settings |= {"heartbeat_interval_ms": 200, "session_timeout_ms": 6_000, "metadata_max_age_ms": 1_000} | conf
        consumer = AIOKafkaConsumer(bootstrap_servers=self.cluster.bootstrap, group_id=self.group, **settings)
        listener = Listener()
        consumer.subscribe([self.topic], listener=listener)
        await consumer.start()
        self.stack.push_async_callback(consumer.stop)
        return consumer, listener

    async def produce(self, count: int) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.cluster.bootstrap)
        await producer.start()
        for number in range(count):
            for partition in range(PARTITIONS):
                await producer.send_and_wait(self.topic, b"%d" % number, partition=partition)
        await producer.stop()

    async def committed(self) -> dict[int, int]:
        rows = await self.admin.list_consumer_group_offsets(self.group)
        return {partition.partition: row.offset for partition, row in rows.items() if row.offset >= 0}


@asynccontextmanager
async def a_stage(cluster: Cluster, topic: str) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
        await admin.start()
        stack.push_async_callback(admin.close)
        await admin.create_topics([NewTopic(topic, PARTITIONS, 3)])
        stage = Stage(cluster, topic, admin, stack)
        await stage.produce(10)
        yield stage


async def until(claim: Callable[[], Any], timeout_s: float = 30) -> None:
    async with asyncio.timeout(timeout_s):
        while True:
            answer = claim()
            if await answer if isinstance(answer, Awaitable) else answer:
                return
            await asyncio.sleep(0.02)


async def read(consumer: AIOKafkaConsumer, count: int) -> list[ConsumerRecord]:
    records: list[ConsumerRecord] = []
    async with asyncio.timeout(30):
        while len(records) < count:
            for batch in (await consumer.getmany(timeout_ms=300, max_records=count - len(records))).values():
                records += batch
    return records


def owned(consumer: AIOKafkaConsumer) -> list[int]:
    return sorted(p.partition for p in consumer.assignment())


async def settle(*consumers: AIOKafkaConsumer) -> None:
    def settled() -> bool:
        shares = [owned(consumer) for consumer in consumers]
        share = PARTITIONS // len(consumers)
        return sorted(itertools.chain(*shares)) == list(range(PARTITIONS)) and min(map(len, shares)) == share

    await until(settled)


ALL_READ = dict.fromkeys(range(PARTITIONS), 10)


@pytest.mark.parametrize(
    "assignor", [RangePartitionAssignor, RoundRobinPartitionAssignor, StickyPartitionAssignor]
)
def test_a_rebalance_revokes_all_before_it_assigns_anew(cluster: Cluster, topic: str, assignor: type[Any]) -> None:
    async def story() -> None:
        async with a_stage(cluster, topic) as stage:
            first, told = await stage.member(partition_assignment_strategy=[assignor])
            await settle(first)
            second, second_told = await stage.member(partition_assignment_strategy=[assignor])
            await settle(first, second)
            expected = [("assign", [0, 1, 2, 3]), ("revoke", [0, 1, 2, 3]), ("assign", owned(first))]
            await until(lambda: len(told.shares) == len(expected) and second_told.shares)
            assert told.shares == expected
            assert second_told.shares == [("assign", owned(second))]
            await second.stop()
            await settle(first)

    asyncio.run(story())


def test_auto_commit_goes_on_where_it_was(cluster: Cluster, topic: str) -> None:
    async def story() -> None:
        async with a_stage(cluster, topic) as stage:
            first, _ = await stage.member(enable_auto_commit=True, auto_commit_interval_ms=200)
            await read(first, 40)
            await until(lambda: _is(stage.committed(), ALL_READ))
            await first.stop()
            await stage.produce(1)
            second, _ = await stage.member()
            assert [record.offset for record in await read(second, PARTITIONS)] == [10] * PARTITIONS

    asyncio.run(story())


async def _is(answer: Awaitable[Any], expected: Any) -> bool:
    return bool(await answer == expected)


def test_commits_of_one_offset_and_of_everything(cluster: Cluster, topic: str) -> None:
    async def story() -> None:
        async with a_stage(cluster, topic) as stage:
            member, _ = await stage.member()
            await read(member, 40)
            partition = TopicPartition(topic, 0)
            await member.commit({partition: (4, "four")})
            assert await member.committed(partition) == 4
            assert await stage.committed() == {0: 4}
            await member.commit()
            assert await stage.committed() == ALL_READ

    asyncio.run(story())


def test_seek_pause_and_resume(cluster: Cluster, topic: str) -> None:
    async def story() -> None:
        async with a_stage(cluster, topic) as stage:
            member, _ = await stage.member()
            await read(member, 40)
            partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            member.seek(partitions[1], 4)
            assert [(r.partition, r.offset) for r in await read(member, 6)] == [(1, o) for o in range(4, 10)]
            member.pause(*partitions[:2])
            await stage.produce(1)
            assert sorted(r.partition for r in await read(member, 2)) == [2, 3]
            assert not await member.getmany(timeout_ms=300)
            member.resume(*partitions[:2])
            assert sorted(r.partition for r in await read(member, 2)) == [0, 1]

    asyncio.run(story())


def test_a_pattern_finds_topics_that_come_later(cluster: Cluster, topic: str) -> None:
    async def story() -> None:
        async with a_stage(cluster, topic) as stage:
            member = AIOKafkaConsumer(
                bootstrap_servers=cluster.bootstrap,
                group_id=stage.group,
                auto_offset_reset="earliest",
                metadata_max_age_ms=300,
            )
            member.subscribe(pattern=f"^{topic}.*")
            await member.start()
            stage.stack.push_async_callback(member.stop)
            await read(member, 40)
            await stage.admin.create_topics([NewTopic(f"{topic}-later", PARTITIONS, 3)])
            stage.topic = f"{topic}-later"
            await stage.produce(1)
            assert {record.topic for record in await read(member, PARTITIONS)} == {f"{topic}-later"}

    asyncio.run(story())


def test_a_static_member_comes_back_without_a_rebalance(cluster: Cluster, topic: str) -> None:
    async def story() -> None:
        async with a_stage(cluster, topic) as stage:
            first, told = await stage.member(group_instance_id="one", session_timeout_ms=20_000)
            await settle(first)
            second, _ = await stage.member(group_instance_id="two", session_timeout_ms=20_000)
            await settle(first, second)
            had = owned(second)
            await until(lambda: told.shares[-1:] == [("assign", owned(first))])
            events = list(told.events)
            await second.stop()
            again, _ = await stage.member(group_instance_id="two", session_timeout_ms=20_000)
            await until(lambda: owned(again) == had)
            await asyncio.sleep(0.5)
            assert told.events == events

    asyncio.run(story())


def test_groups_are_listed_and_described(cluster: Cluster, topic: str) -> None:
    async def story() -> None:
        async with a_stage(cluster, topic) as stage:
            member, _ = await stage.member()
            await settle(member)
            await member.commit({TopicPartition(topic, 0): 1})
            assert (stage.group, "consumer") in await stage.admin.list_consumer_groups()
            (described,) = await stage.admin.describe_consumer_groups([stage.group])
            (row,) = described.groups
            assert (row[0], row[1], row[2], len(row[5])) == (0, stage.group, "Stable", 1)
            await member.stop()
            (described,) = await stage.admin.describe_consumer_groups([stage.group])
            assert described.groups[0][2] == "Empty"

    asyncio.run(story())
