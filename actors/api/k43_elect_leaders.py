"""43 ElectLeaders, v0-2.

Makes the preferred replica lead again (type 0), or any live one where nobody in sync is left (type 1, may lose data).
Left out: nothing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from actors.api.errors import ask_controller
from protocol.cluster_admin import ElectLeaders
from protocol.k43_elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

WHOLE_ERROR_FROM = 1


async def handle(context: RequestContext, request: ElectLeadersRequest) -> ElectLeadersResponse:
    """Ask the controller."""
    wanted = (
        None
        if request.topic_partitions is None
        else [(t.topic, p) for t in request.topic_partitions for p in t.partitions]
    )
    error, reply = await ask_controller(
        context, lambda number: ElectLeaders(number, request.election_type, wanted), request.timeout_ms
    )
    rows: dict[str, list[PartitionResult]] = defaultdict(list)
    if reply is None:
        if context.api_version >= WHOLE_ERROR_FROM:
            return ElectLeadersResponse(error_code=error)
        for topic, index in wanted or ():
            rows[topic].append(PartitionResult(partition_id=index, error_code=error, error_message=None))
    for result in reply.partitions if reply is not None else ():
        rows[result.topic].append(
            PartitionResult(partition_id=result.partition, error_code=result.error, error_message=result.message)
        )
    return ElectLeadersResponse(
        replica_election_results=[ReplicaElectionResult(topic=t, partition_result=r) for t, r in rows.items()]
    )
