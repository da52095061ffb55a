"""26 EndTxn, v0-5.

Commits or aborts. Answered once the decision is durable; the markers follow by themselves.
- v5: the answer carries the producer's next id and epoch (KIP-890). A retry gets the same answer.
Left out: nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from actors.api.transactional import ask, worded
from machines.transaction_events import Answer, EndTransaction
from model.errors import ErrorCode
from protocol.k26_end_txn import EndTxnRequest, EndTxnResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

FENCED_FROM = 2
EPOCH_BUMPS_FROM = 5


def handle(context: RequestContext, request: EndTxnRequest) -> Awaitable[EndTxnResponse]:
    """Ask the coordinator, in arrival order."""
    version = 2 if context.api_version >= EPOCH_BUMPS_FROM else 0
    asked = ask(
        context.broker,
        request.transactional_id,
        lambda token: EndTransaction(
            token, request.producer_id, request.producer_epoch, request.committed, version=version
        ),
    )
    return _respond(context, asked)


async def _respond(context: RequestContext, asked: asyncio.Future[Answer]) -> EndTxnResponse:
    answer = await asked
    error = worded(answer.error, context.api_version, FENCED_FROM)
    response = EndTxnResponse(error_code=error)
    if error is ErrorCode.NONE:
        response.producer_id, response.producer_epoch = answer.producer_id, answer.producer_epoch
    return response
