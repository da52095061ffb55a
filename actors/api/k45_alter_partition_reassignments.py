"""45 AlterPartitionReassignments, v0-1.

Moves partitions to other brokers, or cancels a move (replicas null). The move ends by itself once every new replica is
in the ISR (KIP-455).
Left out: nothing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from actors.api.errors import ask_controller
from protocol.cluster_admin import AlterReassignments, Reassignment
from protocol.k45_alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


async def handle(
    context: RequestContext, request: AlterPartitionReassignmentsRequest
) -> AlterPartitionReassignmentsResponse:
    """Ask the controller."""
    wanted = [
        Reassignment(topic.name, p.partition_index, None if p.replicas is None else tuple(p.replicas))
        for topic in request.topics
        for p in topic.partitions
    ]
    error, reply = await ask_controller(
        context,
        lambda number: AlterReassignments(number, wanted, request.allow_replication_factor_change),
        request.timeout_ms,
    )
    if reply is None:
        return AlterPartitionReassignmentsResponse(error_code=error, error_message="the controller did not answer")
    rows: dict[str, list[ReassignablePartitionResponse]] = defaultdict(list)
    for result in reply.partitions:
        rows[result.topic].append(
            ReassignablePartitionResponse(
                partition_index=result.partition, error_code=result.error, error_message=result.message
            )
        )
    return AlterPartitionReassignmentsResponse(
        error_message=None,
        allow_replication_factor_change=request.allow_replication_factor_change,
        responses=[ReassignableTopicResponse(name=name, partitions=row) for name, row in rows.items()],
    )
