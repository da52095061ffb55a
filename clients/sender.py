"""The producer's other half, on the loop: takes batches that are due to their leaders, and keeps their order.

Order under retries: once a batch of a partition fails in a way that is worth another attempt, the partition sends
nothing more until all its batches in flight are answered; then those that failed go first, in their old order
(`recovery.py`). What answers mean is in `acknowledgements.py`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from clients.accumulator import Accumulator, PartitionQueue
from clients.acknowledgements import Acknowledgements
from clients.batch import NO_SEQUENCE, Batch
from clients.cluster import ClusterClient
from clients.producer_metrics import ProducerMetrics
from clients.recovery import Recovery
from model.errors import ErrorCode, OdradekError
from model.ids import NO_TOPIC_ID
from protocol.k00_produce import (
    PartitionProduceData,
    ProduceRequest,
    TopicProduceData,
)
from protocol.records import MAX_SEQUENCE

if TYPE_CHECKING:
    from clients.connection import Connection
    from clients.identity import Identity

log = logging.getLogger(__name__)

_TOPIC_IDS_FROM: Final = 13
_IDLE_ROUND_S: Final = 0.5  # deadlines are looked at this often at least
_DONE: Final = (ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER)


class Sender:
    """`pump` looks at everything that may be due; `soon` has it called, from any thread."""

    def __init__(self, cluster: ClusterClient, accumulator: Accumulator, identity: Identity) -> None:
        config = cluster.config
        self.cluster = cluster
        self.accumulator = accumulator
        self.identity = identity
        self.metrics = ProducerMetrics()
        self.failure: BaseException | None = None  # the producer can do nothing more
        self.is_flushing = 0
        self.recovery = Recovery(self)
        self.answers = Acknowledgements(self)
        self._loop = asyncio.get_running_loop()
        self._acks = {"all": -1, "-1": -1, "0": 0, "1": 1}[config.get_str("acks")]
        self._linger_s = config.seconds("linger.ms")
        self._request_timeout_ms = config.get_int("request.timeout.ms")
        self._max_request_size = config.get_int("max.request.size")
        self._max_in_flight = config.get_int("max.in.flight.requests.per.connection")
        self._in_flight: Counter[int] = Counter()
        self._dialing: set[int] = set()
        self._dials: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_awake = False
        self._on_quiet: asyncio.Future[None] | None = None
        cluster.on_metadata.append(self.pump)

    def soon(self) -> None:
        """Thread-safe, and cheap while a call is under way already."""
        if not self._is_awake:
            self._is_awake = True
            try:
                self._loop.call_soon_threadsafe(self.pump)
            except RuntimeError:
                pass  # closed meanwhile

    def pump(self) -> None:
        """Send what is due, and have ourselves called when the next batch is."""
        self._is_awake = False
        now = time.monotonic()
        due_by_node: dict[int, list[PartitionQueue]] = {}
        next_due = now + _IDLE_ROUND_S
        accumulator, answers = self.accumulator, self.answers
        is_hurried = bool(self.is_flushing or accumulator.waiting or accumulator.on_room or accumulator.is_full)
        needs_metadata = False
        with accumulator.lock:
            queues = list(accumulator.active)
            for queue in queues:
                if not queue.ready:
                    accumulator.close_due(queue, now - self._linger_s, at_once=is_hurried)
                if queue.is_empty:
                    del accumulator.active[queue]
        for queue in queues:
            answers.expire(queue, now)
            if queue.open is not None and not queue.ready:
                next_due = min(next_due, queue.open.created + self._linger_s)
            if queue.blocked_until > now:
                next_due = min(next_due, queue.blocked_until)
                continue
            if queue.after_version > self.cluster.metadata.version:
                continue
            if queue.is_recovering and not self.recovery.is_over(queue):
                continue
            if not queue.ready or not self._may_send(queue):
                continue
            leader = self.cluster.metadata.leader_of(queue.topic, queue.partition)
            if leader < 0:
                needs_metadata = True
            else:
                due_by_node.setdefault(leader, []).append(queue)
        if needs_metadata:
            self.cluster.want_refresh()
        for node, due in due_by_node.items():
            self._send_to(node, due)
        self._set_timer(max(next_due - now, 0.0005) if queues else None)

    def fail_all(self, error: BaseException) -> None:
        """Everything that waits fails with `error`; nothing is sent any more."""
        self.failure = error
        self.answers.fail_all(error)

    def drop_all(self, error: BaseException) -> None:
        """As `fail_all`, but the producer goes on (an aborted transaction)."""
        self.answers.fail_all(error)

    # -- sending ---------------------------------------------------------------------------------------------------

    def _may_send(self, queue: PartitionQueue) -> bool:
        """Whether the first batch of a queue is stamped, or may be now."""
        identity = self.identity
        if self.failure is not None:
            return False
        if queue.in_flight and queue.proven != queue.stamp:
            # a leader takes any sequence from a producer it does not know: were the first batch refused (the topic is
            # new to this broker) and the second taken, they would change places
            return False
        if not identity.is_needed:
            return True
        if not identity.is_known:
            identity.seek()
            return False
        batch = queue.ready[0]
        if not identity.may_send(queue, batch):
            return False
        if batch.sequence == NO_SEQUENCE:
            if queue.stamp != identity.stamp:
                if queue.in_flight:
                    return False  # under an older epoch; the broker would refuse what came after the newer
                queue.stamp, queue.next_sequence = identity.stamp, 0
            batch.stamp, batch.sequence = queue.stamp, queue.next_sequence
            queue.next_sequence = (queue.next_sequence + batch.count) & MAX_SEQUENCE
        return True

    def _send_to(self, node: int, due: list[PartitionQueue]) -> None:
        address = self.cluster.metadata.brokers[node]
        connection = self.cluster.connections.at_hand(address)
        if connection is None:
            if node not in self._dialing:
                self._dialing.add(node)
                self._dials.add(dial := asyncio.ensure_future(self._dial(node)))
                dial.add_done_callback(self._dials.discard)
            return
        while due and self._in_flight[node] < self._max_in_flight:
            batches: list[tuple[PartitionQueue, Batch]] = []
            size = 0
            for queue in due:
                batch = queue.ready[0]
                size += len(batch.encode())
                if batches and size > self._max_request_size:
                    break
                queue.ready.popleft()
                batches.append((queue, batch))
            self._send(node, connection, batches)
            rest = due[len(batches) :]
            due = rest + [
                queue for queue, _ in batches if queue.ready and not queue.is_recovering and self._may_send(queue)
            ]

    async def _dial(self, node: int) -> None:
        try:
            await self.cluster.connection(node)
        except OdradekError as error:
            log.debug("no connection to broker %d: %s", node, error)
            self.cluster.last_failure = str(error)
            self.cluster.want_refresh()
        finally:
            self._dialing.discard(node)
        self.pump()

    def _send(self, node: int, connection: Connection, batches: list[tuple[PartitionQueue, Batch]]) -> None:
        metadata = self.cluster.metadata
        topics: dict[str, TopicProduceData] = {}
        now = time.monotonic()
        for queue, batch in batches:
            row = topics.get(queue.topic)
            if row is None:
                row = topics[queue.topic] = TopicProduceData(
                    name=queue.topic, topic_id=metadata.topic_id_of(queue.topic), partition_data=[]
                )
            row.partition_data.append(PartitionProduceData(index=queue.partition, records=batch.stamped()))
            batch.is_sent = True
            batch.attempts += 1
            queue.in_flight.append(batch)
            queue.leader = node
        request = ProduceRequest(
            transactional_id=self.identity.transactional_id,
            acks=self._acks,
            timeout_ms=self._request_timeout_ms,
            topic_data=list(topics.values()),
        )
        try:
            version = self.identity.produce_version(connection.version_of(ProduceRequest))
            if version >= _TOPIC_IDS_FROM and any(row.topic_id == NO_TOPIC_ID for row in topics.values()):
                version = _TOPIC_IDS_FROM - 1
            future = connection.send(request, version, is_answered=self._acks != 0)
        except OdradekError as error:
            self.answers.take(batches, None, error, now)
            return
        self._in_flight[node] += 1
        self.metrics.request(batches)
        future.add_done_callback(lambda done: self._on_answer(node, batches, done, now))

    def _on_answer(
        self, node: int, batches: list[tuple[PartitionQueue, Batch]], done: asyncio.Future[Any], sent: float
    ) -> None:
        self._in_flight[node] -= 1
        if self._on_quiet is not None and not self._on_quiet.done() and not self.requests_in_flight:
            self._on_quiet.set_result(None)
        if done.cancelled():
            return
        error = done.exception()
        self.answers.take(batches, None if error else done.result(), error, sent)
        self.pump()

    def _set_timer(self, delay_s: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if delay_s is not None:
            self._timer = self._loop.call_later(delay_s, self.pump)

    async def quiet(self) -> None:
        """Until no request is under way: a late answer must not be taken for one to the next transaction's."""
        if self.requests_in_flight:
            self._on_quiet = self._loop.create_future()
            await self._on_quiet

    @property
    def requests_in_flight(self) -> int:
        return self._in_flight.total()

    def close(self) -> None:
        self._set_timer(None)
