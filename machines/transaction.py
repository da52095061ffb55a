"""One transactional id: its state, the requests that wait for it, the markers that are still out.

Events in, effects out; the shell is `actors/transaction_coordinator.py`, what a request does stands in
`transaction_rules.py`. The durable state changes only in `apply`, by records of `__transaction_state`, live and in a
replay alike. At most one record is on its way at a time; requests that come meanwhile, or while markers are still being
written, wait in line instead of being sent back with CONCURRENT_TRANSACTIONS, which they get only after `HOLD_MS`.

    Empty ──add──► Ongoing ──end──► PrepareCommit/Abort ──all markers committed──► CompleteCommit/Abort ──add──► ...
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from machines import transaction_rules as rules
from machines.transaction_events import (
    AddPartitions,
    Answer,
    Effect,
    EndTransaction,
    Event,
    Forget,
    InitProducerId,
    Loaded,
    MarkerWritten,
    ObtainProducerId,
    ProducerIdObtained,
    Request,
    SendMarkers,
    TimerFired,
    VerifyPartitions,
    Write,
    WriteRefused,
    Written,
)
from machines.transaction_rules import Decision, Hold
from machines.transaction_state import LAST_EPOCH, MAX_EPOCH, PREPARED, Status, TransactionState
from model.error_codes import ErrorCode
from model.ids import TopicPartition
from protocol.internal_topics import TransactionLogValue

HOLD_MS = 1_000


@dataclass(slots=True)
class TransactionMachine:
    """`now_ms` of `step` is milliseconds since 1970: it goes into the records."""

    max_timeout_ms: int = 900_000
    expiration_ms: int = 604_800_000
    state: TransactionState | None = None
    outstanding: set[TopicPartition] = field(default_factory=set)  # where the marker is not committed yet
    queue: deque[tuple[Request, int]] = field(default_factory=deque)  # requests in line, with their arrival
    is_writing: bool = False
    is_obtaining: bool = False
    _written: TransactionLogValue | None = None  # on its way to the log
    _answers: list[Answer] = field(default_factory=list)  # due once it is there
    _fresh_id: int | None = None
    _admitted: InitProducerId | None = None  # what was open is aborted to make way for this one
    _effects: list[Effect] = field(default_factory=list)

    # -- durable state -------------------------------------------------------------------------------------------------

    def apply(self, value: TransactionLogValue | None) -> None:
        """Take in a record of this id; None: it was forgotten."""
        self.state = None if value is None else TransactionState.of_record(value)

    def _write(self, state: TransactionState | None, *requests: Request) -> None:
        """Change the state once it is durable, then answer."""
        self.is_writing = True
        self._written = None if state is None else state.to_record()
        if state is not None:
            self._answers = [Answer(each.token, ErrorCode.NONE, *state.client_id_and_epoch) for each in requests]
        self._effects.append(Write(self._written))

    # -- events --------------------------------------------------------------------------------------------------------

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        """Take one event in and say what is to be done, in order."""
        match event:
            case Written():
                self._on_written(now_ms)
            case WriteRefused():
                self._on_refused(event.error)
            case MarkerWritten():
                self._on_marker(event, now_ms)
            case TimerFired():
                self._on_timer(now_ms)
            case Loaded():
                self._finish_what_is_prepared(now_ms)
            case ProducerIdObtained():
                self._on_producer_id(event.producer_id)
            case _:
                self.queue.append((event, now_ms))
        self._serve_queue(now_ms)
        effects, self._effects = self._effects, []
        return effects

    @property
    def is_busy(self) -> bool:
        """Waits for the log or for a producer id: nothing else may change meanwhile."""
        return self.is_writing or self.is_obtaining

    @property
    def needs_timer(self) -> bool:
        """Whether time alone may change anything soon."""
        state = self.state
        return bool(self.queue) or self.is_busy or (state is not None and state.status in (Status.ONGOING, *PREPARED))

    def waiting(self) -> list[object]:
        """Tokens of all requests without an answer; for a coordinator that gives up."""
        return [answer.token for answer in self._answers] + [request.token for request, _ in self.queue]

    # -- requests ------------------------------------------------------------------------------------------------------

    def _serve_queue(self, now_ms: int) -> None:
        """Serve in order, until the log is busy or the first one in line has to wait."""
        while self.queue and not self.is_busy:
            request, _ = entry = self.queue.popleft()
            decision = self._decide(request, now_ms)
            if isinstance(decision, ErrorCode):
                self._answer(request, decision)
            elif isinstance(decision, TransactionState):
                if self._fresh_id in (decision.producer_id, decision.next_producer_id):
                    self._fresh_id = None
                self._write_along(request, decision)
            else:
                self.queue.appendleft(entry)
                self._hold(request, decision, now_ms)
                return

    def _decide(self, request: Request, now_ms: int) -> Decision:
        match request:
            case InitProducerId():
                if not 0 < request.timeout_ms <= self.max_timeout_ms:
                    return ErrorCode.INVALID_TRANSACTION_TIMEOUT
                is_admitted = self._admitted is request
                return rules.init(self.state, request, is_admitted=is_admitted, fresh_id=self._fresh_id, now_ms=now_ms)
            case AddPartitions():
                return rules.add(self.state, request, now_ms)
            case EndTransaction():
                return rules.end(self.state, request, fresh_id=self._fresh_id, now_ms=now_ms)
            case VerifyPartitions():
                error = rules.identify(self.state, request.producer_id, request.producer_epoch)
                is_ending = self.state is not None and self.state.status in PREPARED
                return Hold.UNTIL_COMPLETE if is_ending and error is ErrorCode.NONE else error

    def _hold(self, request: Request, reason: Hold, now_ms: int) -> None:
        if reason is Hold.FOR_AN_ID:
            self.is_obtaining = True
            self._effects.append(ObtainProducerId())
        elif reason is Hold.FOR_AN_ABORT:
            assert self.state is not None and isinstance(request, InitProducerId)
            self._admitted = request
            self._write(rules.fenced(self.state, now_ms))

    def _answer(self, request: Request, error: ErrorCode) -> None:
        state = self.state
        if self._admitted is request:
            self._admitted = None
        if error is not ErrorCode.NONE or state is None:
            self._effects.append(Answer(request.token, error))
        elif isinstance(request, VerifyPartitions):
            self._effects.append(Answer(request.token, absent=request.partitions - state.partitions))
        else:
            self._effects.append(Answer(request.token, error, *state.client_id_and_epoch))

    def _write_along(self, request: Request, state: TransactionState) -> None:
        """What the same client adds behind `request` goes into the same record."""
        requests = [request]
        if isinstance(request, AddPartitions):
            while self.queue and _goes_along(request, self.queue[0][0]):
                other = self.queue.popleft()[0]
                assert isinstance(other, AddPartitions)
                requests.append(other)
                state = replace(state, partitions=state.partitions | other.partitions)
        if self._admitted is request:
            self._admitted = None
        self._write(state, *requests)

    # -- the end of a transaction --------------------------------------------------------------------------------------

    def _finish_what_is_prepared(self, now_ms: int) -> None:
        """The outcome is durable: tell every partition, or if there is none, be done."""
        state = self.state
        if state is None or state.status not in PREPARED:
            return
        self.outstanding = set(state.partitions)
        if not state.partitions:
            self._complete(state, now_ms)
            return
        is_commit = state.status is Status.PREPARE_COMMIT
        self._effects.append(
            SendMarkers(state.producer_id, state.producer_epoch, is_commit, state.client_version, state.partitions)
        )

    def _on_marker(self, event: MarkerWritten, now_ms: int) -> None:
        state = self.state
        if state is None or state.status not in PREPARED or self.is_busy:
            return
        if (event.producer_id, event.producer_epoch) != (state.producer_id, state.producer_epoch):
            return
        self.outstanding.discard(event.partition)
        if not self.outstanding:
            self._complete(state, now_ms)

    def _complete(self, state: TransactionState, now_ms: int) -> None:
        """All markers are committed. A next transaction that waits for that begins in the same record."""
        complete = rules.completed(state, now_ms)
        if self.queue and isinstance(request := self.queue[0][0], AddPartitions):
            begun = rules.add(complete, request, now_ms)
            if isinstance(begun, TransactionState):
                self.queue.popleft()
                self._write_along(request, begun)
                return
        self._write(complete)

    # -- what the shell reports ----------------------------------------------------------------------------------------

    def _on_written(self, now_ms: int) -> None:
        value, self._written, self.is_writing = self._written, None, False
        self.apply(value)
        self._effects += self._answers
        self._answers = []
        if value is None:
            self._effects.append(Forget())
        self._finish_what_is_prepared(now_ms)

    def _on_refused(self, error: ErrorCode) -> None:
        self._written, self.is_writing = None, False
        self._effects += [Answer(answer.token, error) for answer in self._answers]
        self._answers = []
        if self._admitted is not None and self.queue and self.queue[0][0] is self._admitted:
            self._answer(self.queue.popleft()[0], error)

    def _on_producer_id(self, producer_id: int | None) -> None:
        self.is_obtaining = False
        if producer_id is not None:
            self._fresh_id = producer_id
        elif self.queue:
            self._answer(self.queue.popleft()[0], ErrorCode.COORDINATOR_NOT_AVAILABLE)

    def _on_timer(self, now_ms: int) -> None:
        while self.queue and now_ms - self.queue[0][1] >= HOLD_MS and not self.is_obtaining:
            self._answer(self.queue.popleft()[0], ErrorCode.CONCURRENT_TRANSACTIONS)
        state = self.state
        if state is None or self.is_busy:
            return
        if state.status is Status.ONGOING:
            # a clock that was set back as far is no reason to leave it open until it has caught up
            if abs(now_ms - state.started_ms) >= state.timeout_ms:
                self._write(rules.fenced(state, now_ms))
        elif state.status in PREPARED:
            if not self.outstanding:
                self._complete(state, now_ms)  # the last attempt was refused
        elif not self.queue and now_ms - state.updated_ms >= self.expiration_ms:
            self._write(None)

    def check(self) -> None:
        """Raises AssertionError unless state, markers and line fit together."""
        state = self.state
        assert not (self.is_writing and self.is_obtaining)
        assert self.is_writing or not self._answers
        if state is None:
            assert not self.outstanding
            return
        assert 0 <= state.producer_epoch <= MAX_EPOCH, state
        assert state.status not in (Status.DEAD, Status.PREPARE_EPOCH_FENCE), state
        assert bool(state.partitions) or state.status is not Status.ONGOING, state
        assert not state.partitions or state.status in (Status.ONGOING, *PREPARED), state
        assert state.producer_epoch <= LAST_EPOCH or state.status is not Status.ONGOING, state
        assert state.next_producer_id < 0 or state.status in PREPARED, state
        assert self.outstanding <= state.partitions, (self.outstanding, state)


def _goes_along(first: AddPartitions, other: Request) -> bool:
    """One record can serve both."""
    return isinstance(other, AddPartitions) and (other.producer_id, other.producer_epoch, other.version) == (
        first.producer_id,
        first.producer_epoch,
        first.version,
    )


__all__ = ["HOLD_MS", "TransactionMachine"]
