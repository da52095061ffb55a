"""The consumer for programs without an event loop.

with Consumer({"bootstrap.servers": "localhost:9092", "group.id": "billing"}) as consumer:
    consumer.subscribe(["orders"])
    for record in consumer:
        print(record.topic, record.partition, record.offset, record.value)
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from clients.background import BackgroundLoop
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


class Consumer(ConsumerCalls):
    """For one thread; only `wakeup` may be called from others. See consumer_configs.py for what it may be told.

    Fetching and heartbeats go on in the background, rebalances happen within `poll`.
    """

    def __init__(self, config: Given | None = None, /, **keywords: Any) -> None:
        checked = consumer_config(config, keywords)
        self._background = BackgroundLoop(f"odradek-consumer-{checked.get_str('client.id')}")
        self._news = threading.Semaphore(0)
        self._is_waiting = False

        async def make() -> ConsumerCore:
            return ConsumerCore(checked, self._notify)

        try:
            self._core = self._background.call(make())
        except BaseException:
            self._background.close()
            raise

    # -- which partitions ------------------------------------------------------------------------------------------

    def subscribe(
        self, topics: Iterable[str] | str = (), *, pattern: str | None = None, listener: RebalanceListener | None = None
    ) -> None:
        """Topics by name, or all that `pattern` matches, shared with the other members of the group."""
        self._core.check_may_subscribe()
        names = [topics] if isinstance(topics, str) else list(topics)
        self._background.call(self._core.subscribe(names, re.compile(pattern) if pattern else None, listener))

    def unsubscribe(self) -> None:
        """Leave the group, drop all partitions."""
        self._background.call(self._core.unsubscribe())

    # -- reading ---------------------------------------------------------------------------------------------------

    def poll(self, timeout_ms: float = 0, max_records: int | None = None) -> list[ConsumerRecord]:
        """The next records, waiting at most `timeout_ms` for the first of them; up to `max.poll.records`.

        Rebalances and automatic commits happen in here. Raises what went wrong since the last poll: WokenUp, NoOffset,
        authorization errors, CorruptMessage.
        """
        core = self._core
        core.begin_poll()
        try:
            most = core.max_poll_records if max_records is None else max_records
            deadline = 0.0
            while True:
                while core.calls:
                    self._run_call(core.calls.popleft())
                records = core.take(most)
                if records:
                    return records
                now = time.monotonic()
                if not deadline:
                    deadline = now + timeout_ms / 1000
                if now >= deadline:
                    return []
                self._wait(deadline - now)
                if core.errors:
                    raise core.errors.popleft()
                if core.is_closed:
                    raise ClientClosed("the consumer is closed")
        finally:
            core.end_poll()

    def poll_batches(
        self, timeout_ms: float = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """As `poll`, by partition."""
        return by_partition(self.poll(timeout_ms, max_records))

    def __iter__(self) -> Iterator[ConsumerRecord]:
        """Record by record, until the consumer is closed. What was not yielded yet is not committed either."""
        unread = self._core.unread
        while not self._core.is_closed:
            while unread:
                yield unread.popleft()
            unread.extend(self.poll(1_000))

    # -- where -----------------------------------------------------------------------------------------------------

    def position(self, partition: TopicPartition, timeout_s: float | None = None) -> int:
        """The offset of the next record that poll returns; waits until it is known."""
        core = self._core
        state = core.state_of(partition)
        deadline = time.monotonic() + (core.timeout_s if timeout_s is None else timeout_s)
        while state.position == NOWHERE:
            if core.errors:
                raise core.errors.popleft()
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no position of {partition} yet; {core.cluster.last_failure}")
            self._wait(left)
        return state.position

    def beginning_offsets(self, partitions: Places, timeout_s: float | None = None) -> dict[TopicPartition, int]:
        return self._offsets(dict.fromkeys(partitions, EARLIEST), timeout_s)

    def end_offsets(self, partitions: Places, timeout_s: float | None = None) -> dict[TopicPartition, int]:
        """With isolation.level=read_committed: the ends of what is decided."""
        return self._offsets(dict.fromkeys(partitions, LATEST), timeout_s)

    def offsets_for_times(
        self, times: Mapping[TopicPartition, int], timeout_s: float | None = None
    ) -> dict[TopicPartition, OffsetAndTimestamp | None]:
        """The first record at or after each time; None where there is none."""
        found = self._background.call(self._core.list_offsets(_places(times), timeout_s))
        return {place: found[place] if found[place].offset >= 0 else None for place in found}

    # -- committing ------------------------------------------------------------------------------------------------

    def commit(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata | int] | None = None, timeout_s: float | None = None
    ) -> None:
        """Commit the positions, or these offsets; retries until done. Raises CommitFailed when the group moved on."""
        self._background.call(self._core.commits.commit(positions_of(self._core, offsets), timeout_s))

    def committed(
        self, partitions: Places, timeout_s: float | None = None
    ) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """What the group has committed; None where nothing."""
        wanted = [TopicPartition(*place) for place in partitions]
        found = self._background.call(self._core.commits.committed(wanted, timeout_s))
        return {place: found.get(place) for place in wanted}

    # -- the end ---------------------------------------------------------------------------------------------------

    def close(self, timeout_s: float = 30.0) -> None:
        """Commit (if automatic), tell the listener, leave the group, and end. Idempotent."""
        core = self._core
        if core.is_closed:
            return
        try:
            if core.group is not None and core.group.is_member:
                self._run_call_for_close()
            self._background.call(core.close(), timeout_s)
        finally:
            core.is_closed = True
            self._background.close()

    def __enter__(self) -> Consumer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- inside ----------------------------------------------------------------------------------------------------

    def _notify(self) -> None:
        if self._is_waiting:
            self._news.release()

    def _wait(self, left_s: float) -> None:
        """Until there may be something new. Looks again every half second at least: no wakeup is precious."""
        core = self._core
        self._is_waiting = True
        try:
            if not (core.calls or core.errors or core.subscription.has_ready()):
                self._news.acquire(timeout=min(left_s, 0.5))
        finally:
            self._is_waiting = False

    def _run_call(self, call: RebalanceCall) -> None:
        core, listener = self._core, self._core.listener
        try:
            if call.kind == "assigned":
                core.apply(call)
                listener.on_partitions_assigned(call.partitions)
                core.soon(lambda: core.begin_reading(call.partitions))
            elif call.kind == "revoked":
                self._commit_before_rebalance()
                listener.on_partitions_revoked(call.partitions)
                core.apply(call)
            else:
                listener.on_partitions_lost(call.partitions)
                core.apply(call)
        finally:
            call.finish()

    def _run_call_for_close(self) -> None:
        self._commit_before_rebalance()
        self._core.listener.on_partitions_revoked(self._core.owned())

    def _commit_before_rebalance(self) -> None:
        if not self._core.commits.are_automatic:
            return
        try:
            self._background.call(self._core.commits.commit(self._core.positions(), 5.0))
        except (OdradekError, TimeoutError) as error:
            self._core.commits.warn(error)

    def _offsets(self, times: Mapping[TopicPartition, int], timeout_s: float | None) -> dict[TopicPartition, int]:
        found = self._background.call(self._core.list_offsets(_places(times), timeout_s))
        return {place: row.offset for place, row in found.items()}


def _places(times: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    return {TopicPartition(*place): timestamp for place, timestamp in times.items()}
