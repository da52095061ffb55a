"""42 DeleteGroups, v0-3.

Deletes groups without members, and their offsets with them.
Left out: nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from actors.api.group_calls import call_group
from machines.group_events import DeleteGroup
from protocol.k42_delete_groups import DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


async def handle(context: RequestContext, request: DeleteGroupsRequest) -> DeleteGroupsResponse:
    """Each group answers for itself."""
    names = list(dict.fromkeys(request.groups_names))
    errors = await asyncio.gather(*(call_group(context, name, DeleteGroup()) for name in names))
    return DeleteGroupsResponse(
        results=[
            DeletableGroupResult(group_id=name, error_code=error) for name, error in zip(names, errors, strict=True)
        ]
    )
