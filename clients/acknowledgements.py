"""What the leaders' answers mean for the batches they are about: done, to be sent again, or failed."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from clients.batch import NO_SEQUENCE, Batch
from clients.delivery import RecordMetadata
from clients.errors import DeliveryTimedOut, Disconnected
from model.errors import ErrorCode, KafkaError, MessageTooLarge, kafka_error

if TYPE_CHECKING:
    from clients.accumulator import PartitionQueue
    from clients.sender import Sender
    from protocol.k00_produce import PartitionProduceResponse, ProduceResponse

log = logging.getLogger(__name__)

_DONE: Final = (ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER)


class Acknowledgements:
    """The sender's other side. On the loop."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._delivery_s = sender.cluster.config.seconds("delivery.timeout.ms")

    def take(
        self,
        batches: list[tuple[PartitionQueue, Batch]],
        response: ProduceResponse | None,
        failure: BaseException | None,
        sent: float,
    ) -> None:
        metadata = self._sender.cluster.metadata
        rows: dict[tuple[str, int], PartitionProduceResponse] = {}
        if response is not None:
            for endpoint in response.node_endpoints:
                metadata.take_broker(endpoint.node_id, endpoint.host, endpoint.port)
            for topic in response.responses:
                name = topic.name or metadata.names.get(topic.topic_id, "")
                for row in topic.partition_responses:
                    rows[name, row.index] = row
        self._sender.metrics.answered(time.monotonic() - sent)
        finished: list[Batch] = []
        for queue, batch in batches:
            if batch not in queue.in_flight:
                continue  # given up meanwhile
            found = rows.get((queue.topic, queue.partition))
            if failure is not None:
                self._failed(queue, batch, _as_kafka_error(failure), finished)
            elif response is None:  # acks=0
                queue.proven = queue.stamp
                self._finish(queue, batch, -1, -1, None, finished)
            elif found is None:
                self._failed(queue, batch, kafka_error(ErrorCode.UNKNOWN_TOPIC_ID), finished)
            elif found.error_code in _DONE:
                queue.proven = queue.stamp
                self._finish(queue, batch, found.base_offset, found.log_append_time_ms, None, finished)
            else:
                hint = found.current_leader
                if hint.leader_id >= 0:
                    metadata.take_hint(queue.topic, queue.partition, hint.leader_id, hint.leader_epoch)
                self._failed(queue, batch, kafka_error(found.error_code, found.error_message or ""), finished)
        if failure is not None:
            self._sender.cluster.last_failure = str(failure)
            self._sender.cluster.want_refresh()
        if finished:
            self._sender.accumulator.finished(finished)

    def _failed(self, queue: PartitionQueue, batch: Batch, error: KafkaError, finished: list[Batch]) -> None:
        if isinstance(error, MessageTooLarge) and batch.count > 1 and self._sender.recovery.split(queue, batch):
            return
        if self._sender.recovery.wants_retry(queue, batch, error):
            self._sender.metrics.retries += 1
            batch.error = error  # why it is still under way, until it is done
            return
        self._finish(queue, batch, -1, -1, error, finished)

    def _finish(
        self,
        queue: PartitionQueue,
        batch: Batch,
        offset: int,
        append_time: int,
        error: BaseException | None,
        finished: list[Batch],
    ) -> None:
        if batch in queue.in_flight:
            queue.in_flight.remove(batch)
        finished.append(batch)
        self._sender.metrics.finished(batch, error)
        if error is not None:
            self._sender.identity.on_lost(queue, batch, error)
        batch.finish(offset, append_time, error)
        self._call_back(batch)

    def on_parts_done(self, batch: Batch) -> None:
        """The last part of a batch that was split is done."""
        self._sender.accumulator.finished([batch])
        batch.finish(-1, -1, None)
        self._call_back(batch)

    def _call_back(self, batch: Batch) -> None:
        for index, timestamp, callback in batch.callbacks:
            error: BaseException | None = None
            metadata: RecordMetadata | None = None
            try:
                metadata = batch.outcome(index, timestamp)
            except Exception as failure:
                error = failure
            try:
                callback(metadata, error)
            except Exception:
                log.exception("the delivery callback of a record of %s-%d failed", batch.topic, batch.partition)
        batch.callbacks = []

    def expire(self, queue: PartitionQueue, now: float) -> None:
        """Give up what could not be delivered within `delivery.timeout.ms`."""
        oldest = now - self._delivery_s
        late = [
            batch
            for batches in (queue.in_flight, queue.retries, queue.ready)
            for batch in batches
            if batch.created < oldest
        ]
        if not late:
            return
        finished: list[Batch] = []
        for batch in late:
            for batches in (queue.retries, queue.ready):
                if batch in batches:
                    batches.remove(batch)
            why = batch.error or self._sender.cluster.last_failure or "no leader answered"
            error = DeliveryTimedOut(f"not acknowledged within delivery.timeout.ms; {why}")
            if batch.sequence != NO_SEQUENCE:
                queue.must_bump = queue.is_recovering = True  # whether it was written is open: its sequences are burnt
            self._finish(queue, batch, -1, -1, error, finished)
        self._sender.accumulator.finished(finished)

    def fail_all(self, error: BaseException) -> None:
        accumulator = self._sender.accumulator
        finished: list[Batch] = []
        with accumulator.lock:
            queues = list(accumulator.active)
            for queue in queues:
                accumulator.close_due(queue, 0.0, at_once=True)
        for queue in queues:
            for batch in (*queue.in_flight, *queue.retries, *queue.ready):
                self._finish(queue, batch, -1, -1, error, finished)
            queue.retries.clear()
            queue.ready.clear()
            queue.is_recovering = queue.must_bump = False
            queue.restamp_from = None
        accumulator.finished(finished)


def _as_kafka_error(failure: BaseException) -> KafkaError:
    return failure if isinstance(failure, KafkaError) else Disconnected(str(failure))
