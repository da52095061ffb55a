"""The producer for programs that have an event loop.

async with AsyncProducer({"bootstrap.servers": "localhost:9092"}) as producer:
    await producer.send("orders", b"a record")                        # into the buffer
    where = await (await producer.send("orders", b"another"))         # and acknowledged
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from clients.accumulator import Headers, OnDelivery
from clients.async_transactions import AsyncTransactions
from clients.configs import Given
from clients.delivery import Delivery
from clients.errors import BufferFull
from clients.producer_configs import producer_config
from clients.producer_core import NotYet, ProducerCore


class AsyncProducer(AsyncTransactions):
    """Made on the running loop, and used there only."""

    def __init__(self, config: Given | None = None, /, **keywords: Any) -> None:
        self._config = producer_config(config, keywords)
        self._max_block_s = self._config.seconds("max.block.ms")
        self._core = ProducerCore(self._config)

    async def send(
        self,
        topic: str,
        value: Any = None,
        key: Any = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        headers: Headers | None = None,
        on_delivery: OnDelivery | None = None,
    ) -> Delivery:
        """Put a record into the buffer, waiting at most `max.block.ms` for room; await what it returns for the offset.

        Raises UnknownTopicOrPartition or BufferFull.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._max_block_s
        while True:
            try:
                return self._core.append(topic, value, key, partition, timestamp_ms, headers, on_delivery)
            except NotYet as wait:
                await self._wait(wait, deadline - loop.time())

    async def flush(self) -> None:
        """Wait until everything sent so far is acknowledged or failed."""
        await self._core.flush()

    def metrics(self) -> dict[str, float]:
        """Counters by the names that Java's producer uses."""
        return self._core.metrics()

    async def close(self, timeout_s: float | None = None) -> None:
        """Flush, for at most `timeout_s`, and end. What is not acknowledged by then fails. Idempotent."""
        if not self._core.is_closed:
            await self._core.close(timeout_s)

    async def __aenter__(self) -> AsyncProducer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close(None if error is None else 5.0)

    async def _wait(self, wait: NotYet, left_s: float) -> None:
        if wait.topic is not None:
            try:
                async with asyncio.timeout(max(0.0, left_s)):
                    await self._core.learn(wait.topic, wait.partition)
            except TimeoutError:
                raise self._core.why_not(wait.topic) from None
            return
        accumulator = self._core.accumulator
        if left_s <= 0:
            raise BufferFull("buffer.memory is used up: the brokers take less than is sent")
        self._core.check()
        room: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def tell() -> None:
            if not room.done():
                room.set_result(None)

        accumulator.on_room.append(tell)
        self._core.sender.soon()
        if accumulator.is_full:
            await asyncio.wait([room], timeout=min(left_s, 0.5))
