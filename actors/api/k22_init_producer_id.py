"""22 InitProducerId, v0-6.

Gives an idempotent or transactional producer its id and epoch.
- Idempotent: an id from a block that the controller handed to this broker, epoch 0. v3+: a producer that already has an
  id and asks again gets its epoch bumped (KIP-360); near the end of the epochs a new id.
- Transactional: the coordinator bumps the epoch, which fences the older client and aborts what it left open. v3+: a
  client that tells its id and epoch is bumped without being fenced (KIP-360).
Left out: two-phase commit (v6, KIP-939).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from actors.api.transactional import ask, worded
from machines.transaction_events import Answer, InitProducerId
from machines.transaction_state import LAST_EPOCH
from model.errors import ErrorCode, RequestTimedOut
from protocol.k22_init_producer_id import InitProducerIdRequest, InitProducerIdResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

FENCED_FROM = 4


def handle(context: RequestContext, request: InitProducerIdRequest) -> Awaitable[InitProducerIdResponse]:
    """An id and an epoch."""
    transactional_id = request.transactional_id
    if transactional_id is None:
        return _idempotent(context, request)
    asked = ask(
        context.broker,
        transactional_id,
        lambda token: InitProducerId(
            token, request.transaction_timeout_ms, request.producer_id, request.producer_epoch
        ),
    )
    return _transactional(context, asked)


async def _transactional(context: RequestContext, asked: Awaitable[Answer]) -> InitProducerIdResponse:
    answer = await asked
    error = worded(answer.error, context.api_version, FENCED_FROM)
    return InitProducerIdResponse(
        error_code=error, producer_id=answer.producer_id, producer_epoch=answer.producer_epoch
    )


async def _idempotent(context: RequestContext, request: InitProducerIdRequest) -> InitProducerIdResponse:
    if request.producer_id >= 0 and 0 <= request.producer_epoch < LAST_EPOCH:
        return InitProducerIdResponse(producer_id=request.producer_id, producer_epoch=request.producer_epoch + 1)
    try:
        producer_id = await context.broker.producer_ids.next()
    except RequestTimedOut:
        return InitProducerIdResponse(error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, producer_epoch=-1)
    return InitProducerIdResponse(producer_id=producer_id, producer_epoch=0)
