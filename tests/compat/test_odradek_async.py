"""The asynchronous twins of our clients."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from own_clients import admin, group, made, places, read_topic, where

from odradek import AsyncConsumer, AsyncProducer, RebalanceListener

__all__ = ["admin", "group", "made", "where"]

pytestmark = pytest.mark.compat


def test_the_asynchronous_clients(where: str, made: str, group: str) -> None:
    async def scenario() -> None:
        async with AsyncProducer(bootstrap_servers=where) as producer:
            metadata = await (await producer.send(made, b"0", partition=0))
            assert metadata.offset == 0
            for number in range(1, 500):
                await producer.send(made, b"%d" % number, partition=0)
        calls: list[str] = []

        class Listener(RebalanceListener):
            async def on_partitions_assigned(self, partitions: Any) -> None:
                calls.append("assigned")

        async with AsyncConsumer(bootstrap_servers=where, group_id=group, auto_offset_reset="earliest") as consumer:
            await consumer.subscribe([made], listener=Listener())
            seen = 0
            async with asyncio.timeout(30):
                async for record in consumer:
                    assert record.value == b"%d" % seen
                    seen += 1
                    if seen == 500:
                        break
            await consumer.commit()
            assert (await consumer.committed([places(made)[0]]))[places(made)[0]] == (500, "", -1)
            assert await consumer.end_offsets([places(made)[0]]) == {places(made)[0]: 500}
        assert calls == ["assigned"]
        name = f"tx-{uuid.uuid4().hex[:8]}"
        async with AsyncProducer(bootstrap_servers=where, transactional_id=name) as producer:
            await producer.init_transactions()
            async with producer.transaction():
                await producer.send(made, b"in a transaction", partition=1)

    asyncio.run(scenario())
    committed = read_topic(where, made, 501, isolation_level="read_committed", max_poll_records=1_000)
    assert [record.value for record in committed if record.partition == 1] == [b"in a transaction"]
