"""16 ListGroups, v0-5.

The groups that this broker coordinates; a client asks every broker.
- v4 filters by state, v5 by type, both without regard to case.
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.errors import ErrorCode
from protocol.k16_list_groups import ListedGroup, ListGroupsRequest, ListGroupsResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


def handle(context: RequestContext, request: ListGroupsRequest) -> ListGroupsResponse:
    """Look, and tell; while a partition is being replayed nobody knows its groups."""
    if context.broker.groups.is_loading:
        return ListGroupsResponse(error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
    states = {state.lower() for state in request.states_filter}
    types = {group_type.lower() for group_type in request.types_filter}
    return ListGroupsResponse(
        groups=[
            ListedGroup(
                group_id=group.group_id,
                protocol_type=group.protocol_type,
                group_state=group.state,
                group_type=group.group_type,
            )
            for group in context.broker.groups.groups()
            if (not states or group.state.lower() in states) and (not types or group.group_type in types)
        ]
    )
