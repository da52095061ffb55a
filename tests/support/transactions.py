"""A transactional id's machine with a log that takes every write, for tests that read as sentences."""

from __future__ import annotations

import itertools
from typing import Any

from machines.transaction import TransactionMachine
from machines.transaction_events import (
    AddPartitions,
    Answer,
    Effect,
    EndTransaction,
    Event,
    InitProducerId,
    MarkerWritten,
    ObtainProducerId,
    ProducerIdObtained,
    SendMarkers,
    TimerFired,
    VerifyPartitions,
    Write,
    WriteRefused,
    Written,
)
from machines.transaction_state import Status, TransactionState
from model.error_codes import ErrorCode
from model.ids import TopicPartition
from protocol.internal_topics import TransactionLogValue

A0, A1, B0 = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)
TIMEOUT_MS = 60_000


class Coordinator:
    """Drives one machine; `log` is what a new coordinator would replay, `sent` the markers asked for.

    With `holds_writes` the log answers only when `write_through` or `refuse_write` is called.
    """

    def __init__(self, log: list[TransactionLogValue | None] | None = None) -> None:
        self.machine = TransactionMachine()
        self.log: list[TransactionLogValue | None] = log if log is not None else []
        self.now_ms = 1_000
        self.answers: dict[object, Answer] = {}
        self.sent: list[SendMarkers] = []
        self.holds_writes = False
        self.obtains_ids = True
        self.open_writes: list[TransactionLogValue | None] = []
        self._tokens = itertools.count(1)
        self._producer_ids = itertools.count(1000)
        for value in self.log:
            self.machine.apply(value)

    @property
    def state(self) -> TransactionState:
        assert self.machine.state is not None
        return self.machine.state

    def step(self, event: Event) -> list[Effect]:
        effects = self.machine.step(event, self.now_ms)
        self.machine.check()
        for effect in effects:
            match effect:
                case Answer():
                    assert effect.token not in self.answers, "answered twice"
                    self.answers[effect.token] = effect
                case SendMarkers():
                    self.sent.append(effect)
                case Write():
                    self.open_writes.append(effect.value)
                    assert len(self.open_writes) == 1, "one write at a time"
                case ObtainProducerId():
                    if self.obtains_ids:
                        self.step(ProducerIdObtained(next(self._producer_ids)))
        if self.open_writes and not self.holds_writes:
            self.write_through()
        return effects

    def write_through(self) -> None:
        while self.open_writes:
            self.log.append(self.open_writes.pop())
            self.step(Written())

    def refuse_write(self) -> None:
        self.open_writes.pop()
        self.step(WriteRefused(ErrorCode.COORDINATOR_NOT_AVAILABLE))

    def ask(self, kind: type[Any], *fields: Any, **more: Any) -> Answer | None:
        """The answer, or None when the request has to wait (`later` finds it)."""
        self.token = next(self._tokens)
        self.step(kind(self.token, *fields, **more))
        return self.answers.get(self.token)

    def later(self, token: int) -> Answer | None:
        return self.answers.get(token)

    # -- what clients do ---------------------------------------------------------------------------------------------

    def init(self, producer_id: int = -1, epoch: int = -1, timeout_ms: int = TIMEOUT_MS) -> Answer | None:
        return self.ask(InitProducerId, timeout_ms, producer_id, epoch)

    def started(self) -> tuple[int, int]:
        answer = self.init()
        assert answer is not None and answer.error is ErrorCode.NONE, answer
        return answer.producer_id, answer.producer_epoch

    def add(self, who: tuple[int, int], *partitions: TopicPartition, version: int = 0) -> ErrorCode | None:
        answer = self.ask(AddPartitions, *who, frozenset(partitions), version=version)
        return None if answer is None else answer.error

    def verify(self, who: tuple[int, int], *partitions: TopicPartition) -> Answer | None:
        return self.ask(VerifyPartitions, *who, frozenset(partitions))

    def end(self, who: tuple[int, int], is_commit: bool, version: int = 0) -> Answer | None:
        return self.ask(EndTransaction, *who, is_commit, version=version)

    def markers_written(self) -> None:
        """All that are asked for and not committed yet."""
        if self.machine.outstanding:
            state = self.state
            for partition in sorted(self.machine.outstanding):
                self.step(MarkerWritten(partition, state.producer_id, state.producer_epoch))

    def after(self, ms: int) -> None:
        self.now_ms += ms
        self.step(TimerFired())

    def status(self) -> Status:
        return self.state.status


def replayed(coordinator: Coordinator) -> TransactionState | None:
    """What a new coordinator makes of the log."""
    return Coordinator(list(coordinator.log)).machine.state
