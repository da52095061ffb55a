"""One idempotent or transactional producer, as a partition remembers it: epoch, last batches, open transaction."""

from __future__ import annotations

from typing import NamedTuple

from protocol.records import MAX_SEQUENCE
from storage.producer_snapshot import SnapshotRow


class BatchEntry(NamedTuple):
    """One batch that a producer wrote; sequences are -1 for batches that carry none (offsets of a transaction)."""

    first_sequence: int
    last_sequence: int
    first_offset: int
    last_offset: int
    timestamp: int


class ProducerEntry:
    """One producer. `current_txn_first_offset` is -1 when it has no open transaction, `batches` is oldest first."""

    __slots__ = ("batches", "coordinator_epoch", "current_txn_first_offset", "epoch", "last_timestamp", "producer_id")

    def __init__(self, producer_id: int, epoch: int = -1) -> None:
        self.producer_id = producer_id
        self.epoch = epoch
        self.coordinator_epoch = -1
        self.last_timestamp = -1
        self.current_txn_first_offset = -1
        self.batches: list[BatchEntry] = []

    @property
    def last_sequence(self) -> int:
        return self.batches[-1].last_sequence if self.batches else -1

    @property
    def last_data_offset(self) -> int:
        return self.batches[-1].last_offset if self.batches else -1

    def move_to(self, epoch: int) -> None:
        """A new epoch starts with a clean slate of sequences."""
        if epoch != self.epoch:
            self.epoch = epoch
            self.batches.clear()

    def __repr__(self) -> str:
        return (
            f"ProducerEntry(id={self.producer_id}, epoch={self.epoch}, last_sequence={self.last_sequence}, "
            f"last_offset={self.last_data_offset}, txn_from={self.current_txn_first_offset})"
        )

    def to_row(self) -> SnapshotRow:
        """What a snapshot keeps of it."""
        last = self.batches[-1] if self.batches else None
        return SnapshotRow(
            producer_id=self.producer_id,
            epoch=self.epoch,
            last_sequence=last.last_sequence if last else -1,
            last_offset=last.last_offset if last else -1,
            offset_delta=last.last_offset - last.first_offset if last else 0,
            timestamp=self.last_timestamp,
            coordinator_epoch=self.coordinator_epoch,
            current_txn_first_offset=self.current_txn_first_offset,
        )

    @classmethod
    def of_row(cls, row: SnapshotRow) -> ProducerEntry:
        entry = cls(row.producer_id, row.epoch)
        entry.last_timestamp = row.timestamp
        entry.coordinator_epoch = row.coordinator_epoch
        entry.current_txn_first_offset = row.current_txn_first_offset
        if row.last_offset >= 0:
            last_sequence = row.last_sequence
            first_sequence = (last_sequence - row.offset_delta) & MAX_SEQUENCE if last_sequence >= 0 else -1
            first, last = row.last_offset - row.offset_delta, row.last_offset
            entry.batches.append(BatchEntry(first_sequence, last_sequence, first, last, row.timestamp))
        return entry
