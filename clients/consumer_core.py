"""What the synchronous and the asynchronous consumer share: everything but the waiting.

Lives on the client's loop. The methods that say so may be called on the thread that polls; only one thread may.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from clients.cluster import ClusterClient
from clients.commits import Commits
from clients.committed import OffsetAndMetadata
from clients.configs import ClientConfig
from clients.errors import ClientClosed, IllegalUse, WokenUp
from clients.fetched import Decoding
from clients.fetcher import Fetcher
from clients.group_metadata import GroupMetadata
from clients.offsets import OffsetAndTimestamp, list_offsets
from clients.position_finder import PositionFinder
from clients.positions import lag_of
from clients.rebalance import RebalanceCall
from clients.records import ConsumerRecord
from clients.subscribing_core import SubscribingCore
from clients.subscription import PartitionState
from model.ids import TopicPartition

log = logging.getLogger(__name__)


class ConsumerCore(SubscribingCore):
    """`notify` is called, on the loop, when a waiting poll should look again."""

    def __init__(self, config: ClientConfig, notify: Callable[[], None]) -> None:
        cluster = ClusterClient(config, may_create_topics=config.get_bool("allow.auto.create.topics"))
        super().__init__(config, cluster, notify)
        self.is_committed_only = config.get_str("isolation.level") == "read_committed"
        self.fetcher = Fetcher(
            self.cluster,
            self.subscription,
            Decoding(
                config.get_object("key.deserializer"),
                config.get_object("value.deserializer"),
                checks_crcs=config.get_bool("check.crcs"),
                is_committed_only=self.is_committed_only,
            ),
            on_data=notify,
            on_error=self.fail,
            on_lost_position=lambda: self.finder.find(),
        )
        self.max_poll_records = config.get_int("max.poll.records")
        self.timeout_s = config.seconds("default.api.timeout.ms")
        self.is_closed = False
        self.records_taken = 0
        self.unread: deque[ConsumerRecord] = deque()  # polled by an iteration and not yielded yet
        self.finder = PositionFinder(self)
        self.commits = Commits(self)
        self._tasks: set[asyncio.Task[None]] = set()

    # -- polling: on the caller's thread ---------------------------------------------------------------------------

    def begin_poll(self) -> None:
        """Raises what went wrong since the last poll."""
        if self.is_closed:
            raise ClientClosed("the consumer is closed")
        self.is_polling = True
        if self.errors:
            raise self.errors.popleft()
        now = time.monotonic()
        self._last_poll = now
        self.commits.commit_if_due(now)
        if self.group is not None and not self.group.is_member:
            self.soon(self.group.polled)

    def end_poll(self) -> None:
        self._last_poll = time.monotonic()
        self.is_polling = False

    def take(self, most: int) -> list[ConsumerRecord]:
        """What is there, without waiting."""
        if self.unread:
            rest = [self.unread.popleft() for _ in range(min(most, len(self.unread)))]
            return rest
        records, has_room = self.subscription.take(most)
        if has_room:
            self.fetcher.soon()
        self.records_taken += len(records)
        return records

    def positions(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """What would be committed now: the offset after the last record that was handed out."""
        with self.subscription.lock:
            positions = {
                place: state.position for place, state in self.subscription.assigned.items() if state.position >= 0
            }
        for record in reversed(self.unread):
            if record.topic_partition in positions:
                positions[record.topic_partition] = record.offset
        return {place: OffsetAndMetadata(position) for place, position in positions.items()}

    def state_of(self, place: TopicPartition) -> PartitionState:
        """Raises IllegalUse for what isn't assigned."""
        state = self.subscription.assigned.get(TopicPartition(*place))
        if state is None:
            raise IllegalUse(f"{TopicPartition(*place)} is not assigned to this consumer")
        return state

    def seek(self, place: TopicPartition, offset: int, *, reset_to: int | None = None) -> None:
        """To an offset, or (`reset_to`) to where a time leads."""
        state = self.state_of(place)
        self._forget_unread({state.place})
        with self.subscription.lock:
            state.move(offset, reset_to=reset_to)
        self.soon(self.finder.find)
        self.fetcher.soon()

    def apply(self, call: RebalanceCall) -> None:
        """The consumer's own part in a step of a rebalance; the listener's comes before (revoked) or after."""
        if call.kind == "assigned":
            self.subscription.assign([*self.subscription.assigned, *call.partitions])
        else:
            self._forget_unread(set(call.partitions))
            self.subscription.drop(call.partitions)

    def _forget_unread(self, places: set[TopicPartition]) -> None:
        if self.unread:
            kept = [record for record in self.unread if record.topic_partition not in places]
            self.unread.clear()
            self.unread.extend(kept)

    # -- subscribing: on the caller's thread -----------------------------------------------------------------------

    def assign(self, places: Iterable[TopicPartition]) -> None:
        if self.group is not None:
            raise IllegalUse("this consumer has subscribed: unsubscribe before it assigns itself partitions")
        wanted = [TopicPartition(*place) for place in places]
        self._is_manual = True
        self.subscription.assign(wanted)
        self.soon(lambda: self.begin_reading(wanted))

    def soon(self, work: Callable[[], object]) -> None:
        """On the loop, from any thread."""
        try:
            self.cluster.loop.call_soon_threadsafe(work)
        except RuntimeError:
            pass  # closed meanwhile

    def wakeup(self) -> None:
        self.errors.append(WokenUp("poll was woken up"))
        self.soon(self.notify)

    # -- on the loop -------------------------------------------------------------------------------------------------

    def begin_reading(self, places: Iterable[TopicPartition]) -> None:
        """Find positions for what was assigned; the fetching follows from that."""
        self.cluster.follow({place.topic for place in places})
        self.finder.find()
        self.fetcher.pump()

    # -- the rest -------------------------------------------------------------------------------------------------

    async def list_offsets(
        self, times: Mapping[TopicPartition, int], timeout_s: float | None = None
    ) -> dict[TopicPartition, OffsetAndTimestamp]:
        return await list_offsets(
            self.cluster,
            times,
            is_committed_only=self.is_committed_only,
            timeout_s=self.timeout_s if timeout_s is None else timeout_s,
        )

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """On the loop, from any thread, without waiting for it."""
        self.soon(lambda: self.spawn(work()))

    def group_metadata(self) -> GroupMetadata:
        return GroupMetadata(self.commits.group_id(), self.commits.membership)

    def metrics(self) -> dict[str, float]:
        fetcher = self.fetcher
        with self.subscription.lock:
            states = list(self.subscription.assigned.values())
        lags = [lag_of(state, is_committed_only=self.is_committed_only) for state in states]
        return {
            "records-consumed-total": self.records_taken,
            "bytes-consumed-total": fetcher.fetched_bytes,
            "fetch-total": fetcher.fetches,
            "assigned-partitions": len(states),
            "records-lag-max": max((lag for lag in lags if lag is not None), default=0),
            "buffered-bytes": sum(state.buffered for state in states),
        }

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.cluster.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """After the last commit and the listener's last words: leave, and end every connection."""
        self.is_closed = True
        if self.group is not None:
            await self.group.leave()
        for call in self.calls:
            call.finish()
        for task in list(self._tasks):
            task.cancel()
        await self.fetcher.close()
        await self.cluster.close()
