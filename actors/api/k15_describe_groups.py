"""15 DescribeGroups, v0-6.

State and members of classic groups. A group that does not exist, or is none of the classic protocol, is a dead one,
from v6 on an error.
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.group_calls import GROUP_OPERATIONS, NOT_ASKED
from model.errors import ErrorCode
from protocol.k15_describe_groups import DescribedGroup, DescribeGroupsRequest, DescribeGroupsResponse

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext

NOT_FOUND_FROM = 6


def handle(context: RequestContext, request: DescribeGroupsRequest) -> DescribeGroupsResponse:
    """Look, and tell."""
    groups = [_describe(context, group_id) for group_id in request.groups]
    operations = GROUP_OPERATIONS if request.include_authorized_operations else NOT_ASKED
    for group in groups:
        group.authorized_operations = operations
    return DescribeGroupsResponse(groups=groups)


def _describe(context: RequestContext, group_id: str) -> DescribedGroup:
    group = context.broker.groups.group(group_id)
    described = None if group is None or isinstance(group, ErrorCode) else group.describe()
    if described is not None:
        return described
    if isinstance(group, ErrorCode):
        return DescribedGroup(error_code=group, group_id=group_id, group_state="", protocol_type="", protocol_data="")
    dead = DescribedGroup(group_id=group_id, group_state="Dead", protocol_type="", protocol_data="")
    if context.api_version >= NOT_FOUND_FROM:
        dead.error_code = ErrorCode.GROUP_ID_NOT_FOUND
        dead.error_message = f"group {group_id} {'not found' if group is None else 'is not a classic group'}"
    return dead
