"""Which errors end an app, and which a new life waits out."""

from __future__ import annotations

import pytest

from clients.errors import DeliveryTimedOut
from model.coordinator_errors import FencedInstanceId, TransactionAbortable
from model.errors import (
    ConfigError,
    InvalidProducerEpoch,
    InvalidReplicationFactor,
    KafkaError,
    MessageTooLarge,
    NotEnoughReplicas,
    OutOfOrderSequenceNumber,
    ProducerFenced,
    UnknownTopicOrPartition,
)
from streams.errors import MissingTopic, StreamsError, TaskFailed
from streams.live.trouble import is_of_a_record, is_passing, may_settle


@pytest.mark.parametrize(
    "error", [NotEnoughReplicas("x"), UnknownTopicOrPartition("x"), ProducerFenced("x"), TimeoutError("x")]
)
def test_trouble_of_the_cluster_passes(error: Exception) -> None:
    assert is_passing(error, False)


@pytest.mark.parametrize("error", [TaskFailed("x"), StreamsError("x"), ConfigError("x"), InvalidReplicationFactor("x")])
def test_what_will_be_as_wrong_later_does_not(error: Exception) -> None:
    assert not is_passing(error, False)


def test_a_static_member_that_is_fenced_is_at_its_end() -> None:
    assert not is_passing(FencedInstanceId("x"), True)
    assert is_passing(FencedInstanceId("x"), False)


def test_a_starting_cluster_may_not_know_a_topic_or_a_broker_yet() -> None:
    for error in (MissingTopic("x"), InvalidReplicationFactor("x")):
        assert may_settle(error, 1.0)
        assert not may_settle(error, 60.0)
    assert not may_settle(StreamsError("x"), 0.0)


@pytest.mark.parametrize(
    "error",
    [DeliveryTimedOut("x"), ProducerFenced("x"), InvalidProducerEpoch("x"), OutOfOrderSequenceNumber("x"),
     TransactionAbortable("x"), NotEnoughReplicas("x"), TimeoutError("x")],
)  # fmt: skip
def test_a_record_is_not_to_blame_for_the_cluster(error: Exception) -> None:
    assert not is_of_a_record(error)


def test_a_record_may_be_too_large_or_not_allowed() -> None:
    from model.errors import ErrorCode

    assert is_of_a_record(MessageTooLarge("x"))
    assert is_of_a_record(KafkaError("x", code=ErrorCode.TOPIC_AUTHORIZATION_FAILED))
