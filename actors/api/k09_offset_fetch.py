"""9 OffsetFetch, v1-10.

What groups have committed; a null list of topics (v2+) asks for all of them.
- v7+ may refuse offsets that a transaction is about to replace; v8+ asks for several groups; v10 names topics by id.
Left out: nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from actors.api.group_calls import call_group, topic_id_of
from machines.group_events import FetchOffsets
from model.errors import ErrorCode
from protocol.k09_offset_fetch import (
    OffsetFetchRequest,
    OffsetFetchRequestGroup,
    OffsetFetchResponse,
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

BATCHED_FROM = 8
TOPIC_IDS_FROM = 10
GROUP_ERROR_FROM = 2


def handle(context: RequestContext, request: OffsetFetchRequest) -> Awaitable[OffsetFetchResponse]:
    """Ask every group now, answer together later."""
    if context.api_version >= BATCHED_FROM:
        return _together([_fetch_group(context, group, request.require_stable) for group in request.groups])
    topics = None if request.topics is None else [(t.name, list(t.partition_indexes)) for t in request.topics]
    answer = call_group(context, request.group_id, FetchOffsets(topics, request.require_stable))
    return _as_one_group(context, topics, answer)


async def _together(answers: list[Awaitable[OffsetFetchResponseGroup]]) -> OffsetFetchResponse:
    return OffsetFetchResponse(groups=[await answer for answer in answers])


async def _as_one_group(
    context: RequestContext, topics: list[tuple[str, list[int]]] | None, answer: Awaitable[OffsetFetchResponseGroup]
) -> OffsetFetchResponse:
    group = await answer
    if group.error_code and context.api_version < GROUP_ERROR_FROM:  # no place for it but the partitions
        error = ErrorCode(group.error_code)
        group.topics = [_refused(name, b"", partitions, error) for name, partitions in topics or []]
    return OffsetFetchResponse(
        error_code=group.error_code,
        topics=[
            OffsetFetchResponseTopic(name=topic.name, partitions=[_narrow(row) for row in topic.partitions])
            for topic in group.topics
        ],
    )


def _fetch_group(
    context: RequestContext, group: OffsetFetchRequestGroup, require_stable: bool
) -> Awaitable[OffsetFetchResponseGroup]:
    by_id = context.api_version >= TOPIC_IDS_FROM
    topics: list[tuple[str, list[int]]] | None = None
    unknown: list[OffsetFetchResponseTopics] = []
    if group.topics is not None:
        topics = []
        for topic in group.topics:
            info = context.broker.image.topics_by_id.get(topic.topic_id) if by_id else None
            if by_id and info is None:
                error = ErrorCode.UNKNOWN_TOPIC_ID
                unknown.append(_refused(topic.name, topic.topic_id, topic.partition_indexes, error))
            else:
                topics.append((info.name if info is not None else topic.name, list(topic.partition_indexes)))
    fetch = FetchOffsets(topics, require_stable, group.member_id, group.member_epoch)
    return _complete(context, group.group_id, call_group(context, group.group_id, fetch), unknown)


async def _complete(
    context: RequestContext,
    group_id: str,
    answer: Awaitable[OffsetFetchResponseGroup],
    unknown: list[OffsetFetchResponseTopics],
) -> OffsetFetchResponseGroup:
    response = await answer
    response.group_id = group_id
    if context.api_version >= TOPIC_IDS_FROM:
        for found in response.topics:
            found.topic_id = topic_id_of(context, found.name)
        response.topics = [found for found in response.topics if found.topic_id != bytes(16)]
    if not response.error_code:
        response.topics += unknown
    return response


def _refused(name: str, topic_id: bytes, partitions: list[int], error: ErrorCode) -> OffsetFetchResponseTopics:
    rows = [
        OffsetFetchResponsePartitions(partition_index=index, committed_offset=-1, metadata="", error_code=error)
        for index in partitions
    ]
    return OffsetFetchResponseTopics(name=name, topic_id=topic_id or bytes(16), partitions=rows)


def _narrow(row: OffsetFetchResponsePartitions) -> OffsetFetchResponsePartition:
    return OffsetFetchResponsePartition(
        partition_index=row.partition_index,
        committed_offset=row.committed_offset,
        committed_leader_epoch=row.committed_leader_epoch,
        metadata=row.metadata,
        error_code=row.error_code,
    )
