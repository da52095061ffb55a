"""What becomes of a transactional id's state when a client asks for something: one function for each request.

Two clients of one id: InitProducerId bumps the epoch, aborting what was open under the old one, which thereby is fenced
(KIP-98). A client that knows its epoch is bumped without being fenced (KIP-360); with transaction.version 2 every end
of a transaction bumps it (KIP-890). An abort that the client did not ask for (timeout, another client) takes one epoch
for itself and forgets the one before, so that the old client's retry is no retry any more.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto

from machines.transaction_events import AddPartitions, EndTransaction, InitProducerId
from machines.transaction_state import COMPLETED, PREPARED, Status, TransactionState
from model.error_codes import ErrorCode

EPOCH_BUMPS_FROM = 2  # transaction.version


class Hold(Enum):
    """Why a request has to wait."""

    UNTIL_COMPLETE = auto()  # markers are being written
    FOR_AN_ID = auto()  # a producer id has to be obtained first
    FOR_AN_ABORT = auto()  # what is open has to be fenced first


Decision = ErrorCode | Hold | TransactionState
"""Answer with this at once (NONE: nothing to change), wait, or answer once this state is durable."""


def init(
    state: TransactionState | None, request: InitProducerId, *, is_admitted: bool, fresh_id: int | None, now_ms: int
) -> Decision:
    """`is_admitted`: this request has had its turn already, the open transaction was aborted for it."""
    if state is None:
        if fresh_id is None:
            return Hold.FOR_AN_ID
        return TransactionState(fresh_id, 0, request.timeout_ms, updated_ms=now_ms)
    if state.status in PREPARED:
        return Hold.UNTIL_COMPLETE
    has_expectation = request.producer_id >= 0
    claimed = request.producer_id, request.producer_epoch
    if has_expectation and not is_admitted and not state.is_current(*claimed):
        is_retry = state.status is not Status.ONGOING and state.is_former(*claimed)
        return ErrorCode.NONE if is_retry else ErrorCode.PRODUCER_FENCED
    if state.status is Status.ONGOING:
        return Hold.FOR_AN_ABORT
    started = replace(
        state,
        status=Status.EMPTY,
        timeout_ms=request.timeout_ms,
        previous_producer_id=state.producer_id if has_expectation else -1,
        started_ms=-1,
        updated_ms=now_ms,
    )
    if not state.is_epoch_exhausted:
        return replace(started, producer_epoch=state.producer_epoch + 1)
    if fresh_id is None:
        return Hold.FOR_AN_ID
    return replace(started, producer_id=fresh_id, producer_epoch=0)


def identify(state: TransactionState | None, producer_id: int, producer_epoch: int) -> ErrorCode:
    """NONE for the client that was given these last."""
    if state is None:
        return ErrorCode.INVALID_PRODUCER_ID_MAPPING
    if state.is_current(producer_id, producer_epoch):
        return ErrorCode.NONE
    is_known = producer_id == state.client_id_and_epoch[0]
    return ErrorCode.PRODUCER_FENCED if is_known else ErrorCode.INVALID_PRODUCER_ID_MAPPING


def add(state: TransactionState | None, request: AddPartitions, now_ms: int) -> Decision:
    """Take partitions in; the first ones open the transaction."""
    error = identify(state, request.producer_id, request.producer_epoch)
    if error is not ErrorCode.NONE or state is None:
        return error
    if state.status in PREPARED:
        return Hold.UNTIL_COMPLETE
    is_open = state.status is Status.ONGOING
    if is_open and request.partitions <= state.partitions:
        return ErrorCode.NONE
    return replace(
        state,
        status=Status.ONGOING,
        partitions=state.partitions | request.partitions,
        started_ms=state.started_ms if is_open else now_ms,
        updated_ms=now_ms,
        client_version=request.version,
    )


def end(state: TransactionState | None, request: EndTransaction, *, fresh_id: int | None, now_ms: int) -> Decision:
    """Decide the outcome: once that is durable, nothing can change it any more. A repetition is answered alike."""
    bumps = request.version >= EPOCH_BUMPS_FROM
    if state is not None and bumps and _is_repeated(state, request):
        return _same_outcome(state, request)
    error = identify(state, request.producer_id, request.producer_epoch)
    if error is not ErrorCode.NONE or state is None:
        return error
    if state.status is not Status.ONGOING:
        if not bumps:
            is_over = state.status in (*PREPARED, *COMPLETED)
            return _same_outcome(state, request) if is_over else ErrorCode.INVALID_TXN_STATE
        if state.status in PREPARED:
            return Hold.UNTIL_COMPLETE
        if request.is_commit:
            return ErrorCode.INVALID_TXN_STATE
        # there is nothing to abort, but the client waits for its next epoch
    ended = replace(
        state,
        status=Status.PREPARE_COMMIT if request.is_commit else Status.PREPARE_ABORT,
        started_ms=state.started_ms if state.status is Status.ONGOING else now_ms,
        updated_ms=now_ms,
        client_version=request.version,
    )
    if not bumps:
        return ended
    ended = replace(ended, producer_epoch=state.producer_epoch + 1, previous_producer_id=state.producer_id)
    if not state.is_epoch_exhausted:
        return ended
    return Hold.FOR_AN_ID if fresh_id is None else replace(ended, next_producer_id=fresh_id)


def _is_repeated(state: TransactionState, request: EndTransaction) -> bool:
    return (
        state.client_version >= EPOCH_BUMPS_FROM
        and state.status in (*PREPARED, *COMPLETED)
        and state.is_former(request.producer_id, request.producer_epoch)
    )


def _same_outcome(state: TransactionState, request: EndTransaction) -> ErrorCode:
    was_commit = state.status in (Status.PREPARE_COMMIT, Status.COMPLETE_COMMIT)
    return ErrorCode.NONE if was_commit == request.is_commit else ErrorCode.INVALID_TXN_STATE


def fenced(state: TransactionState, now_ms: int) -> TransactionState:
    """Abort what is open, at an epoch that no client ever gets."""
    return replace(
        state,
        status=Status.PREPARE_ABORT,
        producer_epoch=state.producer_epoch + 1,
        previous_producer_id=-1,
        updated_ms=now_ms,
    )


def completed(state: TransactionState, now_ms: int) -> TransactionState:
    """All markers are committed."""
    is_commit = state.status is Status.PREPARE_COMMIT
    complete = replace(
        state,
        status=Status.COMPLETE_COMMIT if is_commit else Status.COMPLETE_ABORT,
        partitions=frozenset(),
        updated_ms=now_ms,
    )
    if state.next_producer_id < 0:
        return complete
    return replace(complete, producer_id=state.next_producer_id, producer_epoch=0, next_producer_id=-1)
