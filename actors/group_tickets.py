"""A group's appends under way, and what it means to a client when one fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.append_request import AppendRequest
from machines.group_events import Append, AppendInTransaction
from model.errors import ErrorCode

if TYPE_CHECKING:
    from actors.group_coordinator import GroupCoordinator


class Ticket:
    """An append under way."""

    __slots__ = ("deadline_ms", "effect", "error", "is_done", "owner")

    def __init__(self, owner: GroupCoordinator, effect: Append | AppendInTransaction, deadline_ms: int) -> None:
        self.owner = owner
        self.effect = effect
        self.deadline_ms = deadline_ms
        self.is_done = False
        self.error = ErrorCode.NONE

    def done(self, request: AppendRequest) -> None:
        """Called by the partition's leader; the group hears of it in its own turn."""
        self.is_done = True
        self.error = request.error
        self.owner.tell(self.owner.path, self)


_OF_THE_PRODUCER = frozenset(
    {
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.PRODUCER_FENCED,
        ErrorCode.INVALID_PRODUCER_ID_MAPPING,
        ErrorCode.INVALID_TXN_STATE,
        ErrorCode.CONCURRENT_TRANSACTIONS,
        ErrorCode.TRANSACTION_ABORTABLE,
    }
)


def refusal_code(error: ErrorCode) -> ErrorCode:
    """What a failed append means to the client (as in Kafka: the broker behind the coordinator is not its business)."""
    if error in (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.KAFKA_STORAGE_ERROR):
        return ErrorCode.NOT_COORDINATOR
    if error in (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE):
        return ErrorCode.INVALID_COMMIT_OFFSET_SIZE
    if error in _OF_THE_PRODUCER:
        return error
    if error.retriable:
        return ErrorCode.COORDINATOR_NOT_AVAILABLE
    return ErrorCode.UNKNOWN_SERVER_ERROR
