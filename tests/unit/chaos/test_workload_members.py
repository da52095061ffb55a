"""A member of a group knows which of its messages are still its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import TopicPartition

import chaos.workloads.group_reader as module
from chaos.history import History
from chaos.workloads.group_reader import Member
from chaos.workloads.queue import QueueWorkload


class Handed:
    def __init__(self, offset: int) -> None:
        self._offset = offset

    def error(self) -> None:
        return None

    def offset(self) -> int:
        return self._offset

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 0

    def value(self) -> bytes:
        return b"%d" % self._offset


class StubConsumer:
    """Each poll does the next of its steps: "assign", "revoke" and "lost" call back, and a message is handed out."""

    def __init__(self, polls: list[list[Any]]) -> None:
        self._polls = list(polls)
        self._callbacks: dict[str, Callable[..., None]] = {}

    def subscribe(self, topics: list[str], **callbacks: Callable[..., None]) -> None:
        self._callbacks = callbacks

    def poll(self, timeout: float) -> Handed | None:
        for step in self._polls.pop(0) if self._polls else []:
            if isinstance(step, int):
                return Handed(step)
            self._callbacks[f"on_{step}"](self, [TopicPartition("t", 0)])
        return None


def polled(monkeypatch: pytest.MonkeyPatch, polls: list[list[Any]]) -> tuple[list[int], list[int]]:
    """What is handed out at all, and what of it is still the member's own."""
    found = []
    for take in (Member.poll_messages, Member.poll_ours):
        monkeypatch.setattr(module, "consumer", lambda *_, **__: StubConsumer(polls))
        member = Member(QueueWorkload("nowhere", History(), seed=1), "t", "g")
        found.append([int(message.offset() or 0) for message in take(member)])
    return found[0], found[1]


@pytest.mark.parametrize("taken", ["revoke", "lost"])
def test_what_was_handed_out_before_a_partition_was_taken_is_no_longer_ours(
    monkeypatch: pytest.MonkeyPatch, taken: str
) -> None:
    assert polled(monkeypatch, [[1], [2], [taken]]) == ([1, 2], [])
    assert polled(monkeypatch, [[1], [2], [taken, "assign", 3]]) == ([1, 2, 3], [3])


def test_what_comes_after_an_assignment_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert polled(monkeypatch, [["assign", 1], [2]]) == ([1], [1]), "and ends the operation"
    assert polled(monkeypatch, [["revoke", "assign", 1]]) == ([1], [1])
    assert polled(monkeypatch, [[1], ["assign", 2]]) == ([1, 2], [1, 2]), "cooperative: nothing was taken"


def test_what_librdkafka_hands_out_twice_by_itself_is_counted_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "consumer", lambda *_, **__: StubConsumer([[1], [2], [2], [3], [], [2], [3], []]))
    workload = QueueWorkload("nowhere", History(), seed=1)
    member = Member(workload, "t", "g")
    assert [message.offset() for message in member.read_once()] == [1, 2, 3]
    assert [message.offset() for message in member.read_once()] == [2, 3], "going back by two is somebody's fault"
    assert workload.stats()["repeats"] == 1


def test_whoever_goes_back_after_an_abort_gets_the_message_again(monkeypatch: pytest.MonkeyPatch) -> None:
    assert polled(monkeypatch, [[1], [1]]) == ([1, 1], [1, 1])


def test_a_partition_that_is_given_anew_may_begin_with_its_last_message(monkeypatch: pytest.MonkeyPatch) -> None:
    assert polled(monkeypatch, [[1], ["revoke", "assign", 1]]) == ([1, 1], [1])


def test_a_members_session_is_the_workloads_unless_it_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, Any]] = []

    def stub(*_: object, **configs: Any) -> StubConsumer:
        given.append(configs)
        return StubConsumer([])

    monkeypatch.setattr(module, "consumer", stub)
    workload = QueueWorkload("nowhere", History(), seed=1)
    workload.session_ms = 1_234
    Member(workload, "t", "g", enable_auto_commit=True)
    Member(workload, "t", "g", session_timeout_ms=9)
    assert given == [{"session_timeout_ms": 1_234, "enable_auto_commit": True}, {"session_timeout_ms": 9}]
