"""What a partition actor may use of its broker: time, mail, the controller, the timer round.

The broker implements it; tests give a small fake.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from actors.replica import Replica
from machines.verification import Claim
from model.errors import ErrorCode

Buffer = bytes | bytearray | memoryview


class Round:
    """The one message of the broker's timer round."""

    __slots__ = ()


ROUND = Round()


class ReplicaPorts(Protocol):
    """The ports of a partition actor."""

    broker_id: int
    incarnation: int
    lag_time_max_ms: int
    verifies_transactions: bool

    def now_ms(self) -> int:
        """Monotonic time, for intervals."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970, for records."""

    def send(
        self, broker_id: int, replica: Replica, message: msgspec.Struct, buffers: Sequence[Buffer] = ()
    ) -> bool:
        """Mail to the same partition's replica on another broker; False when the bus has no credit for it."""

    def propose_isr(self, replica: Replica, isr: Sequence[int], incarnations: Sequence[int], epoch: int) -> None:
        """Ask the controller to change the ISR, at partition epoch `epoch`."""

    def ask_coordinator(self, replica: Replica, number: int, claim: Claim) -> ErrorCode:
        """Ask whether the producer has a transaction open; NONE: the answer comes as Verified. Else: try later."""

    def first_number(self) -> int:
        """Where an actor starts to number what it asks of others: no other actor, of any incarnation, gets there."""

    def join_timer_round(self, replica: Replica) -> None:
        """Send ROUND to this replica's actor at the next timer round (once: whoever is not quiet joins again)."""

    def before_truncation(self, replica: Replica, floor: int) -> None:
        """The log is about to lose its end: whatever counts on that end must let go, and so must the checkpoint that
        calls it durable; from `floor` on files will change. Raises StorageFailure."""

    def replica_failed(self, replica: Replica, failure: BaseException) -> None:
        """The disk under this replica fails: take it offline here, let others lead."""
