"""What a partition remembers of its idempotent and transactional producers.

For every producer id: its epoch, its last five batches, its open transaction. From these the leader tells a retry from
a gap, fences old epochs, and knows the first offset whose transaction is not decided yet (KIP-98, KIP-890).

The state is a replay: every data batch and transaction marker of the log goes through `update`, in order. A `.snapshot`
beside a segment saves replaying what lies before it; it holds only the last batch of each producer, as Kafka's does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from model.coordinator_errors import InvalidTxnState, TransactionCoordinatorFenced
from model.errors import InvalidProducerEpoch, OutOfOrderSequenceNumber
from protocol.control_batches import EndTxnMarker
from protocol.records import MAX_SEQUENCE, BatchHeader
from storage import producer_snapshot
from storage.producer_entry import BatchEntry, ProducerEntry

BATCHES_REMEMBERED = 5  # clients keep at most five requests in flight (max.in.flight.requests.per.connection)


class CompletedTransaction(NamedTuple):
    """A transaction that its marker has just ended.

    `last_offset` is the marker's. `last_stable_offset` is where readers of committed records could go from then on;
    together with the offsets it is a line of the transaction index when `is_aborted`.
    """

    producer_id: int
    first_offset: int
    last_offset: int
    last_stable_offset: int
    is_aborted: bool


class ProducerStateMap:
    """The producers of one partition. Not told of batches without a producer id."""

    __slots__ = ("_ongoing", "_producers", "_unreplicated")

    def __init__(self) -> None:
        self._producers: dict[int, ProducerEntry] = {}
        # Open transactions, first offset -> producer id; offsets rise, so the oldest comes first.
        self._ongoing: dict[int, int] = {}
        # Ended ones, first offset -> the marker's offset, until the high watermark passes it.
        self._unreplicated: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._producers)

    def __iter__(self) -> Iterator[ProducerEntry]:
        return iter(self._producers.values())

    def get(self, producer_id: int) -> ProducerEntry | None:
        return self._producers.get(producer_id)

    # --- Before an append, leaders only -----------------------------------------------------------------------------

    def check(self, header: BatchHeader) -> BatchEntry | None:
        """May this producer append this data batch now? Returns the entry of the first copy when it is a retry.

        Kafka's rules: a batch equal to one of the last five is a retry; an unknown producer may start anywhere (its
        history may have been deleted); a new epoch starts at sequence 0; else sequences follow without a gap.
        Batches without sequences come from coordinators, only their epoch is checked.

        Raises InvalidProducerEpoch (fenced by a newer epoch), OutOfOrderSequenceNumber (a gap, or a retry of something
        older than five batches), InvalidTxnState (a plain batch amid the producer's own transaction).
        """
        entry = self._producers.get(header.producer_id)
        if entry is None:
            return None
        first_sequence = header.base_sequence
        if header.producer_epoch == entry.epoch and first_sequence >= 0:
            last_sequence = header.last_sequence
            for batch in reversed(entry.batches):
                if batch.first_sequence == first_sequence and batch.last_sequence == last_sequence:
                    return batch
        self._check_epoch(entry, header.producer_epoch)
        if first_sequence >= 0:
            _check_sequence(entry, header)
        if entry.current_txn_first_offset >= 0 and not header.is_transactional:
            raise InvalidTxnState(f"producer {header.producer_id} has a transaction open and sent a plain batch")
        return None

    def check_marker(self, header: BatchHeader, marker: EndTxnMarker, *, transaction_version: int = 0) -> None:
        """May a coordinator end this producer's transaction with this marker?

        From transaction version 2 (KIP-890) the marker carries a bumped epoch, so an equal one is only a repetition.
        Raises InvalidProducerEpoch, or TransactionCoordinatorFenced when a newer coordinator has been here.
        """
        entry = self._producers.get(header.producer_id)
        if entry is None:
            return
        is_repetition = header.producer_epoch == entry.epoch and entry.current_txn_first_offset < 0
        if transaction_version >= 2 and header.producer_epoch == entry.epoch and not is_repetition:
            raise InvalidProducerEpoch(
                f"the marker for producer {header.producer_id} carries epoch {entry.epoch}, which must have been bumped"
            )
        self._check_epoch(entry, header.producer_epoch)
        if marker.coordinator_epoch < entry.coordinator_epoch:
            raise TransactionCoordinatorFenced(
                f"the marker for producer {header.producer_id} comes from coordinator epoch "
                f"{marker.coordinator_epoch}, epoch {entry.coordinator_epoch} has been seen"
            )

    @staticmethod
    def _check_epoch(entry: ProducerEntry, epoch: int) -> None:
        if epoch < entry.epoch:
            raise InvalidProducerEpoch(f"producer {entry.producer_id} uses epoch {epoch}, epoch {entry.epoch} was seen")

    # --- For every batch of the log, in order -----------------------------------------------------------------------

    def update(self, header: BatchHeader, marker: EndTxnMarker | None = None) -> CompletedTransaction | None:
        """Take in a batch that stands in the log (offsets assigned); never refuses, whatever a leader let in is fact.

        For control batches pass `control_batches.end_txn_marker(...)` (None for one whose record was compacted away).
        Returns the transaction that a marker has ended, if it held any data: when aborted, it belongs in the
        transaction index.
        """
        producer_id = header.producer_id
        if producer_id < 0:
            return None
        entry = self._producers.get(producer_id)
        if entry is None:
            entry = self._producers[producer_id] = ProducerEntry(producer_id)
        if header.is_control:
            return self._end_transaction(entry, header, marker)
        if header.producer_epoch != entry.epoch:
            entry.move_to(header.producer_epoch)
        batches = entry.batches
        if len(batches) == BATCHES_REMEMBERED:
            del batches[0]
        first, timestamp = header.base_offset, header.max_timestamp
        batches.append(BatchEntry(header.base_sequence, header.last_sequence, first, header.last_offset, timestamp))
        entry.last_timestamp = timestamp
        if entry.current_txn_first_offset < 0 and header.is_transactional:
            entry.current_txn_first_offset = first
            self._ongoing[first] = producer_id
        return None

    def _end_transaction(
        self, entry: ProducerEntry, header: BatchHeader, marker: EndTxnMarker | None
    ) -> CompletedTransaction | None:
        entry.move_to(header.producer_epoch)
        entry.last_timestamp = header.max_timestamp
        if marker is None:
            return None
        entry.coordinator_epoch = marker.coordinator_epoch
        first_offset, entry.current_txn_first_offset = entry.current_txn_first_offset, -1
        if first_offset < 0:
            return None
        self._ongoing.pop(first_offset, None)
        self._unreplicated[first_offset] = header.base_offset
        undecided = self.first_undecided_offset
        return CompletedTransaction(
            producer_id=entry.producer_id,
            first_offset=first_offset,
            last_offset=header.base_offset,
            last_stable_offset=header.base_offset + 1 if undecided is None else undecided,
            is_aborted=not marker.is_commit,
        )

    # --- What readers of committed records may see ------------------------------------------------------------------

    @property
    def first_undecided_offset(self) -> int | None:
        """Where the oldest open transaction starts; None when none is open."""
        return next(iter(self._ongoing), None)

    @property
    def first_unstable_offset(self) -> int | None:
        """Where the oldest transaction starts that is open, or whose marker lies at or above the high watermark.

        The last stable offset is min(high watermark, this).
        """
        undecided = next(iter(self._ongoing), None)
        if not self._unreplicated:
            return undecided
        unreplicated = min(self._unreplicated)
        return unreplicated if undecided is None else min(undecided, unreplicated)

    def on_high_watermark(self, high_watermark: int) -> None:
        """Transactions whose marker is now replicated are stable. Cheap to call at every advance."""
        if self._unreplicated:
            self._unreplicated = {
                first: marker for first, marker in self._unreplicated.items() if marker >= high_watermark
            }

    def transaction_started_ms(self) -> int:
        """Timestamp of the last write of the producer with the oldest open transaction; -1 when none is open."""
        producer_id = next(iter(self._ongoing.values()), None)
        entry = None if producer_id is None else self._producers.get(producer_id)
        return -1 if entry is None else entry.last_timestamp

    # --- Forgetting and remembering ---------------------------------------------------------------------------------

    def expire(self, now_ms: int, expiration_ms: int) -> int:
        """Forget producers that have been silent for `expiration_ms` and have no open transaction; how many."""
        horizon = now_ms - expiration_ms
        gone = [
            entry.producer_id
            for entry in self._producers.values()
            if entry.last_timestamp <= horizon and entry.current_txn_first_offset < 0
        ]
        for producer_id in gone:
            del self._producers[producer_id]
        return len(gone)

    def reset(self) -> None:
        """Forget everything, before a replay."""
        self._producers.clear()
        self._ongoing.clear()
        self._unreplicated.clear()

    def encode(self) -> bytes:
        """The bytes of a `.snapshot` file."""
        return producer_snapshot.encode([entry.to_row() for entry in self._producers.values()])

    @classmethod
    def decode(cls, snapshot: bytes) -> ProducerStateMap:
        """The state that `encode` wrote. Raises CorruptMessage when damaged: remove the file and try an older one.

        Transactions whose marker was not yet replicated are not in a snapshot; that is safe because a replica starts
        with a high watermark no higher than its last checkpoint and learns the rest from its leader.
        """
        state = cls()
        for row in producer_snapshot.decode(snapshot):
            state._producers[row.producer_id] = ProducerEntry.of_row(row)
        state._ongoing = dict(sorted(state._open_transactions()))
        return state

    def _open_transactions(self) -> list[tuple[int, int]]:
        entries = self._producers.values()
        return [
            (each.current_txn_first_offset, each.producer_id) for each in entries if each.current_txn_first_offset >= 0
        ]

    def check_invariants(self) -> None:
        """Raises AssertionError unless open transactions and producers tell the same story."""
        assert dict(self._open_transactions()) == self._ongoing, (self._open_transactions(), self._ongoing)
        assert list(self._ongoing) == sorted(self._ongoing), self._ongoing
        assert all(len(entry.batches) <= BATCHES_REMEMBERED for entry in self)


def _check_sequence(entry: ProducerEntry, header: BatchHeader) -> None:
    first_sequence = header.base_sequence
    if header.producer_epoch != entry.epoch:
        if first_sequence != 0 and entry.epoch >= 0:
            raise OutOfOrderSequenceNumber(
                f"producer {entry.producer_id} begins epoch {header.producer_epoch} at sequence {first_sequence}, not 0"
            )
        return
    expected = (entry.last_sequence + 1) & MAX_SEQUENCE
    if first_sequence != expected:
        raise OutOfOrderSequenceNumber(
            f"producer {entry.producer_id} sent sequence {first_sequence}, {expected} was expected"
        )
