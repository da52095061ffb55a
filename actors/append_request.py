"""What is asked of a partition's leader: append a producer's batches, or end a transaction with a marker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model.errors import ErrorCode
from protocol.control_batches import EndTxnMarker, control_batch
from protocol.records import Buffer, parse_header
from storage.log import AppendInfo, Log


def _forget(_: AppendRequest) -> None:
    """Nobody waits any more."""


@dataclass(slots=True, eq=False)
class AppendRequest:
    """Append `records` (one or more v2 batches); `done` is called once, when it is as durable as `acks` asks.

    A transactional batch needs its `transactional_id`, by which its transaction is verified before it is let in.
    `transaction_version` says what the producer's request knows of KIP-890: 0 nothing, 1 TRANSACTION_ABORTABLE,
    2 that the partition is taken into the transaction on its behalf. Coordinators (`from_client` False) may write
    transactional batches without sequences.
    The answer stays in this object: `error`, `message`, `base_offset` (-1 on error), `log_append_time_ms` (-1: the
    producer's own timestamps stand), `log_start_offset`.
    """

    records: Buffer
    acks: int
    done: Callable[[AppendRequest], None]
    error: ErrorCode = ErrorCode.NONE
    message: str | None = None
    base_offset: int = -1
    log_append_time_ms: int = -1
    log_start_offset: int = -1
    is_answered: bool = False
    transactional_id: str | None = None
    transaction_version: int = 0
    from_client: bool = True

    def answer(self, error: ErrorCode, message: str | None = None) -> None:
        """Tell the producer, once; an error hides the offset."""
        if self.is_answered:
            return
        if error is not ErrorCode.NONE:
            self.error, self.message, self.base_offset = error, message, -1
        self.is_answered = True
        done, self.done = self.done, _forget
        self.records = b""  # the frame is large and whoever asked may live in a cycle with us
        done(self)

    def undelivered(self) -> None:
        """The leader ended before it took this in."""
        self.answer(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def write_to(self, log: Log, leader_epoch: int, now_ms: int) -> AppendInfo:
        """For the leader. Raises what Log.append_as_leader raises."""
        return log.append_as_leader(self.records, leader_epoch, now_ms, from_client=self.from_client)


@dataclass(slots=True, eq=False)
class MarkerRequest(AppendRequest):
    """End the transaction of `producer_id` here. Asked twice, it is written once; `error` as for an append, and
    INVALID_PRODUCER_EPOCH or TRANSACTION_COORDINATOR_FENCED when a newer producer or coordinator was here."""

    producer_id: int = -1
    producer_epoch: int = -1
    is_commit: bool = False
    coordinator_epoch: int = -1
    version: int = 0

    def write_to(self, log: Log, leader_epoch: int, now_ms: int) -> AppendInfo:
        """For the leader. Raises what Log.append_as_leader and ProducerStateMap.check_marker raise."""
        entry = log.producers.get(self.producer_id)
        if (
            entry is not None
            and entry.current_txn_first_offset < 0
            and (entry.epoch, entry.coordinator_epoch) == (self.producer_epoch, self.coordinator_epoch)
        ):
            end = log.log_end_offset
            return AppendInfo(end, end - 1, -1, -1, 0, memoryview(b""), True, log.log_start_offset)
        batch = control_batch(
            is_commit=self.is_commit,
            producer_id=self.producer_id,
            producer_epoch=self.producer_epoch,
            coordinator_epoch=self.coordinator_epoch,
            timestamp=now_ms,
        )
        marker = EndTxnMarker(self.is_commit, self.coordinator_epoch)
        log.producers.check_marker(parse_header(batch), marker, transaction_version=self.version)
        return log.append_as_leader(batch, leader_epoch, now_ms, from_client=False)


__all__ = ["AppendRequest", "MarkerRequest"]
