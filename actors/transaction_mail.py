"""What a transaction coordinator's actor sends itself, and what the end of an append means to it.

`life` is the coordinator's when it sent the message: it changes with every replay, and older mail is void then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.errors import ErrorCode

APPENDED = (ErrorCode.NONE, ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND)
"""The record is in the log."""

UNCERTAIN = (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.KAFKA_STORAGE_ERROR)
"""Nobody can say whether it is: only a replay can."""


@dataclass(slots=True, frozen=True)
class Load:
    """The next slice of the replay."""

    life: object


@dataclass(slots=True, frozen=True)
class Flush:
    """Write what the messages of this turn want written."""

    life: object


@dataclass(slots=True, frozen=True)
class Tick:
    """The timer fired."""

    life: object


@dataclass(slots=True, frozen=True)
class Appended:
    """A batch with records of these ids has been taken in, or not."""

    life: object
    transactional_ids: Sequence[str]
    error: ErrorCode


@dataclass(slots=True, frozen=True)
class Obtained:
    """A fresh producer id; None when there was none to be had."""

    life: object
    transactional_id: str
    producer_id: int | None


def for_clients(error: ErrorCode) -> ErrorCode:
    """What a client makes of a write that was refused: it tries again, unless that can't help."""
    if error in (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.REQUEST_TIMED_OUT):
        return ErrorCode.COORDINATOR_NOT_AVAILABLE
    return ErrorCode.UNKNOWN_SERVER_ERROR
