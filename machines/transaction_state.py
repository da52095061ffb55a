"""The durable facts of one transactional id, as they stand in `__transaction_state`.

One thing is not in Kafka's record: the epoch that the producer held before the last bump, by which a retry is told from
a fenced producer. Here it follows from `previous_producer_id`, so that it survives the coordinator:

| previous_producer_id | the epoch before |
|---|---|
| -1 | none: the bump fenced whoever came before |
| the producer id itself | one less than now |
| another producer id | the last one that id had (its epochs were used up) |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from model.ids import TopicPartition
from protocol.internal_topics import TransactionLogValue, TransactionPartitions

MAX_EPOCH = 0x7FFF
LAST_EPOCH = MAX_EPOCH - 1
"""The highest epoch a client ever holds; one more is kept for fencing it."""


class Status(IntEnum):
    """Kafka's states, by their number in the log. Ours never writes DEAD or PREPARE_EPOCH_FENCE."""

    EMPTY = 0
    ONGOING = 1
    PREPARE_COMMIT = 2
    PREPARE_ABORT = 3
    COMPLETE_COMMIT = 4
    COMPLETE_ABORT = 5
    DEAD = 6
    PREPARE_EPOCH_FENCE = 7

    @property
    def label(self) -> str:
        """As Kafka's tools show it, e.g. 'PrepareCommit'."""
        return "".join(word.capitalize() for word in self.name.split("_"))


PREPARED = (Status.PREPARE_COMMIT, Status.PREPARE_ABORT)
COMPLETED = (Status.COMPLETE_COMMIT, Status.COMPLETE_ABORT)


@dataclass(frozen=True, slots=True)
class TransactionState:
    """Times are milliseconds since 1970. `next_producer_id` is set while an ending transaction changes the id."""

    producer_id: int
    producer_epoch: int
    timeout_ms: int
    status: Status = Status.EMPTY
    partitions: frozenset[TopicPartition] = frozenset()
    previous_producer_id: int = -1
    next_producer_id: int = -1
    started_ms: int = -1
    updated_ms: int = -1
    client_version: int = 0

    @property
    def last_producer_epoch(self) -> int:
        """The epoch the same producer had before the last bump; -1: it was fenced, or there was none."""
        if self.previous_producer_id < 0:
            return -1
        return self.producer_epoch - 1 if self.previous_producer_id == self.producer_id else LAST_EPOCH

    @property
    def is_epoch_exhausted(self) -> bool:
        """A client holds the last epoch of this producer id."""
        return self.producer_epoch >= LAST_EPOCH

    def is_current(self, producer_id: int, producer_epoch: int) -> bool:
        """Whether these are what the client was given last. While the id changes, that is the new one already."""
        if self.next_producer_id >= 0:
            return (producer_id, producer_epoch) == (self.next_producer_id, 0)
        return (producer_id, producer_epoch) == (self.producer_id, self.producer_epoch)

    def is_former(self, producer_id: int, producer_epoch: int) -> bool:
        """Whether these are what the client held before the last bump, so that it may be retrying what bumped them."""
        return producer_id >= 0 and (producer_id, producer_epoch) == (
            self.previous_producer_id,
            self.last_producer_epoch,
        )

    @property
    def client_id_and_epoch(self) -> tuple[int, int]:
        """What the client is to use from now on."""
        return (self.next_producer_id, 0) if self.next_producer_id >= 0 else (self.producer_id, self.producer_epoch)

    def to_record(self) -> TransactionLogValue:
        """The value to write, in version 1."""
        topics: dict[str, list[int]] = {}
        for partition in sorted(self.partitions):
            topics.setdefault(partition.topic, []).append(partition.partition)
        rows = [TransactionPartitions(topic=topic, partition_ids=ids) for topic, ids in topics.items()]
        return TransactionLogValue(
            producer_id=self.producer_id,
            previous_producer_id=self.previous_producer_id,
            next_producer_id=self.next_producer_id,
            producer_epoch=self.producer_epoch,
            transaction_timeout_ms=self.timeout_ms,
            transaction_status=self.status,
            transaction_partitions=None if self.status is Status.EMPTY else rows,
            transaction_last_update_timestamp_ms=self.updated_ms,
            transaction_start_timestamp_ms=self.started_ms,
            client_transaction_version=self.client_version,
        )

    @classmethod
    def of_record(cls, value: TransactionLogValue) -> TransactionState:
        """The state that a record holds."""
        return cls(
            producer_id=value.producer_id,
            producer_epoch=value.producer_epoch,
            timeout_ms=value.transaction_timeout_ms,
            status=Status(value.transaction_status),
            partitions=frozenset(
                TopicPartition(row.topic, partition)
                for row in value.transaction_partitions or ()
                for partition in row.partition_ids
            ),
            previous_producer_id=value.previous_producer_id,
            next_producer_id=value.next_producer_id,
            started_ms=value.transaction_start_timestamp_ms,
            updated_ms=value.transaction_last_update_timestamp_ms,
            client_version=value.client_transaction_version,
        )
