"""Fetches ahead: one request under way to every broker that leads something wanted, on a lane of its own.

A partition is asked for while less than four times `max.partition.fetch.bytes` of it wait to be taken, so that the
next answers are under way while the caller works through the last ones.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from clients.cluster import ClusterClient
from clients.connections import FETCH
from clients.consumer_configs import reset_timestamp
from clients.errors import Disconnected, NoOffset
from clients.fetched import Chunk, Decoding, last_header_of
from clients.subscription import NOWHERE, PartitionState, Subscription
from model.errors import ErrorCode, KafkaError, OdradekError, kafka_error
from model.ids import NO_TOPIC_ID, TopicPartition
from protocol.k01_fetch import FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData

log = logging.getLogger(__name__)

_TOPIC_IDS_FROM: Final = 13
_MOST_BUFFERED: Final = 64 * 1024 * 1024
_ANSWERS_AHEAD: Final = 4  # of max.partition.fetch.bytes: what waits is given back by whole answers only
_MOVED: Final = frozenset(
    {
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.INCONSISTENT_TOPIC_ID,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.OFFSET_NOT_AVAILABLE,
    }
)
Asked = list[tuple[PartitionState, int, int]]  # with version and offset


class Fetcher:
    """`on_data` is called on the loop when a chunk has arrived; `on_error` with what the caller must be told."""

    def __init__(
        self,
        cluster: ClusterClient,
        subscription: Subscription,
        decoding: Decoding,
        *,
        on_data: Callable[[], None],
        on_error: Callable[[BaseException], None],
        on_lost_position: Callable[[], None],
    ) -> None:
        config = cluster.config
        self.cluster = cluster
        self.subscription = subscription
        self.decoding = decoding
        self.fetches = self.fetched_bytes = 0
        self._on_data, self._on_error, self._on_lost_position = on_data, on_error, on_lost_position
        self._loop = asyncio.get_running_loop()
        self._max_wait_ms = config.get_int("fetch.max.wait.ms")
        self._min_bytes = config.get_int("fetch.min.bytes")
        self._max_bytes = config.get_int("fetch.max.bytes")
        self._partition_bytes = config.get_int("max.partition.fetch.bytes")
        self._rack = config.get_str("client.rack")
        self._reset_policy = config.get_str("auto.offset.reset")
        self._fetching: dict[int, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_awake = False
        self.is_closed = False
        cluster.on_metadata.append(self.pump)

    def soon(self) -> None:
        """`pump` on the loop; thread-safe."""
        if not self._is_awake:
            self._is_awake = True
            try:
                self._loop.call_soon_threadsafe(self.pump)
            except RuntimeError:
                pass  # closed meanwhile

    def pump(self) -> None:
        """Ask every broker that isn't asked already for what is wanted of it."""
        self._is_awake = False
        if self.is_closed:
            return
        now = time.monotonic()
        wanted: dict[int, list[PartitionState]] = {}
        with self.subscription.lock:
            states = list(self.subscription.assigned.values())
        room = _MOST_BUFFERED - sum(state.buffered for state in states)
        wake_at = 0.0
        for state in states:
            if state.fetch_offset < 0 or state.is_paused or state.is_fetching or room <= 0:
                continue
            if state.buffered >= max(1, _ANSWERS_AHEAD * self._partition_bytes):
                continue
            if state.blocked_until > now:
                wake_at = min(wake_at or state.blocked_until, state.blocked_until)
                continue
            node = self._node_of(state, now)
            if node >= 0:
                wanted.setdefault(node, []).append(state)
            elif state.after_version <= self.cluster.metadata.version:
                state.after_version = self.cluster.metadata.version + 1
                self.cluster.want_refresh()
        for node, these in wanted.items():
            if node not in self._fetching:
                self._fetching[node] = task = asyncio.ensure_future(self._fetch(node, these))
                task.add_done_callback(partial(self._fetched, node))
        if wake_at and self._timer is None:
            self._timer = self._loop.call_later(wake_at - now, self._on_timer)

    async def close(self) -> None:
        self.is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._fetching.values()):
            task.cancel()

    def _on_timer(self) -> None:
        self._timer = None
        self.pump()

    def _node_of(self, state: PartitionState, now: float) -> int:
        if state.after_version > self.cluster.metadata.version:
            return -1
        if state.preferred is not None:
            node, until = state.preferred
            if now < until and node in self.cluster.metadata.brokers:
                return node
            state.preferred = None
        return self.cluster.metadata.leader_of(*state.place)

    def _fetched(self, node: int, task: asyncio.Task[None]) -> None:
        self._fetching.pop(node, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("fetching from broker %d failed", node, exc_info=task.exception())
        self.pump()

    async def _fetch(self, node: int, states: list[PartitionState]) -> None:
        """One request and its answer."""
        metadata = self.cluster.metadata
        asked: Asked = []
        try:
            connection = await self.cluster.connection(node, FETCH)
            version = connection.version_of(FetchRequest)
            if version >= _TOPIC_IDS_FROM and not metadata.has_all_ids([state.place.topic for state in states]):
                version = _TOPIC_IDS_FROM - 1
            topics: dict[str, FetchTopic] = {}
            for state in states:
                topic, partition = state.place
                offset, state_version = state.fetch_offset, state.version
                if offset < 0 or state.is_paused:
                    continue  # changed while the connection was made
                row = topics.setdefault(
                    topic, FetchTopic(topic=topic, topic_id=metadata.topic_id_of(topic), partitions=[])
                )
                row.partitions.append(
                    FetchPartition(
                        partition=partition,
                        current_leader_epoch=metadata.epoch_of(topic, partition),
                        fetch_offset=offset,
                        last_fetched_epoch=state.last_epoch,
                        partition_max_bytes=self._partition_bytes,
                    )
                )
                state.is_fetching = True
                asked.append((state, state_version, offset))
            if not asked:
                return
            request = FetchRequest(
                max_wait_ms=self._max_wait_ms,
                min_bytes=self._min_bytes,
                max_bytes=self._max_bytes,
                isolation_level=int(self.decoding.is_committed_only),
                topics=list(topics.values()),
                rack_id=self._rack,
            )
            answer: FetchResponse = await connection.send(request, version)
        except OdradekError as error:
            self.cluster.last_failure = str(error)
            log.debug("nothing from broker %d: %s", node, error)
            for state in states:
                state.preferred = None
                state.after_version = metadata.version + 1
            self.cluster.want_refresh()
            if not isinstance(error, Disconnected):
                await asyncio.sleep(self.cluster.backoff().next_s())
            return
        finally:
            for state, _, _ in asked:
                state.is_fetching = False
        self.fetches += 1
        self._take(answer, asked)

    def _take(self, answer: FetchResponse, asked: Asked) -> None:
        metadata = self.cluster.metadata
        if answer.error_code:
            error = kafka_error(answer.error_code)
            log.warning("a fetch was refused: %s", error)
            for state, _, _ in asked:
                state.blocked_until = time.monotonic() + self.cluster.config.seconds("retry.backoff.ms")
            return
        for endpoint in answer.node_endpoints:
            metadata.take_broker(endpoint.node_id, endpoint.host, endpoint.port)
        by_place = {state.place: (state, version, offset) for state, version, offset in asked}
        has_data = False
        for topic in answer.responses:
            name = topic.topic or (metadata.names.get(topic.topic_id, "") if topic.topic_id != NO_TOPIC_ID else "")
            for row in topic.partitions:
                found = by_place.pop(TopicPartition(name, row.partition_index), None)
                if found is not None and found[0].version == found[1]:
                    has_data |= self._take_partition(*found, row)
        for state, _, _ in by_place.values():  # not in the answer: its topic is no longer what we take it for
            state.after_version = metadata.version + 1
            self.cluster.want_refresh()
        if has_data:
            self._on_data()

    def _take_partition(self, state: PartitionState, version: int, offset: int, row: PartitionData) -> bool:
        if row.error_code:
            self._refused(state, offset, row)
            return False
        state.high_watermark, state.log_start = row.high_watermark, row.log_start_offset
        state.last_stable_offset = row.last_stable_offset
        if row.diverging_epoch.end_offset >= 0:
            self._diverged(state, row.diverging_epoch.end_offset)
            return False
        if row.preferred_read_replica >= 0:
            until = time.monotonic() + self.cluster.config.seconds("metadata.max.age.ms")
            state.preferred = (row.preferred_read_replica, until)
            return False
        records: Any = row.records
        if not records:
            return False
        last = last_header_of(records)
        if last is None:
            return False
        self.fetched_bytes += len(records)
        chunk = Chunk(state.place, records, offset, version, row.aborted_transactions or (), self.decoding)
        return self.subscription.arrived(state, chunk, last.next_offset, last.leader_epoch)

    def _refused(self, state: PartitionState, offset: int, row: PartitionData) -> None:
        error = kafka_error(row.error_code)
        code = error.code
        if code is ErrorCode.OFFSET_OUT_OF_RANGE:
            if state.preferred is not None:
                state.preferred = None  # the replica may lag; the leader decides
            else:
                self._out_of_range(state, offset)
        elif code in _MOVED:
            state.preferred = None
            hint = row.current_leader
            if not self.cluster.metadata.take_hint(*state.place, hint.leader_id, hint.leader_epoch):
                state.after_version = self.cluster.metadata.version + 1
                self.cluster.want_refresh()
        else:
            state.blocked_until = time.monotonic() + self.cluster.config.seconds("retry.backoff.max.ms")
            if not code.retriable:
                self._on_error(type(error)(f"{state.place}") if type(error) is not KafkaError else error)

    def _out_of_range(self, state: PartitionState, offset: int) -> None:
        if state.chunks:  # older records still wait; when they are taken, this comes again
            state.blocked_until = time.monotonic() + self.cluster.config.seconds("retry.backoff.ms")
            return
        timestamp = reset_timestamp(self._reset_policy, time.time_ns() // 1_000_000)
        if timestamp is None:
            state.blocked_until = time.monotonic() + self.cluster.config.seconds("retry.backoff.max.ms")
            self._on_error(NoOffset(f"{state.place} has no offset {offset} (any more), and auto.offset.reset=none"))
            return
        log.warning("%s has no offset %d (any more): going to %s", state.place, offset, self._reset_policy)
        with self.subscription.lock:
            state.move(NOWHERE, reset_to=timestamp)
        self._on_lost_position()

    def _diverged(self, state: PartitionState, end_offset: int) -> None:
        """The log we read from was cut (an unclean election): go on where it agrees with what is there now."""
        if reset_timestamp(self._reset_policy, 0) is None:
            self._on_error(NoOffset(f"{state.place} was truncated to {end_offset}, and auto.offset.reset=none"))
        log.warning("%s was truncated: going back from %d to %d", state.place, state.fetch_offset, end_offset)
        with self.subscription.lock:
            state.move(min(end_offset, state.fetch_offset))
