"""What compaction keeps: the rules, batch by batch, without files (KIP-534 and Kafka's log cleaner are the source).

Two passes over a log. The first reads the dirty part and notes the last offset of every key (KeyOffsets). The second
reads everything up to there and keeps (BatchFilter)
- of each key the record at its last offset, or none once that is a tombstone past its delete horizon;
- nothing of aborted transactions;
- markers until their transaction's records are gone, and then until their delete horizon;
- an empty batch where the last sequence of a live producer, or the end of what was cleaned, would be forgotten.

Both passes must see the log's batches in order, each with its own Transactions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from protocol.control_batches import end_txn_marker
from protocol.records import BatchHeader, Buffer, Record, decode_records
from storage.compacted_batch import delete_horizon_ms, with_records, without_records
from storage.txn_index import AbortedTransaction

_LONGEST_PLAIN_KEY = 16
_DIGEST_BYTES = 17  # longer than any plain key, so that no digest is mistaken for one


class KeyOffsets:
    """The last offset of each key in what was read so far, at most `max_keys` of them.

    Everything up to and including `latest_offset` has been read; records above it are not judged.
    """

    __slots__ = ("_offsets", "latest_offset", "max_keys")

    def __init__(self, max_keys: int) -> None:
        self._offsets: dict[bytes, int] = {}
        self.max_keys = max_keys
        self.latest_offset = -1

    def __len__(self) -> int:
        return len(self._offsets)

    def note(self, records: Iterable[Record], from_offset: int) -> bool:
        """Take in the keys of the next batch. False when they no longer fit: `latest_offset` must stay below it."""
        offsets, max_keys = self._offsets, self.max_keys
        for offset, _, key, _, _ in records:
            if key is not None and offset >= from_offset:
                if len(key) > _LONGEST_PLAIN_KEY:
                    key = blake2b(key, digest_size=_DIGEST_BYTES).digest()
                if len(offsets) >= max_keys and key not in offsets:
                    return False
                offsets[key] = offset
        return True

    def is_latest(self, key: bytes, offset: int) -> bool:
        if len(key) > _LONGEST_PLAIN_KEY:
            key = blake2b(key, digest_size=_DIGEST_BYTES).digest()
        return offset >= self._offsets.get(key, -1)


class Transactions:
    """Follows the transactions of a log from batch to batch: which are aborted, which markers still have records.

    `retained` collects, in the order of their markers, the aborted transactions of which something is left: rows for
    the cleaned segment's transaction index.
    """

    __slots__ = ("_aborted", "_has_batches", "_with_data", "_yet_to_begin", "retained")

    def __init__(self, aborted: Iterable[AbortedTransaction]) -> None:
        self._yet_to_begin = sorted(aborted, key=lambda row: row.first_offset, reverse=True)
        self._aborted: dict[int, AbortedTransaction] = {}
        self._has_batches: set[int] = set()  # producers whose open aborted transaction has shown a batch
        self._with_data: set[int] = set()  # producers whose open committed transaction has
        self.retained: list[AbortedTransaction] = []

    def is_aborted(self, header: BatchHeader) -> bool:
        """Called for each data batch: does it belong to an aborted transaction?"""
        self._begin_up_to(header.last_offset)
        if not header.is_transactional:
            return False
        if header.producer_id in self._aborted:
            self._has_batches.add(header.producer_id)
            return True
        self._with_data.add(header.producer_id)
        return False

    def is_spent(self, header: BatchHeader, buffer: Buffer) -> bool:
        """Called for each control batch: is it the marker of a transaction of which no batch is left?"""
        self._begin_up_to(header.last_offset)
        if not header.record_count:
            return True
        marker = end_txn_marker(buffer, header)
        if marker is None:
            return False
        producer_id = header.producer_id
        if marker.is_commit:
            had_data = producer_id in self._with_data
            self._with_data.discard(producer_id)
            return not had_data
        aborted = self._aborted.pop(producer_id, None)
        if aborted is None or producer_id not in self._has_batches:
            return True
        self._has_batches.discard(producer_id)
        self.retained.append(aborted)
        return False

    def _begin_up_to(self, offset: int) -> None:
        waiting = self._yet_to_begin
        while waiting and waiting[-1].first_offset <= offset:
            row = waiting.pop()
            self._aborted.setdefault(row.producer_id, row)


class LastWrite(NamedTuple):
    """What must stay of a live producer: the batch that ends at `data_offset`, or (-1: it has none) its last marker."""

    data_offset: int
    epoch: int


@dataclass(slots=True)
class Tally:
    """What the second pass has read and kept."""

    records_read: int = 0
    bytes_read: int = 0
    records_kept: int = 0
    bytes_kept: int = 0
    changed_batches: int = 0


@dataclass(slots=True)
class BatchFilter:
    """The second pass. `end_offset` is where it ends; `now_ms` stays the same throughout."""

    keys: KeyOffsets
    transactions: Transactions
    last_writes: Mapping[int, LastWrite]
    end_offset: int
    now_ms: int
    delete_retention_ms: int
    tally: Tally = field(default_factory=Tally)

    def clean(self, buffer: Buffer, header: BatchHeader) -> Buffer | None:
        """What is left of the batch at `header.position` of `buffer`: itself, a smaller one, or None.

        Raises CorruptMessage when it does not decode; its CRC must have been checked, for what is left gets a new one.
        """
        tally = self.tally
        tally.records_read += header.record_count
        tally.bytes_read += header.size
        left = self._left_of(buffer, header)
        if left is None:
            tally.changed_batches += 1
        else:
            tally.bytes_kept += len(left)
        return left

    def _left_of(self, buffer: Buffer, header: BatchHeader) -> Buffer | None:
        horizon = delete_horizon_ms(header)
        is_past_horizon = horizon is not None and horizon <= self.now_ms
        if header.is_control:
            is_spent = self.transactions.is_spent(header, buffer)
            records = [] if is_spent and is_past_horizon else decode_records(buffer, header)
            kept, wants_horizon = records, is_spent
        elif self.transactions.is_aborted(header):
            kept, wants_horizon = [], False
        else:
            kept = self._kept(decode_records(buffer, header), is_past_horizon=is_past_horizon)
            wants_horizon = any(record.value is None for record in kept)
        if not kept:
            return self._empty_or_nothing(buffer, header)
        self.tally.records_kept += len(kept)
        if horizon is None and wants_horizon:
            horizon = self.now_ms + self.delete_retention_ms
        elif len(kept) == header.record_count:
            return memoryview(buffer)[header.position : header.position + header.size]
        self.tally.changed_batches += 1
        return with_records(header, kept, horizon)

    def _kept(self, records: list[Record], *, is_past_horizon: bool) -> list[Record]:
        """Records without a key have no place in a compacted log (brokers refuse them) and go."""
        latest_offset, is_latest = self.keys.latest_offset, self.keys.is_latest
        return [
            record
            for record in records
            if record.offset > latest_offset
            or (
                record.key is not None
                and is_latest(record.key, record.offset)
                and not (is_past_horizon and record.value is None)
            )
        ]

    def _empty_or_nothing(self, buffer: Buffer, header: BatchHeader) -> Buffer | None:
        if not (self._is_last_write(header) or header.next_offset == self.end_offset):
            return None
        if not header.record_count:
            return memoryview(buffer)[header.position : header.position + header.size]
        self.tally.changed_batches += 1
        return without_records(header)

    def _is_last_write(self, header: BatchHeader) -> bool:
        last = self.last_writes.get(header.producer_id)
        if last is None:
            return False
        if last.data_offset >= 0:
            return header.last_offset == last.data_offset
        return header.is_control and header.producer_epoch == last.epoch
