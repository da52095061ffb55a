"""What happens to batches that the leader did not take: sent again in order, stamped anew, split, or given up.

With idempotence a batch that was rejected for good leaves a gap in its partition's sequences. What comes after it is
then refused by the broker (OUT_OF_ORDER_SEQUENCE_NUMBER) and stamped again from the gap on. Where it is open whether a
batch was written, its sequences can't be given to others: the producer takes a new epoch for this partition (KIP-360).
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from clients.batch import NO_SEQUENCE, Batch
from model.errors import ErrorCode, KafkaError
from protocol.records import MAX_SEQUENCE, decode_records, parse_header

if TYPE_CHECKING:
    from clients.accumulator import PartitionQueue
    from clients.sender import Sender

log = logging.getLogger(__name__)

_MOVED: Final = frozenset(
    {
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.NETWORK_EXCEPTION,
        ErrorCode.KAFKA_STORAGE_ERROR,
    }
)
_FORGOTTEN: Final = frozenset({ErrorCode.UNKNOWN_PRODUCER_ID, ErrorCode.INVALID_PRODUCER_EPOCH})


class Recovery:
    """The sender's judgement of failed batches."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._retries = sender.cluster.config.get_int("retries")

    def wants_retry(self, queue: PartitionQueue, batch: Batch, error: KafkaError) -> bool:
        """True: the batch waits in `queue.retries` now. False: it has failed."""
        identity, code = self._sender.identity, error.code
        is_stamped = batch.sequence != NO_SEQUENCE
        if not identity.may_retry(error):
            return False
        if is_stamped and code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER:
            is_first = batch is min((*queue.in_flight, *queue.retries), key=_order)
            if is_first and not queue.must_bump and queue.restamp_from is None:
                if batch.was_restamped or not identity.may_bump:
                    return False
                log.warning("%s lost records that it had acknowledged: %s", batch, error)
                queue.must_bump = True
        elif is_stamped and code in _FORGOTTEN and identity.may_bump:
            queue.must_bump = True
        elif not code.retriable or batch.attempts > self._retries:
            if is_stamped and not code.retriable and identity.may_bump:
                # nothing that was sent after it can have been written: go on from its sequence
                queue.restamp_from = batch.sequence if queue.restamp_from is None else queue.restamp_from
                queue.is_recovering = True
            elif is_stamped:
                queue.must_bump = queue.is_recovering = identity.may_bump
            return False
        self._put_back(queue, batch, code)
        return True

    def is_over(self, queue: PartitionQueue) -> bool:
        """Whether everything is answered; then what failed is in front of the queue again."""
        identity = self._sender.identity
        if queue.in_flight:
            return False
        waiting = (*queue.retries, *queue.ready)
        if queue.must_bump:
            if identity.stamp == queue.stamp:
                identity.bump()
                return False
            _stamp_anew(waiting)
            queue.stamp, queue.next_sequence = identity.stamp, 0
        elif queue.restamp_from is not None:
            _stamp_anew(waiting)
            queue.next_sequence = queue.restamp_from
        queue.must_bump, queue.restamp_from = False, None
        queue.ready.extendleft(sorted(queue.retries, key=_order, reverse=True))
        queue.retries.clear()
        queue.is_recovering = False
        return True

    def split(self, queue: PartitionQueue, batch: Batch) -> bool:
        """Replace a batch that is too large for its topic by two smaller ones; False when it can't be."""
        encoded = batch.encode()
        records = decode_records(encoded, parse_header(encoded))
        middle = len(records) // 2
        children: list[Batch] = []
        for first, part in ((0, records[:middle]), (middle, records[middle:])):
            child = batch.child(first)
            for index, record in enumerate(part):
                child.append(index, record.timestamp, record.key, record.value, list(record.headers))
            child.count = len(part)
            if batch.sequence != NO_SEQUENCE:
                child.stamp, child.sequence = batch.stamp, (batch.sequence + first) & MAX_SEQUENCE
            children.append(child)
        batch.adopt(children, self._sender.answers.on_parts_done)
        queue.in_flight.remove(batch)
        queue.retries += children
        queue.is_recovering = True
        return True

    def _put_back(self, queue: PartitionQueue, batch: Batch, code: ErrorCode) -> None:
        cluster = self._sender.cluster
        queue.in_flight.remove(batch)
        queue.retries.append(batch)
        queue.is_recovering = True
        if code in _MOVED:
            if queue.leader == cluster.metadata.leader_of(queue.topic, queue.partition):
                queue.after_version = cluster.metadata.version + 1
                cluster.want_refresh()
        else:
            first, longest = (cluster.config.seconds(f"retry.backoff{part}.ms") for part in ("", ".max"))
            queue.blocked_until = time.monotonic() + min(first * 2 ** min(batch.attempts - 1, 20), longest)


def _order(batch: Batch) -> tuple[int, int]:
    return batch.number, batch.first


def _stamp_anew(batches: tuple[Batch, ...]) -> None:
    for batch in batches:
        if batch.sequence != NO_SEQUENCE:
            batch.sequence, batch.was_restamped = NO_SEQUENCE, True
