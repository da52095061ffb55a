"""What a transaction coordinator may use of its broker, and how others ask it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

from actors.append_request import AppendRequest
from actors.replica import Replica
from machines.marker_delivery import Leader
from machines.transaction_events import Answer, Request
from model.errors import ErrorCode
from model.ids import TopicPartition
from protocol.cluster_transactions import WriteMarkers


class TransactionLimits(NamedTuple):
    """The broker configs that a coordinator obeys."""

    max_timeout_ms: int = 900_000
    expiration_ms: int = 604_800_000
    timeout_check_ms: int = 10_000
    expiration_check_ms: int = 3_600_000


class CoordinatorPorts(Protocol):
    """What a coordinator may use of its broker."""

    def now_ms(self) -> int:
        """Monotonic time, for intervals."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970, for what is written down."""

    def append(self, replica: Replica, request: AppendRequest) -> None:
        """Hand it to the leader of the coordinator's own partition; `request.done` is called in any case."""

    def leader_of(self, partition: TopicPartition) -> Leader | None:
        """Who leads it and can be reached; None for now."""

    def exists(self, partition: TopicPartition) -> bool:
        """False once its topic was deleted."""

    def send_markers(self, broker_id: int, message: WriteMarkers) -> bool:
        """False when the bus does not take it."""

    async def next_producer_id(self) -> int | None:
        """A fresh one; None when the controller can't be asked."""

    def limits(self) -> TransactionLimits:
        """The configs of now."""


@dataclass(slots=True, frozen=True)
class TransactionRequest:
    """A request for one transactional id; the event's token is a function that takes the Answer."""

    transactional_id: str
    event: Request

    def undelivered(self) -> None:
        """The coordinator ended before it took this in."""
        self.refuse(ErrorCode.NOT_COORDINATOR)

    def refuse(self, error: ErrorCode) -> None:
        """Answer without having asked anyone."""
        reply(self.event.token, Answer(self.event.token, error))


def reply(token: object, answer: Answer) -> None:
    """Give a request its answer."""
    cast(Callable[[Answer], None], token)(answer)
