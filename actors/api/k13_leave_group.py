"""13 LeaveGroup, v0-5.

Takes members out of a classic group; an operator may name static members by their instance id (v3+).
Left out: nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.api.group_calls import call_group
from machines.group_refusals import refusal
from model.errors import ErrorCode
from protocol.k13_leave_group import LeaveGroupRequest, LeaveGroupResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


def handle(context: RequestContext, request: LeaveGroupRequest) -> asyncio.Future[LeaveGroupResponse] | object:
    """Leave."""
    if not request.group_id:
        return refusal(request, context.api_version, ErrorCode.INVALID_GROUP_ID)
    return call_group(context, request.group_id, request)
