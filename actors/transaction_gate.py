"""What a partition's leader does with transactional batches before it appends them.

The shell of `machines.verification`. Batches of clients and of group coordinators (offsets of a transaction) alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.append_request import AppendRequest
from machines.verification import (
    Admit,
    Answered,
    Ask,
    Claim,
    Effect,
    MarkerSeen,
    Offered,
    Refuse,
    TimerFired,
    VerificationMachine,
)
from model.errors import CorruptMessage, ErrorCode, KafkaError
from protocol.records import BatchHeader, parse_header

if TYPE_CHECKING:
    from actors.ports import ReplicaPorts
    from actors.replica import Replica


@dataclass(slots=True, frozen=True)
class Verified:
    """The coordinator's answer to the question of that number."""

    number: int
    error: ErrorCode


class TransactionGate:
    """Stands before one led partition's log."""

    def __init__(self, replica: Replica, ports: ReplicaPorts, append: Callable[[AppendRequest], None]) -> None:
        self._replica = replica
        self._ports = ports
        self._append = append
        self._machine = VerificationMachine(ports.first_number())

    @property
    def is_idle(self) -> bool:
        """Nobody waits for the coordinator."""
        return not self._machine

    def admits(self, request: AppendRequest) -> bool:
        """True: append at once. False: it is answered, or waits for the coordinator's word."""
        try:
            header = parse_header(request.records)
        except CorruptMessage:
            return True  # the append says so
        if not header.is_transactional or request.transactional_id is None:
            return True
        if not self._machine.holds(header.producer_id):
            if self._is_known(header, request):
                return True
            entry = self._replica.log.producers.get(header.producer_id)
            if request.transaction_version >= 2 and header.base_sequence > 0 and (entry is None or entry.epoch < 0):
                request.answer(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, "a transaction's first batch has sequence 0")
                return False
        adds = request.transaction_version >= 2
        claim = Claim(request.transactional_id, header.producer_id, header.producer_epoch, adds, header.base_sequence)
        self._step(Offered(claim, request))
        return False

    def _is_known(self, header: BatchHeader, request: AppendRequest) -> bool:
        producer_id, epoch = header.producer_id, header.producer_epoch
        entry = self._replica.log.producers.get(producer_id)
        if entry is not None and entry.current_txn_first_offset >= 0 and entry.epoch == epoch:
            return True
        if request.transaction_version < 2 and not self._ports.verifies_transactions:
            return True
        try:
            return self._replica.log.producers.check(header) is not None
        except KafkaError:
            return True  # a retry, or one that the append will refuse anyway

    def on_answer(self, answer: Verified) -> None:
        """The coordinator has spoken."""
        self._step(Answered(answer.number, answer.error))

    def on_marker(self, producer_id: int) -> None:
        """A marker of this producer was asked for: what was verified before it no longer is."""
        self._step(MarkerSeen(producer_id))

    def on_round(self) -> None:
        """Ask again, where no answer came."""
        if self._machine:
            self._step(TimerFired())

    def dismiss(self, error: ErrorCode) -> None:
        """The role ends: whoever waits must find the new leader."""
        for token in self._machine.dismiss():
            self._refuse(token, error)

    def _step(self, event: Offered | Answered | MarkerSeen | TimerFired) -> None:
        self._perform(self._machine.step(event, self._ports.now_ms()))

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if type(effect) is Ask:
                error = self._ports.ask_coordinator(self._replica, effect.number, effect.claim)
                if error is not ErrorCode.NONE:
                    self._step(Answered(effect.number, error))
            elif type(effect) is Admit:
                assert isinstance(effect.token, AppendRequest)
                self._append(effect.token)
            elif type(effect) is Refuse:
                self._refuse(effect.token, effect.error)

    @staticmethod
    def _refuse(token: object, error: ErrorCode) -> None:
        assert isinstance(token, AppendRequest)
        token.answer(_for_producers(error, token.transaction_version), f"not verified: {error.name}")


def _for_producers(error: ErrorCode, transaction_version: int) -> ErrorCode:
    """As Kafka words it to producers, older ones of which know fewer errors."""
    if error is ErrorCode.PRODUCER_FENCED:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    if error is ErrorCode.TRANSACTION_ABORTABLE and transaction_version < 1:
        return ErrorCode.INVALID_TXN_STATE
    if error is ErrorCode.COORDINATOR_NOT_AVAILABLE:
        return ErrorCode.NOT_ENOUGH_REPLICAS  # retriable, and does not make the client look for another leader
    return error


__all__ = ["TransactionGate", "Verified"]
