"""47 OffsetDelete, v0.

Deletes offsets that a group has committed, but not those of topics that its members subscribe to.
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.group_calls import call_group
from model.errors import ErrorCode
from protocol.k47_offset_delete import (
    OffsetDeleteRequest,
    OffsetDeleteResponse,
    OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


async def handle(context: RequestContext, request: OffsetDeleteRequest) -> OffsetDeleteResponse:
    """Delete what exists, refuse the rest."""
    unknown = []
    for topic in request.topics:
        info = context.broker.image.topics.get(topic.name)
        known = info.partitions if info is not None else {}
        error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        rows = [
            OffsetDeleteResponsePartition(partition_index=row.partition_index, error_code=error)
            for row in topic.partitions
            if row.partition_index not in known
        ]
        if rows:
            unknown.append(OffsetDeleteResponseTopic(name=topic.name, partitions=rows))
            topic.partitions = [row for row in topic.partitions if row.partition_index in known]
    request.topics = [topic for topic in request.topics if topic.partitions]
    response: OffsetDeleteResponse = await call_group(context, request.group_id, request)
    if not response.error_code:
        response.topics += unknown
    return response
