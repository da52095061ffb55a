from __future__ import annotations

import inspect

import pytest

import model.coordinator_errors
import model.errors
from model.errors import (
    ErrorCode,
    KafkaError,
    NotLeaderOrFollower,
    OdradekError,
    StorageFailure,
    UnknownServerError,
    kafka_error,
)

CLASSES = [
    found
    for module in (model.errors, model.coordinator_errors)
    for _, found in inspect.getmembers(module, inspect.isclass)
    if issubclass(found, KafkaError) and found is not KafkaError
]


def test_codes_have_no_gap() -> None:
    assert [int(code) for code in ErrorCode] == list(range(-1, 134))


def test_a_client_tries_again_after_a_failover_but_not_after_a_mistake() -> None:
    assert ErrorCode.NOT_LEADER_OR_FOLLOWER.retriable
    assert ErrorCode.NOT_ENOUGH_REPLICAS.retriable
    assert not ErrorCode.MESSAGE_TOO_LARGE.retriable
    assert not ErrorCode.NONE.retriable


def test_each_class_has_a_code_of_its_own_and_a_docstring() -> None:
    codes = [found.code for found in CLASSES]
    assert len(codes) == len(set(codes)) > 80
    assert all(found.__doc__ and found.__doc__ != KafkaError.__doc__ for found in CLASSES)


@pytest.mark.parametrize("found", CLASSES, ids=lambda found: found.__name__)
def test_a_code_from_the_wire_becomes_its_class(found: type[KafkaError]) -> None:
    assert type(kafka_error(found.code, "why")) is found


def test_a_code_without_a_class_keeps_its_code() -> None:
    error = kafka_error(ErrorCode.INVALID_VOTER_KEY)
    assert (error.code, error.message, str(error)) == (ErrorCode.INVALID_VOTER_KEY, None, "INVALID_VOTER_KEY")


def test_a_code_from_the_future_is_an_unknown_error_that_tells_the_number() -> None:
    error = kafka_error(9999, "what?")
    assert isinstance(error, UnknownServerError)
    assert error.message == "error code 9999: what?"


def test_an_error_tells_code_and_reason() -> None:
    error = NotLeaderOrFollower("t-0 is led by broker 2")
    assert str(error) == "NOT_LEADER_OR_FOLLOWER: t-0 is led by broker 2"
    assert error.message == "t-0 is led by broker 2"
    assert isinstance(error, OdradekError)
    assert not isinstance(StorageFailure(), KafkaError)
