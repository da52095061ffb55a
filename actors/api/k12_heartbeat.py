"""12 Heartbeat, v0-4.

Keeps a member of a classic group alive; the answer tells it of a rebalance.
Left out: nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.api.group_calls import call_group
from machines.group_refusals import refusal
from model.errors import ErrorCode
from protocol.k12_heartbeat import HeartbeatRequest, HeartbeatResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


def handle(context: RequestContext, request: HeartbeatRequest) -> asyncio.Future[HeartbeatResponse] | object:
    """Heartbeat."""
    if not request.group_id:
        return refusal(request, context.api_version, ErrorCode.INVALID_GROUP_ID)
    return call_group(context, request.group_id, request)
