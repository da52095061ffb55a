"""What coordinators of transactions, and the leaders that write for them, can get wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import machines.transaction_rules
from actors.replica import Replica
from actors.transaction_gate import TransactionGate
from chaos.mutants.catalogue import Patches, mutant
from machines.marker_delivery import MarkerDelivery
from machines.marker_memory import MarkerMemory, MarkerVerdict
from machines.offsets import Offsets
from machines.transaction import TransactionMachine
from machines.transaction_events import InitProducerId, Loaded, MarkerWritten, SendMarkers
from machines.transaction_rules import Decision
from machines.transaction_state import PREPARED, Status, TransactionState
from model.errors import ErrorCode
from storage.log import Log
from storage.txn_index import TxnIndex


@mutant("marker-before-the-transaction-log", "markers are sent while the decision is still being written")
def marker_before_the_transaction_log(patches: Patches) -> None:
    def write(self: TransactionMachine, state: TransactionState | None, *requests: Any) -> None:
        original(self, state, *requests)
        if state is not None and state.status in PREPARED and state.partitions:
            is_commit = state.status is Status.PREPARE_COMMIT
            markers = SendMarkers(
                state.producer_id, state.producer_epoch, is_commit, state.client_version, state.partitions
            )
            self._effects.append(markers)

    original = patches.replace(TransactionMachine, "_write", write)


@mutant("answered-before-it-is-decided", "EndTxn is answered while the decision is still being written", hint=28)
def answered_before_it_is_decided(patches: Patches) -> None:
    def write(self: TransactionMachine, state: TransactionState | None, *requests: Any) -> None:
        original(self, state, *requests)
        self._effects += self._answers
        self._answers = []

    original = patches.replace(TransactionMachine, "_write", write)


@mutant("late-markers-are-written", "a marker that comes again ends the producer's next transaction", hint=134)
def late_markers_are_written(patches: Patches) -> None:
    patches.replace(MarkerMemory, "judge", lambda self, *identity: MarkerVerdict.WRITE)


@mutant("late-outcomes-count", "a late word on a marker counts for the producer's next transaction", hint=79)
def late_outcomes_count(patches: Patches) -> None:
    def find(self: MarkerDelivery, transactional_id: str, partition: Any, *_: Any) -> Any:
        delivery = self._open.get((transactional_id, partition))
        return None if delivery is None else delivery.marker

    patches.replace(MarkerDelivery, "find", find)


@mutant("a-new-coordinator-aborts", "what the former coordinator had decided is not looked at", hint=33)
def a_new_coordinator_aborts(patches: Patches) -> None:
    def step(self: TransactionMachine, event: Any, now_ms: int) -> Any:
        if type(event) is Loaded and self.state is not None and self.state.status is Status.PREPARE_COMMIT:
            self.state = replace(self.state, status=Status.PREPARE_ABORT)
        return original(self, event, now_ms)

    original = patches.replace(TransactionMachine, "step", step)


@mutant("zombies-are-not-fenced", "a producer whose epoch is over may go on", hint=7)
def zombies_are_not_fenced(patches: Patches) -> None:
    def identify(state: TransactionState | None, producer_id: int, producer_epoch: int) -> ErrorCode:
        return ErrorCode.NONE if state is not None and state.producer_id == producer_id else ErrorCode.PRODUCER_FENCED

    patches.replace(machines.transaction_rules, "identify", identify)


@mutant("a-successor-keeps-the-epoch", "InitProducerId gives a second client the epoch of the first", hint=7)
def a_successor_keeps_the_epoch(patches: Patches) -> None:
    def init(state: TransactionState | None, request: InitProducerId, **circumstances: Any) -> Decision:
        decision: Decision = original(state, request, **circumstances)
        if state is not None and isinstance(decision, TransactionState) and not circumstances["is_admitted"]:
            return replace(decision, producer_epoch=state.producer_epoch)
        return decision

    original = patches.replace(machines.transaction_rules, "init", init)


@mutant("done-with-the-first-marker", "a transaction is over when one of its partitions has its marker")
def done_with_the_first_marker(patches: Patches) -> None:
    def on_marker(self: TransactionMachine, event: MarkerWritten, now_ms: int) -> None:
        if event.partition in self.outstanding:
            self.outstanding = {event.partition}
        original(self, event, now_ms)

    original = patches.replace(TransactionMachine, "_on_marker", on_marker)


@mutant(
    "nobody-asks-the-coordinator",
    "a leader takes transactional batches without asking whether there is one",
    hint=2,
)
def nobody_asks_the_coordinator(patches: Patches) -> None:
    patches.replace(TransactionGate, "admits", lambda self, request: True)


@mutant("timeouts-are-not-kept", "a transaction whose producer is gone stays open")
def timeouts_are_not_kept(patches: Patches) -> None:
    def on_timer(self: TransactionMachine, now_ms: int) -> None:
        state = self.state
        if state is not None and state.status is Status.ONGOING:
            now_ms = min(now_ms, state.started_ms)
        original(self, now_ms)

    original = patches.replace(TransactionMachine, "_on_timer", on_timer)


@mutant("readers-see-open-transactions", "read_committed reads up to the high watermark")
def readers_see_open_transactions(patches: Patches) -> None:
    patches.replace(Replica, "last_stable_offset", property(lambda self: self.high_watermark))


@mutant("aborted-records-are-read", "a fetch does not say which transactions were aborted")
def aborted_records_are_read(patches: Patches) -> None:
    patches.replace(Log, "aborted_transactions", lambda self, start, end: [])


@mutant("followers-know-no-aborts", "only the leader that wrote an abort remembers it")
def followers_know_no_aborts(patches: Patches) -> None:
    def append(self: Log, batches: Any, now_ms: int = -1) -> Any:
        add, TxnIndex.append = TxnIndex.append, lambda *_: None  # type: ignore[method-assign]
        try:
            return original(self, batches, now_ms)
        finally:
            TxnIndex.append = add  # type: ignore[method-assign]

    original = patches.replace(Log, "append_as_follower", append)


@mutant("aborted-offsets-count", "offsets of an aborted transaction become the group's", hint=2)
def aborted_offsets_count(patches: Patches) -> None:
    def complete(self: Offsets, producer_id: int, commit: bool) -> None:
        original(self, producer_id, True)

    original = patches.replace(Offsets, "complete_transaction", complete)
