"""68 ConsumerGroupHeartbeat, v0-1.

Joins, keeps up and leaves a group of the KIP-848 protocol (`machines/consumer_heartbeat.py`).
- v1: the client makes its own member id, and may subscribe to a pattern.
Left out: rack-aware assignment; patterns that only RE2 knows and Python doesn't.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.api.group_calls import call_group
from model.errors import ErrorCode
from protocol.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


def handle(
    context: RequestContext, request: ConsumerGroupHeartbeatRequest
) -> asyncio.Future[ConsumerGroupHeartbeatResponse] | ConsumerGroupHeartbeatResponse:
    """Heartbeat."""
    if not request.group_id:
        return ConsumerGroupHeartbeatResponse(
            error_code=ErrorCode.INVALID_REQUEST, error_message="GroupId can't be empty."
        )
    return call_group(context, request.group_id, request, needs_id=not request.member_id)
