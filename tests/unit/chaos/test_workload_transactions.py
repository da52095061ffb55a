"""What a transaction's outcome is written down as: fail only if it can never have been committed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from chaos.history import History
from chaos.workloads.queue import QueueWorkload
from chaos.workloads.transactional import Ending, Transaction


def refusal(*, abort: bool = False, retriable: bool = False, fatal: bool = False) -> KafkaException:
    return KafkaException(KafkaError(KafkaError._FAIL, "", fatal, retriable, abort))


class Delivered:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset


class StubProducer:
    """Raises what it is given, one after the other, then succeeds."""

    def __init__(self, commits: list[KafkaException] = [], aborts: list[KafkaException] = []) -> None:  # noqa: B006
        self.commits, self.aborts = list(commits), list(aborts)
        self.calls: list[str] = []

    def begin_transaction(self) -> None:
        self.calls.append("begin")

    def produce(self, topic: str, value: bytes, *, partition: int, on_delivery: Callable[..., None]) -> None:
        on_delivery(None, Delivered(int(value) + 100))

    def commit_transaction(self, timeout: float) -> None:
        self.calls.append("commit")
        if self.commits:
            raise self.commits.pop(0)

    def abort_transaction(self, timeout: float) -> None:
        self.calls.append("abort")
        if self.aborts:
            raise self.aborts.pop(0)


def ended(producer: StubProducer, ending: Ending = "commit", failure: KafkaException | None = None) -> Transaction:
    transaction = Transaction(QueueWorkload("nowhere", History(), seed=1), producer)  # type: ignore[arg-type]

    def body() -> None:
        transaction.send("t", 0, 7)
        if failure is not None:
            raise failure

    transaction.run(body, ending)
    return transaction


def test_a_commit_is_ok_and_offsets_are_known() -> None:
    transaction = ended(StubProducer())
    assert (transaction.outcome, transaction.is_usable) == ("ok", True)
    assert transaction.micro_ops() == [["send", "t-0", [107, 7]]]


def test_an_abort_is_a_fail() -> None:
    producer = StubProducer()
    assert ended(producer, "abort").outcome == "fail"
    assert producer.calls == ["begin", "abort"]


def test_what_is_left_behind_fails_and_so_does_its_producer() -> None:
    producer = StubProducer()
    transaction = ended(producer, "leave")
    assert (transaction.outcome, transaction.is_usable) == ("fail", False)
    assert producer.calls == ["begin"]


def test_a_failure_before_the_commit_is_aborted() -> None:
    producer = StubProducer()
    transaction = ended(producer, "commit", failure=refusal(abort=True))
    assert (transaction.outcome, transaction.is_usable, producer.calls) == ("fail", True, ["begin", "abort"])


def test_a_commit_that_is_refused_at_once_is_aborted() -> None:
    producer = StubProducer(commits=[refusal(abort=True)])
    assert ended(producer).outcome == "fail"
    assert producer.calls == ["begin", "commit", "abort"]


def test_a_commit_that_timed_out_is_tried_again() -> None:
    producer = StubProducer(commits=[refusal(retriable=True), refusal(retriable=True)])
    assert ended(producer).outcome == "ok"
    assert producer.calls == ["begin", "commit", "commit", "commit"]


@pytest.mark.parametrize("second", [refusal(abort=True), refusal(fatal=True)])
def test_nobody_knows_of_a_commit_that_timed_out_before_it_was_refused(second: Any) -> None:
    transaction = ended(StubProducer(commits=[refusal(retriable=True), second]))
    assert (transaction.outcome, transaction.is_usable) == ("info", False)


def test_nobody_knows_of_a_commit_during_which_the_producer_was_fenced() -> None:
    assert ended(StubProducer(commits=[refusal(fatal=True)])).outcome == "info"


def test_an_abort_that_can_not_be_done_is_a_fail_all_the_same() -> None:
    transaction = ended(StubProducer(aborts=[refusal(fatal=True)]), "abort")
    assert (transaction.outcome, transaction.is_usable) == ("fail", False)
