"""15 DescribeGroups, v0-6.

Shows state and members of classic groups.

v6 answers an unknown group with an error instead of a dead group.
"""

from __future__ import annotations

from protocol.codec import Bool, Bytes, Int16, Int32, Message, String, Struct, field


class DescribeGroupsRequest(Message, key=15, versions="0-6", flexible="5+"):
    groups: list[String] = field("0+")
    include_authorized_operations: Bool = field("3+")


class DescribeGroupsResponse(Message, key=15, versions="0-6", flexible="5+"):
    throttle_time_ms: Int32 = field("1+", ignorable=True)
    groups: list[DescribedGroup] = field("0+")


class DescribedGroup(Struct):
    error_code: Int16 = field("0+")
    error_message: String | None = field("6+", nullable="6+", default=None)
    group_id: String = field("0+")
    group_state: String = field("0+")
    protocol_type: String = field("0+")
    protocol_data: String = field("0+")
    members: list[DescribedGroupMember] = field("0+")
    authorized_operations: Int32 = field("3+", default=-0x80000000)


class DescribedGroupMember(Struct):
    member_id: String = field("0+")
    group_instance_id: String | None = field("4+", nullable="4+", default=None, ignorable=True)
    client_id: String = field("0+")
    client_host: String = field("0+")
    member_metadata: Bytes = field("0+")
    member_assignment: Bytes = field("0+")
