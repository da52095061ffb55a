"""Markers in a partition's log: written once, fenced by epochs, and what readers of committed records see of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from log_builders import NOW_MS, a_batch, a_log

from actors.append_request import AppendRequest, MarkerRequest
from actors.replica import Replica
from model.coordinator_errors import TransactionCoordinatorFenced
from model.errors import InvalidProducerEpoch, InvalidRecord
from model.ids import TopicPartition
from storage.log import AppendInfo, Log


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return a_log(tmp_path)


def data(log: Log, epoch: int = 0, sequence: int = 0) -> AppendInfo:
    batch = a_batch(2, producer_id=7, producer_epoch=epoch, base_sequence=sequence, transactional=True)
    return AppendRequest(batch, -1, print).write_to(log, 0, NOW_MS)


def marker(log: Log, epoch: int = 0, *, coordinator: int = 3, version: int = 0, is_commit: bool = True) -> AppendInfo:
    request = MarkerRequest(
        b"",
        -1,
        print,
        producer_id=7,
        producer_epoch=epoch,
        is_commit=is_commit,
        coordinator_epoch=coordinator,
        version=version,
    )
    return request.write_to(log, 0, NOW_MS)


def test_a_marker_ends_the_transaction_and_its_repetition_writes_nothing(log: Log) -> None:
    data(log)
    first = marker(log)
    again = marker(log)
    assert (first.first_offset, first.is_duplicate) == (2, False)
    assert (again.is_duplicate, again.last_offset + 1, log.log_end_offset) == (True, 3, 3)


def test_the_next_coordinator_may_repeat_it_and_the_last_one_no_more(log: Log) -> None:
    data(log)
    marker(log, coordinator=3)
    assert not marker(log, coordinator=4).is_duplicate
    data(log, sequence=2)
    with pytest.raises(TransactionCoordinatorFenced):
        marker(log, coordinator=3)


def test_a_late_repetition_does_not_end_the_next_transaction(log: Log) -> None:
    """With transaction.version 2 the next one is open under the epoch that the marker brought."""
    data(log, epoch=0)
    marker(log, epoch=1, version=2)
    data(log, epoch=1)
    with pytest.raises(InvalidProducerEpoch):
        marker(log, epoch=1, version=2)


def test_a_marker_with_a_bumped_epoch_fences_what_is_still_under_way(log: Log) -> None:
    data(log, epoch=0)
    marker(log, epoch=1, version=2)
    with pytest.raises(InvalidProducerEpoch):
        data(log, epoch=0, sequence=2)


def test_only_coordinators_write_batches_without_sequences(log: Log) -> None:
    batch = a_batch(1, producer_id=7, producer_epoch=0, transactional=True)
    with pytest.raises(InvalidRecord):
        AppendRequest(batch, -1, print).write_to(log, 0, NOW_MS)
    AppendRequest(batch, -1, print, from_client=False).write_to(log, 0, NOW_MS)
    assert log.log_end_offset == 1


@pytest.mark.parametrize("is_commit", [True, False])
def test_the_last_stable_offset_waits_until_the_marker_is_on_every_replica(log: Log, is_commit: bool) -> None:
    info: Any = None
    replica = Replica(TopicPartition("events", 0), bytes(16), info, log, 0)
    data(log)
    replica.advance(2)
    assert replica.last_stable_offset == 0
    marker(log, is_commit=is_commit)
    assert replica.last_stable_offset == 0
    replica.advance(3)
    assert replica.last_stable_offset == 3
    aborted = [(row.producer_id, row.first_offset) for row in log.aborted_transactions(0, 3)]
    assert aborted == ([] if is_commit else [(7, 0)])


def test_an_answer_is_given_once(log: Log) -> None:
    answers: list[object] = []
    request = AppendRequest(b"", -1, answers.append)
    request.undelivered()
    request.undelivered()
    assert len(answers) == 1
