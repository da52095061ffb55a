"""A partition's first transactional batch waits for the coordinator's word."""

from __future__ import annotations

import pytest

from machines.verification import (
    ASK_AGAIN_MS,
    GIVE_UP_MS,
    RETRY_MS,
    Admit,
    Answered,
    Ask,
    Claim,
    MarkerSeen,
    Offered,
    Refuse,
    TimerFired,
    VerificationMachine,
)
from model.error_codes import ErrorCode

NONE = ErrorCode.NONE


def claim(sequence: int = 0, epoch: int = 0, producer: int = 7) -> Claim:
    return Claim("id", producer, epoch, adds=True, first_sequence=sequence)


class Gate(VerificationMachine):
    def offer(self, token: str, sequence: int = 0, epoch: int = 0, producer: int = 7, now_ms: int = 0) -> list[object]:
        effects = self.step(Offered(claim(sequence, epoch, producer), token), now_ms)
        self.check()
        return list(effects)


def test_the_first_batch_asks_and_the_others_wait_in_line_behind_it() -> None:
    gate = Gate()
    assert gate.offer("a") == [Ask(1, claim())]
    assert gate.offer("b", 1) == gate.offer("c", 2) == []
    assert gate.holds(7) and not gate.holds(8)
    assert gate.step(Answered(1, NONE), 1) == [Admit("a"), Admit("b"), Admit("c")]
    assert len(gate) == 0


def test_producers_do_not_wait_for_each_other() -> None:
    gate = Gate()
    gate.offer("a")
    assert gate.offer("b", producer=8) == [Ask(2, claim(producer=8))]
    assert gate.step(Answered(2, NONE), 1) == [Admit("b")]


def test_a_refusal_goes_to_all_that_wait_and_later_ones_must_not_overtake_the_first() -> None:
    gate = Gate()
    gate.offer("a")
    gate.offer("b", 1)
    refused = ErrorCode.TRANSACTION_ABORTABLE
    assert gate.step(Answered(1, refused), 1) == [Refuse("a", refused), Refuse("b", refused)]
    assert gate.offer("c", 2) == [Refuse("c", ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER)]
    assert gate.offer("a again") == [Ask(2, claim())]


def test_a_new_epoch_starts_afresh() -> None:
    gate = Gate()
    gate.offer("a")
    gate.step(Answered(1, ErrorCode.PRODUCER_FENCED), 1)
    assert gate.offer("b", 5, epoch=1) == [Ask(2, claim(5, 1))]


@pytest.mark.parametrize("error", [ErrorCode.NOT_COORDINATOR, ErrorCode.CONCURRENT_TRANSACTIONS])
def test_a_coordinator_that_can_not_say_is_asked_again(error: ErrorCode) -> None:
    gate = Gate()
    gate.offer("a")
    assert gate.step(Answered(1, error), 10) == []
    assert gate.step(TimerFired(), 10 + RETRY_MS - 1) == []
    assert gate.step(TimerFired(), 10 + RETRY_MS) == [Ask(2, claim())]


def test_silence_is_asked_again_and_the_old_answer_counts_for_nothing() -> None:
    gate = Gate()
    gate.offer("a")
    assert gate.step(TimerFired(), ASK_AGAIN_MS) == [Ask(2, claim())]
    assert gate.step(Answered(1, NONE), ASK_AGAIN_MS) == []
    assert gate.step(Answered(2, NONE), ASK_AGAIN_MS) == [Admit("a")]


def test_a_marker_that_comes_between_voids_the_question() -> None:
    gate = Gate()
    gate.offer("a")
    assert gate.step(MarkerSeen(7), 1) == [Ask(2, claim())]
    assert gate.step(Answered(1, NONE), 2) == []
    assert gate.step(Answered(2, ErrorCode.PRODUCER_FENCED), 3) == [Refuse("a", ErrorCode.PRODUCER_FENCED)]
    assert gate.step(MarkerSeen(7), 4) == []


def test_batches_of_the_next_epoch_are_verified_for_themselves() -> None:
    gate = Gate()
    gate.offer("a")
    gate.offer("b", 0, epoch=1)
    assert gate.step(Answered(1, NONE), 1) == [Admit("a"), Ask(2, claim(0, 1))]


def test_nobody_waits_for_ever() -> None:
    gate = Gate()
    gate.offer("a")
    assert gate.step(TimerFired(), GIVE_UP_MS) == [Refuse("a", ErrorCode.COORDINATOR_NOT_AVAILABLE)]


def test_the_end_of_the_role_hands_back_all_that_wait() -> None:
    gate = Gate()
    gate.offer("a")
    gate.offer("b", producer=8)
    assert gate.dismiss() == ["a", "b"]
