"""What the transactional handlers share: asking the coordinator, and Kafka's wording for older clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from machines.transaction_events import Answer, Request
from model.errors import ErrorCode

if TYPE_CHECKING:
    from actors.broker import Broker

Token = Callable[[Answer], None]


def ask(broker: Broker, transactional_id: str, make: Callable[[Token], Request]) -> asyncio.Future[Answer]:
    """The coordinator's answer to the event that `make(token)` makes; requests reach it in the order they are asked."""
    future: asyncio.Future[Answer] = broker.loop.create_future()

    def answered(answer: Answer) -> None:
        if not future.done():
            future.set_result(answer)

    event = make(answered)
    if transactional_id:
        broker.transactions.request(transactional_id, event)
    else:
        answered(Answer(answered, ErrorCode.INVALID_REQUEST))
    return future


def worded(error: ErrorCode, version: int, fenced_from: int) -> ErrorCode:
    """PRODUCER_FENCED is known to clients from version `fenced_from` of a request on."""
    if error is ErrorCode.PRODUCER_FENCED and version < fenced_from:
        return ErrorCode.INVALID_PRODUCER_EPOCH
    return error
