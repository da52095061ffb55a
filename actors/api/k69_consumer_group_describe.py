"""69 ConsumerGroupDescribe, v0-1.

State, members and assignments of KIP-848 groups; of a classic group it says that it is none.
Left out: nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.api.group_calls import GROUP_OPERATIONS, NOT_ASKED
from machines.group_describe import described_consumer
from model.errors import ErrorCode
from protocol.k69_consumer_group_describe import (
    ConsumerGroupDescribeRequest,
    ConsumerGroupDescribeResponse,
    DescribedGroup,
)

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext


def handle(context: RequestContext, request: ConsumerGroupDescribeRequest) -> ConsumerGroupDescribeResponse:
    """Look, and tell."""
    groups = [_describe(context, group_id) for group_id in request.group_ids]
    operations = GROUP_OPERATIONS if request.include_authorized_operations else NOT_ASKED
    for group in groups:
        group.authorized_operations = operations
    return ConsumerGroupDescribeResponse(groups=groups)


def _describe(context: RequestContext, group_id: str) -> DescribedGroup:
    if not group_id:
        return DescribedGroup(
            group_id="", error_code=ErrorCode.INVALID_GROUP_ID, error_message="GroupId can't be empty."
        )
    group = context.broker.groups.group(group_id)
    if isinstance(group, ErrorCode):
        return DescribedGroup(group_id=group_id, error_code=group)
    if group is not None and group.consumer.exists:
        return described_consumer(group.consumer, context.broker.groups.topics)
    what = "not found" if group is None else "is not a consumer group"
    return DescribedGroup(
        group_id=group_id, error_code=ErrorCode.GROUP_ID_NOT_FOUND, error_message=f"Group {group_id} {what}."
    )
