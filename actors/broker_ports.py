"""`ReplicaPorts` on a real broker: its clocks, its bus, its link to the controller, its timer round.

And the way back: whoever had no credit for its mail, or joined the timer round, is told when it is time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from actors.log_upkeep import UPKEEP_PATH, Truncated
from actors.ports import ROUND, Buffer
from actors.replica import Replica
from machines.leader_events import CreditReturned
from machines.verification import Claim
from model.errors import ErrorCode
from protocol.cluster_control import IsrProposal

if TYPE_CHECKING:
    from actors.replicas import Replicas


class BrokerPorts:
    """What the actors of all partitions of one broker share; implements `actors.ports.ReplicaPorts`."""

    def __init__(self, replicas: Replicas) -> None:
        broker = replicas.broker
        self.broker_id = broker.spec.broker_id
        self.incarnation = broker.spec.incarnation
        self.lag_time_max_ms = broker.config.get_int("replica.lag.time.max.ms")
        self.verifies_transactions = broker.config.get_bool("transaction.partition.verification.enable")
        self._broker = broker
        self._replicas = replicas
        self._numbered = 0
        self._round: dict[str, None] = {}  # addresses, in the order they joined
        self._starved: dict[int, dict[str, None]] = {}  # broker without credit -> replicas that wait for it

    def now_ms(self) -> int:
        """Monotonic time, for intervals."""
        return time.monotonic_ns() // 1_000_000

    def wall_ms(self) -> int:
        """Milliseconds since 1970, for records."""
        return time.time_ns() // 1_000_000

    def send(
        self, broker_id: int, replica: Replica, message: msgspec.Struct, buffers: Sequence[Buffer] = ()
    ) -> bool:
        """Mail to the same partition's replica on another broker; False when the bus has no credit for it."""
        sent = self._broker.bus.tell(
            broker_id,
            replica.address,
            message,
            buffers,
            leader_epoch=replica.info.leader_epoch,
            trace_id=replica.cause,
        )
        if not sent:
            self._starved.setdefault(broker_id, {})[replica.address] = None
        return sent

    def propose_isr(self, replica: Replica, isr: Sequence[int], incarnations: Sequence[int], epoch: int) -> None:
        """Ask the controller to change the ISR, at partition epoch `epoch`."""
        proposal = IsrProposal(
            replica.partition.topic,
            replica.topic_id,
            replica.partition.partition,
            replica.info.leader_epoch,
            epoch,
            tuple(isr),
            tuple(incarnations),
        )
        self._broker.link.propose_isr(proposal)

    def ask_coordinator(self, replica: Replica, number: int, claim: Claim) -> ErrorCode:
        """Ask whether the producer's transaction is open; NONE: the answer comes as Verified."""
        return self._broker.transactions.ask_coordinator(replica, number, claim)

    def first_number(self) -> int:
        """Where an actor starts to number what it asks of others: no other actor, of any incarnation, gets there."""
        self._numbered += 1
        return (self.incarnation << 40) + (self._numbered << 20)

    def join_timer_round(self, replica: Replica) -> None:
        """Send ROUND to this replica's actor at the next timer round."""
        self._round[replica.address] = None

    def before_truncation(self, replica: Replica, floor: int) -> None:
        """The log is about to lose its end: whatever counts on that end must let go. Raises StorageFailure."""
        self._replicas.logs.lower_recovery_point(replica.partition, floor)
        if self._replicas.cleaner is not None:
            self._replicas.cleaner.release(replica.log)
        self._broker.loop.call_soon(self._truncated, replica)

    def _truncated(self, replica: Replica) -> None:
        if self._replicas.cleaner is not None:
            self._replicas.cleaner.truncated(replica)
        self._broker.system.tell(UPKEEP_PATH, Truncated())

    def replica_failed(self, replica: Replica, failure: BaseException) -> None:
        """The disk under this replica fails: take it offline here, let others lead."""
        self._replicas.replica_failed(replica, failure)

    # -- the way back ----------------------------------------------------------------------------------------------

    def on_credit(self, broker_id: int) -> None:
        """The bus takes mail for this broker again."""
        for address in self._starved.pop(broker_id, ()):
            replica = self._replicas.by_address.get(address)
            if replica is not None and replica.leader is not None:
                self._broker.system.tell(address, CreditReturned(broker_id))

    def forget_starved(self, broker_id: int) -> None:
        """Nobody waits for a dead broker's credit."""
        self._starved.pop(broker_id, None)

    def timer_round(self) -> None:
        """Visit every replica that still waits for something; idle ones cost nothing."""
        if self._round:
            addresses, self._round = self._round, {}
            for address in addresses:
                if self._broker.system.is_running(address):
                    self._broker.system.tell(address, ROUND)
