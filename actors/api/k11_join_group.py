"""11 JoinGroup, v0-9.

Takes a member into a classic group (`machines/classic_join.py`); the answer comes when the others have joined, too.
Left out: nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.api.group_calls import call_group
from machines.group_refusals import refusal
from model.errors import ErrorCode
from protocol.k11_join_group import JoinGroupRequest, JoinGroupResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


def handle(context: RequestContext, request: JoinGroupRequest) -> asyncio.Future[JoinGroupResponse] | object:
    """Join."""
    if not request.group_id:
        return refusal(request, context.api_version, ErrorCode.INVALID_GROUP_ID)
    return call_group(context, request.group_id, request, needs_id=True)
