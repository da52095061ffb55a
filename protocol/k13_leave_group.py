"""13 LeaveGroup, v0-5.

Takes members out of a classic group.

Up to v2 one member leaves; from v3 on several may be named, static ones too.
"""

from __future__ import annotations

from protocol.codec import Int16, Int32, Message, String, Struct, field


class LeaveGroupRequest(Message, key=13, versions="0-5", flexible="4+"):
    group_id: String = field("0+")
    member_id: String = field("0-2")
    members: list[MemberIdentity] = field("3+")


class MemberIdentity(Struct):
    member_id: String = field("3+")
    group_instance_id: String | None = field("3+", nullable="3+", default=None)
    reason: String | None = field("5+", nullable="5+", default=None, ignorable=True)


class LeaveGroupResponse(Message, key=13, versions="0-5", flexible="4+"):
    throttle_time_ms: Int32 = field("1+", ignorable=True)
    error_code: Int16 = field("0+")
    members: list[MemberResponse] = field("3+")


class MemberResponse(Struct):
    member_id: String = field("3+")
    group_instance_id: String | None = field("3+", nullable="3+")
    error_code: Int16 = field("3+")
