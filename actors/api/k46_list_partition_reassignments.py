"""46 ListPartitionReassignments, v0.

The partitions on the move, from this broker's image.
Left out: nothing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from protocol.k46_list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    OngoingPartitionReassignment,
    OngoingTopicReassignment,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


def handle(context: RequestContext, request: ListPartitionReassignmentsRequest) -> ListPartitionReassignmentsResponse:
    """All of them, or those asked for that do move."""
    wanted = None if request.topics is None else {(t.name, p) for t in request.topics for p in t.partition_indexes}
    rows: dict[str, list[OngoingPartitionReassignment]] = defaultdict(list)
    for info in context.broker.image.reassignments():
        if wanted is None or (info.topic, info.partition) in wanted:
            rows[info.topic].append(
                OngoingPartitionReassignment(
                    partition_index=info.partition,
                    replicas=list(info.replicas),
                    adding_replicas=list(info.adding_replicas),
                    removing_replicas=list(info.removing_replicas),
                )
            )
    return ListPartitionReassignmentsResponse(
        error_message=None, topics=[OngoingTopicReassignment(name=n, partitions=r) for n, r in rows.items()]
    )
