"""37 CreatePartitions, v0-3.

Grows topics; forwarded to the controller.
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.errors import ask_controller
from protocol.cluster_admin import CreatePartitions, MorePartitions
from protocol.k37_create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopicResult,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


async def handle(context: RequestContext, request: CreatePartitionsRequest) -> CreatePartitionsResponse:
    """Ask the controller."""
    wanted = [
        MorePartitions(
            topic.name,
            topic.count,
            None if topic.assignments is None else [tuple(a.broker_ids) for a in topic.assignments],
        )
        for topic in request.topics
    ]
    error, reply = await ask_controller(
        context, lambda number: CreatePartitions(number, wanted, request.validate_only), request.timeout_ms
    )
    if reply is None:
        results = [CreatePartitionsTopicResult(name=topic.name, error_code=error) for topic in wanted]
    else:
        results = [
            CreatePartitionsTopicResult(name=t.name, error_code=t.error, error_message=t.message) for t in reply.topics
        ]
    return CreatePartitionsResponse(results=results)
