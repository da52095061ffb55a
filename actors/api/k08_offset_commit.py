"""8 OffsetCommit, v2-10.

The group's coordinator checks who commits and writes the offsets; the answer waits for every replica in sync.
- v2-4 may say how long to keep them; v10 names topics by id.
Left out: nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from actors.api.group_calls import Unknown, admit_topics, call_group, topic_id_of
from protocol.k08_offset_commit import (
    OffsetCommitRequest,
    OffsetCommitResponse,
    OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

TOPIC_IDS_FROM = 10


def handle(context: RequestContext, request: OffsetCommitRequest) -> Awaitable[OffsetCommitResponse]:
    """Commit what exists, refuse the rest. The group hears of it at once: what the client sends next comes after it."""
    by_id = context.api_version >= TOPIC_IDS_FROM
    request.topics, unknown = admit_topics(context, request.topics, by_id=by_id)
    answer = call_group(context, request.group_id, request)
    return _complete(context, answer, unknown) if unknown or by_id else answer


async def _complete(
    context: RequestContext, answer: Awaitable[OffsetCommitResponse], unknown: list[Unknown]
) -> OffsetCommitResponse:
    response = await answer
    if context.api_version >= TOPIC_IDS_FROM:
        for topic in response.topics:
            topic.topic_id = topic_id_of(context, topic.name)
    for row in unknown:
        partitions = [
            OffsetCommitResponsePartition(partition_index=index, error_code=row.error) for index in row.partitions
        ]
        response.topics.append(
            OffsetCommitResponseTopic(name=row.name, topic_id=row.topic_id, partitions=partitions)
        )
    return response
