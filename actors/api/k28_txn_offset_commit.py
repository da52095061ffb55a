"""28 TxnOffsetCommit, v0-5.

Offsets of a group that count once the producer's transaction commits; written to the group's partition of
`__consumer_offsets`, whose leader verifies the transaction first.
- v3+: with the member's generation, checked like that of a commit. v5: the partition is taken into the transaction on
  the client's behalf (KIP-890).
Left out: v6 (topic ids).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from actors.api.group_calls import Unknown, admit_topics, call_group
from protocol.k28_txn_offset_commit import (
    TxnOffsetCommitRequest,
    TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition,
    TxnOffsetCommitResponseTopic,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


def handle(context: RequestContext, request: TxnOffsetCommitRequest) -> Awaitable[TxnOffsetCommitResponse]:
    """Commit what exists, refuse the rest."""
    request.topics, unknown = admit_topics(context, request.topics, by_id=False)
    answer = call_group(context, request.group_id, request)
    return _complete(answer, unknown) if unknown else answer


async def _complete(answer: Awaitable[TxnOffsetCommitResponse], unknown: list[Unknown]) -> TxnOffsetCommitResponse:
    response = await answer
    for row in unknown:
        partitions = [
            TxnOffsetCommitResponsePartition(partition_index=index, error_code=row.error) for index in row.partitions
        ]
        response.topics.append(TxnOffsetCommitResponseTopic(name=row.name, partitions=partitions))
    return response
