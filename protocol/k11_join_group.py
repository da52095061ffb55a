"""11 JoinGroup, v0-9.

Takes a consumer into a classic group and waits for the others.

v4 has new members come back with the id they were given, v5 has static members, v9 may skip the assignment.
"""

from __future__ import annotations

from protocol.codec import Bool, Bytes, Int16, Int32, Message, String, Struct, field


class JoinGroupRequest(Message, key=11, versions="0-9", flexible="6+"):
    group_id: String = field("0+")
    session_timeout_ms: Int32 = field("0+")
    rebalance_timeout_ms: Int32 = field("1+", default=-1, ignorable=True)
    member_id: String = field("0+")
    group_instance_id: String | None = field("5+", nullable="5+", default=None)
    protocol_type: String = field("0+")
    protocols: list[JoinGroupRequestProtocol] = field("0+")
    reason: String | None = field("8+", nullable="8+", default=None, ignorable=True)


class JoinGroupRequestProtocol(Struct):
    name: String = field("0+")
    metadata: Bytes = field("0+")


class JoinGroupResponse(Message, key=11, versions="0-9", flexible="6+"):
    throttle_time_ms: Int32 = field("2+", ignorable=True)
    error_code: Int16 = field("0+")
    generation_id: Int32 = field("0+", default=-1)
    protocol_type: String | None = field("7+", nullable="7+", default=None, ignorable=True)
    protocol_name: String | None = field("0+", nullable="7+")
    leader: String = field("0+")
    skip_assignment: Bool = field("9+")
    member_id: String = field("0+")
    members: list[JoinGroupResponseMember] = field("0+")


class JoinGroupResponseMember(Struct):
    member_id: String = field("0+")
    group_instance_id: String | None = field("5+", nullable="5+", default=None, ignorable=True)
    metadata: Bytes = field("0+")
