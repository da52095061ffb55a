"""25 AddOffsetsToTxn, v0-4.

Takes the partition of `__consumer_offsets` that holds a group's offsets into a transaction.
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.k10_find_coordinator import GROUP, TOPICS, ensure_topic, partition_for
from actors.api.transactional import ask, worded
from machines.transaction_events import AddPartitions
from model.errors import ErrorCode
from model.ids import TopicPartition
from protocol.k25_add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

FENCED_FROM = 2


async def handle(context: RequestContext, request: AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse:
    """Create the internal topic when there is none, then ask the coordinator."""
    await ensure_topic(context, GROUP)
    name = TOPICS[GROUP][0]
    topic = context.broker.image.topics.get(name)
    if topic is None:
        return AddOffsetsToTxnResponse(error_code=ErrorCode.COORDINATOR_NOT_AVAILABLE)
    partition = TopicPartition(name, partition_for(request.group_id, len(topic.partitions)))
    answer = await ask(
        context.broker,
        request.transactional_id,
        lambda token: AddPartitions(token, request.producer_id, request.producer_epoch, frozenset((partition,))),
    )
    return AddOffsetsToTxnResponse(error_code=worded(answer.error, context.api_version, FENCED_FROM))
