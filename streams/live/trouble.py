"""Which errors pass: trouble of the cluster that a new life may find over, and what will be as wrong then as now."""

from __future__ import annotations

from clients.errors import IllegalUse
from model.coordinator_errors import FencedInstanceId
from model.errors import ConfigError, InvalidReplicationFactor, KafkaError, OdradekError, ProducerFenced
from streams.errors import MissingTopic, StreamsError

_NAMES_US = ("AUTHORIZATION", "AUTHENTICATION", "UNSUPPORTED", "INVALID_SESSION", "INCONSISTENT", "INVALID_TOPIC",
             "INVALID_REPLICATION", "POLICY", "INVALID_CONFIG", "INVALID_GROUP")  # fmt: skip
_OF_THE_PRODUCER = (
    "INVALID_PRODUCER_EPOCH", "PRODUCER_FENCED", "INVALID_PRODUCER_ID_MAPPING", "UNKNOWN_PRODUCER_ID",
    "OUT_OF_ORDER_SEQUENCE_NUMBER", "TRANSACTION_ABORTABLE", "INVALID_TXN_STATE",
)  # fmt: skip
_SETTLES_S = {MissingTopic: 5.0, InvalidReplicationFactor: 30.0}
"""Errors that a cluster also gives while it starts: a broker may not have heard of a new topic yet, and one that knows
no living broker refuses every number of replicas."""


def is_passing(error: BaseException, is_static: bool) -> bool:
    """Whether a new life may fare better: the cluster is in trouble, or the group or the transaction has moved on.

    A static member that is fenced is at its end: another process goes by its name now.
    """
    if is_static and isinstance(error, (FencedInstanceId, ProducerFenced)):
        return False
    if isinstance(error, KafkaError):
        return not any(word in error.code.name for word in _NAMES_US)
    return isinstance(error, (OdradekError, TimeoutError)) and not isinstance(
        error, (StreamsError, ConfigError, IllegalUse)
    )


def may_settle(error: BaseException, trouble_s: float) -> bool:
    """Whether a cluster that has only just come up may stop saying this; `trouble_s` is how long it says so."""
    return any(isinstance(error, kind) and trouble_s < limit_s for kind, limit_s in _SETTLES_S.items())


def is_of_a_record(error: BaseException) -> bool:
    """Whether a record could not be written because of what it is: too large, not allowed there. Otherwise the cluster
    didn't take it in time, or the producer or its transaction is at an end, and whoever sends it again may succeed."""
    return isinstance(error, KafkaError) and not error.code.retriable and error.code.name not in _OF_THE_PRODUCER
