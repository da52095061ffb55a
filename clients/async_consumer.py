"""The consumer for programs that have an event loop.

async with AsyncConsumer({"bootstrap.servers": "localhost:9092", "group.id": "billing"}) as consumer:
    await consumer.subscribe(["orders"])
    async for record in consumer:
        ...
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any

from clients.committed import OffsetAndMetadata
from clients.configs import Given
from clients.consumer_base import ConsumerCalls, Places
from clients.consumer_configs import EARLIEST, LATEST, consumer_config
from clients.consumer_core import ConsumerCore
from clients.errors import ClientClosed
from clients.offsets import OffsetAndTimestamp
from clients.positions import positions_of
from clients.rebalance import RebalanceCall, RebalanceListener
from clients.records import ConsumerRecord, by_partition
from clients.subscription import NOWHERE
from model.errors import OdradekError
from model.ids import TopicPartition


class AsyncConsumer(ConsumerCalls):
    """Made on the running loop, and used by one task of it. The methods of a listener may be coroutines."""

    def __init__(self, config: Given | None = None, /, **keywords: Any) -> None:
        self._news = asyncio.Event()
        self._core = ConsumerCore(consumer_config(config, keywords), self._news.set)

    async def subscribe(
        self, topics: Iterable[str] | str = (), *, pattern: str | None = None, listener: RebalanceListener | None = None
    ) -> None:
        """Topics by name, or all that `pattern` matches, shared with the other members of the group."""
        self._core.check_may_subscribe()
        names = [topics] if isinstance(topics, str) else list(topics)
        await self._core.subscribe(names, re.compile(pattern) if pattern else None, listener)

    async def unsubscribe(self) -> None:
        """Leave the group, drop all partitions."""
        await self._core.unsubscribe()

    async def poll(self, timeout_ms: float = 0, max_records: int | None = None) -> list[ConsumerRecord]:
        """The next records, waiting at most `timeout_ms` for the first of them; see Consumer.poll."""
        core = self._core
        core.begin_poll()
        try:
            most = core.max_poll_records if max_records is None else max_records
            deadline = core.cluster.loop.time() + timeout_ms / 1000
            while True:
                self._news.clear()
                while core.calls:
                    await self._run_call(core.calls.popleft())
                records = core.take(most)
                if records:
                    return records
                left = deadline - core.cluster.loop.time()
                if left <= 0:
                    await asyncio.sleep(0)  # a poll loop without timeout must not starve the fetcher
                    return core.take(most)
                try:
                    async with asyncio.timeout(left):
                        await self._news.wait()
                except TimeoutError:
                    pass
                if core.errors:
                    raise core.errors.popleft()
                if core.is_closed:
                    raise ClientClosed("the consumer is closed")
        finally:
            core.end_poll()

    async def poll_batches(
        self, timeout_ms: float = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """As `poll`, by partition."""
        return by_partition(await self.poll(timeout_ms, max_records))

    async def __aiter__(self) -> AsyncIterator[ConsumerRecord]:
        """Record by record, until the consumer is closed. What was not yielded yet is not committed either."""
        unread = self._core.unread
        while not self._core.is_closed:
            while unread:
                yield unread.popleft()
            unread.extend(await self.poll(1_000))

    async def position(self, partition: TopicPartition, timeout_s: float | None = None) -> int:
        """The offset of the next record that poll returns; waits until it is known."""
        core = self._core
        state = core.state_of(partition)
        async with asyncio.timeout(core.timeout_s if timeout_s is None else timeout_s):
            while state.position == NOWHERE:
                if core.errors:
                    raise core.errors.popleft()
                self._news.clear()
                await self._news.wait()
        return state.position

    async def beginning_offsets(self, partitions: Places, timeout_s: float | None = None) -> dict[TopicPartition, int]:
        return await self._offsets(dict.fromkeys(partitions, EARLIEST), timeout_s)

    async def end_offsets(self, partitions: Places, timeout_s: float | None = None) -> dict[TopicPartition, int]:
        """With isolation.level=read_committed: the ends of what is decided."""
        return await self._offsets(dict.fromkeys(partitions, LATEST), timeout_s)

    async def offsets_for_times(
        self, times: Mapping[TopicPartition, int], timeout_s: float | None = None
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """The first record at or after each time; None where there is none."""
        found = await self._core.list_offsets(times, timeout_s)
        return {place: found[place] if found[place].offset >= 0 else None for place in found}

    async def commit(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata | int] | None = None, timeout_s: float | None = None
    ) -> None:
        """Commit the positions, or these offsets; retries until done. Raises CommitFailed when the group moved on."""
        await self._core.commits.commit(positions_of(self._core, offsets), timeout_s)

    async def committed(
        self, partitions: Places, timeout_s: float | None = None
    ) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """What the group has committed; None where nothing."""
        wanted = [TopicPartition(*place) for place in partitions]
        found = await self._core.commits.committed(wanted, timeout_s)
        return {place: found.get(place) for place in wanted}

    async def close(self) -> None:
        """Commit (if automatic), tell the listener, leave the group, and end. Idempotent."""
        core = self._core
        if core.is_closed:
            return
        if core.group is not None and core.group.is_member:
            await self._commit_before_rebalance()
            await _maybe_await(core.listener.on_partitions_revoked(core.owned()))
        await core.close()

    async def __aenter__(self) -> AsyncConsumer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run_call(self, call: RebalanceCall) -> None:
        core, listener = self._core, self._core.listener
        try:
            if call.kind == "assigned":
                core.apply(call)
                await _maybe_await(listener.on_partitions_assigned(call.partitions))
                core.begin_reading(call.partitions)
            elif call.kind == "revoked":
                await self._commit_before_rebalance()
                await _maybe_await(listener.on_partitions_revoked(call.partitions))
                core.apply(call)
            else:
                await _maybe_await(listener.on_partitions_lost(call.partitions))
                core.apply(call)
        finally:
            call.finish()

    async def _commit_before_rebalance(self) -> None:
        if not self._core.commits.are_automatic:
            return
        try:
            await self._core.commits.commit(self._core.positions(), 5.0)
        except OdradekError as error:
            self._core.commits.warn(error)

    async def _offsets(self, times: Mapping[TopicPartition, int], timeout_s: float | None) -> dict[TopicPartition, int]:
        found = await self._core.list_offsets(times, timeout_s)
        return {place: row.offset for place, row in found.items()}


async def _maybe_await(given: Any) -> None:
    if inspect.isawaitable(given):
        await given
