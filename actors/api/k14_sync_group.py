"""14 SyncGroup, v0-5.

Brings the leader's assignment to every member of a classic group, once it is written down.
Left out: nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.api.group_calls import call_group
from machines.group_refusals import refusal
from model.errors import ErrorCode
from protocol.k14_sync_group import SyncGroupRequest, SyncGroupResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


def handle(context: RequestContext, request: SyncGroupRequest) -> asyncio.Future[SyncGroupResponse] | object:
    """Sync."""
    if not request.group_id:
        return refusal(request, context.api_version, ErrorCode.INVALID_GROUP_ID)
    return call_group(context, request.group_id, request)
