"""1 Fetch, v4-18.

Reads from the leader's log up to the high watermark (read_committed: the last stable offset). When there is less than
`min_bytes`, the request waits on its partitions until the high watermark rises, `max_wait_ms` is over, or the client
asks for something else: answers keep the order of requests, and FindCoordinator or Metadata must not wait for it.
Left out: fetch sessions (session id 0 is always answered, clients then send every partition, KIP-227), reads from
followers, the replica's side of the protocol (our followers are pushed to over ZeroMQ).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.api.lookup import find_replica
from actors.gateways import address_for
from model.errors import ErrorCode, KafkaError, OffsetOutOfRange, StorageFailure
from protocol.k01_fetch import (
    AbortedTransaction,
    EpochEndOffset,
    FetchableTopicResponse,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    LeaderIdAndEpoch,
    NodeEndpoint,
    PartitionData,
)
from protocol.records import next_offset_of

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext
    from actors.replica import Replica

FETCH = 1
TOPIC_IDS_FROM = 13
ENDPOINTS_FROM = 16
READ_COMMITTED = 1
_MOVED = (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH)


class Fetch:
    """One request, looked at once or, while it waits, every time something it asked for has moved."""

    __slots__ = ("context", "future", "is_woken", "replicas", "request", "timer")

    def __init__(self, context: RequestContext, request: FetchRequest) -> None:
        self.context = context
        self.request = request
        self.replicas: list[Replica] = []
        self.future: asyncio.Future[FetchResponse] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.is_woken = False

    def read(self) -> tuple[FetchResponse, int, bool]:
        """(response, bytes of records in it, whether it must go out now)."""
        request, context = self.request, self.context
        by_id = context.api_version >= TOPIC_IDS_FROM
        response = FetchResponse()
        room = request.max_bytes
        total, has_error = 0, False
        self.replicas.clear()
        leaders: set[int] = set()
        for topic in request.topics:
            rows: list[PartitionData] = []
            for wanted in topic.partitions:
                error, replica = find_replica(
                    context.broker,
                    topic.topic,
                    topic.topic_id,
                    wanted.partition,
                    by_id=by_id,
                    epoch=wanted.current_leader_epoch,
                )
                row = PartitionData(partition_index=wanted.partition, error_code=error, records=b"")
                row.aborted_transactions = []
                rows.append(row)
                if replica is None:
                    has_error = True
                    row.high_watermark = -1
                    if error in _MOVED:
                        self._hint(row, topic.topic, topic.topic_id, by_id, leaders)
                    continue
                self.replicas.append(replica)
                size = self._read_partition(replica, wanted, row, room, at_least_one=total == 0)
                has_error = has_error or row.error_code != ErrorCode.NONE or row.diverging_epoch.epoch >= 0
                total += size
                room -= size
            response.responses.append(
                FetchableTopicResponse(topic=topic.topic, topic_id=topic.topic_id, partitions=rows)
            )
        for leader in leaders:
            broker = context.broker.image.brokers.get(leader)
            if broker is not None:
                host, port = address_for(context, broker)
                endpoint = NodeEndpoint(node_id=leader, host=host, port=port, rack=broker.rack)
                response.node_endpoints.append(endpoint)
        return response, total, has_error

    def _read_partition(
        self, replica: Replica, wanted: FetchPartition, row: PartitionData, room: int, *, at_least_one: bool
    ) -> int:
        log = replica.log
        row.high_watermark = replica.high_watermark
        row.log_start_offset = log.log_start_offset
        stable = replica.last_stable_offset
        row.last_stable_offset = stable
        offset = wanted.fetch_offset
        if wanted.last_fetched_epoch >= 0:
            epoch, end_offset = log.end_offset_for_epoch(wanted.last_fetched_epoch)
            if epoch < 0:
                row.error_code = ErrorCode.OFFSET_OUT_OF_RANGE
                return 0
            if epoch < wanted.last_fetched_epoch or end_offset < offset:
                row.diverging_epoch = EpochEndOffset(epoch=epoch, end_offset=end_offset)
                return 0
        up_to = stable if self.request.isolation_level == READ_COMMITTED else replica.high_watermark
        if offset == up_to:
            return 0
        if offset > up_to and offset <= log.log_end_offset:
            return 0  # appended, not yet committed
        try:
            limit = min(room, wanted.partition_max_bytes)
            if limit <= 0 and not at_least_one:
                return 0
            data = log.read(offset, max(limit, 0), up_to=up_to, at_least_one=at_least_one)
        except OffsetOutOfRange:
            row.error_code = ErrorCode.OFFSET_OUT_OF_RANGE
            return 0
        except StorageFailure as failure:
            self.context.broker.replicas.replica_failed(replica, failure)
            row.error_code = ErrorCode.KAFKA_STORAGE_ERROR
            return 0
        except KafkaError as error:
            row.error_code = error.code
            return 0
        row.records = data
        if self.request.isolation_level == READ_COMMITTED and len(data):
            row.aborted_transactions = [
                AbortedTransaction(producer_id=aborted.producer_id, first_offset=aborted.first_offset)
                for aborted in log.aborted_transactions(offset, next_offset_of(data))
            ]
        return len(data)

    def _hint(self, row: PartitionData, name: str, topic_id: bytes, by_id: bool, leaders: set[int]) -> None:
        image = self.context.broker.image
        topic = image.topics_by_id.get(topic_id) if by_id else image.topics.get(name)
        info = topic.partitions.get(row.partition_index) if topic is not None else None
        if info is not None and info.leader >= 0 and self.context.api_version >= ENDPOINTS_FROM:
            row.current_leader = LeaderIdAndEpoch(leader_id=info.leader, leader_epoch=info.leader_epoch)
            leaders.add(info.leader)

    # -- waiting ---------------------------------------------------------------------------------------------------

    def wait(self) -> asyncio.Future[FetchResponse]:
        """Answer later; every partition may wake us, and so does the clock."""
        loop = self.context.broker.loop
        self.future = loop.create_future()
        for replica in self.replicas:
            replica.waiters.add(self.wake)
        self.timer = loop.call_later(self.request.max_wait_ms / 1000, self._time_out)
        self.context.connection.before_next.append(self._hurry)
        return self.future

    def _hurry(self, api_key: int) -> None:
        if api_key != FETCH:  # a client that sends fetches ahead means them to wait
            self._time_out()

    def wake(self) -> None:
        """Look again, once for all that happens in this turn of the loop."""
        if not self.is_woken:
            self.is_woken = True
            self.context.broker.loop.call_soon(self._look_again)

    def _look_again(self) -> None:
        self.is_woken = False
        if self.future is None or self.future.done():
            return
        before = list(self.replicas)
        response, total, has_error = self.read()
        if total >= self.request.min_bytes or has_error or self.context.connection.is_closed:
            self._finish(before, response)

    def _time_out(self) -> None:
        if self.future is not None and not self.future.done():
            before = list(self.replicas)
            self._finish(before, self.read()[0])

    def _finish(self, replicas: list[Replica], response: FetchResponse) -> None:
        for replica in replicas:
            replica.waiters.discard(self.wake)
        if self.timer is not None:
            self.timer.cancel()
        if self.future is not None:
            self.future.set_result(response)


def handle(context: RequestContext, request: FetchRequest) -> FetchResponse | asyncio.Future[FetchResponse]:
    """Answer at once what is there, or wait for it."""
    fetch = Fetch(context, request)
    response, total, has_error = fetch.read()
    if total >= request.min_bytes or has_error or request.max_wait_ms <= 0 or not request.topics:
        return response
    return fetch.wait()
