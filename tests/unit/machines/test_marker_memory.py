"""A late copy of a marker does not end the producer's next transaction."""

from __future__ import annotations

from machines.marker_memory import MarkerMemory, MarkerVerdict
from model.ids import TopicPartition

P0, P1 = TopicPartition("t", 0), TopicPartition("t", 1)
WRITE, DONE, LATE = MarkerVerdict.WRITE, MarkerVerdict.DONE, MarkerVerdict.LATE


def test_a_marker_is_written_and_its_copy_only_confirmed() -> None:
    memory = MarkerMemory()
    assert memory.judge(0, 5, 7, 100, P0) is WRITE
    assert memory.judge(0, 5, 7, 100, P0) is WRITE  # it may have failed: the log sees to it that it is there once
    memory.written(0, 5, 7, 100, P0)
    assert memory.judge(0, 5, 7, 100, P0) is DONE
    assert memory.judge(0, 5, 7, 100, P1) is WRITE


def test_a_marker_of_the_transaction_before_is_late() -> None:
    memory = MarkerMemory()
    memory.judge(0, 5, 7, 100, P0)
    assert memory.judge(0, 5, 7, 130, P0) is WRITE
    assert memory.judge(0, 5, 7, 100, P0) is LATE
    assert memory.judge(0, 5, 7, 100, P1) is LATE


def test_an_outcome_of_the_transaction_before_says_nothing_of_this_one() -> None:
    memory = MarkerMemory()
    memory.judge(0, 5, 7, 100, P0)
    memory.judge(0, 5, 7, 130, P0)
    memory.written(0, 5, 7, 100, P0)
    assert memory.judge(0, 5, 7, 130, P0) is WRITE


def test_producers_and_coordinators_do_not_concern_each_other() -> None:
    memory = MarkerMemory()
    memory.judge(0, 5, 7, 100, P0)
    assert memory.judge(0, 5, 8, 90, P0) is WRITE
    assert memory.judge(1, 4, 7, 90, P0) is WRITE


def test_a_coordinator_with_a_successor_is_late_whatever_its_numbers() -> None:
    memory = MarkerMemory()
    memory.judge(0, 5, 7, 100, P0)
    assert memory.judge(0, 6, 7, 40, P0) is WRITE  # a new coordinator may count from below
    assert memory.judge(0, 5, 7, 200, P0) is LATE
    assert memory.judge(0, 6, 7, 40, P1) is WRITE
