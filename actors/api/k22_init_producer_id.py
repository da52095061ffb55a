"""22 InitProducerId, v0-6.

Gives an idempotent producer its id, from a block that the controller handed to this broker; epoch 0.
- v3+: a producer that already has an id and asks again gets its epoch bumped (KIP-360); near the end of the epochs a
  new id.
Left out: transactional ids (they come with the transaction coordinator).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.errors import ErrorCode, RequestTimedOut
from protocol.k22_init_producer_id import InitProducerIdRequest, InitProducerIdResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

LAST_EPOCH = 0x7FFF - 1


async def handle(context: RequestContext, request: InitProducerIdRequest) -> InitProducerIdResponse:
    """An id and an epoch."""
    if request.transactional_id is not None:
        error = ErrorCode.INVALID_REQUEST if not request.transactional_id else ErrorCode.COORDINATOR_NOT_AVAILABLE
        return InitProducerIdResponse(error_code=error, producer_epoch=-1)
    if request.producer_id >= 0 and 0 <= request.producer_epoch < LAST_EPOCH:
        return InitProducerIdResponse(producer_id=request.producer_id, producer_epoch=request.producer_epoch + 1)
    try:
        producer_id = await context.broker.producer_ids.next()
    except RequestTimedOut:
        return InitProducerIdResponse(error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, producer_epoch=-1)
    return InitProducerIdResponse(producer_id=producer_id, producer_epoch=0)
