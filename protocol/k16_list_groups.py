"""16 ListGroups, v0-5.

Lists the groups that a broker coordinates.

v4 filters by state, v5 by type.
"""

from __future__ import annotations

from protocol.codec import Int16, Int32, Message, String, Struct, field


class ListGroupsRequest(Message, key=16, versions="0-5", flexible="3+"):
    states_filter: list[String] = field("4+")
    types_filter: list[String] = field("5+")


class ListGroupsResponse(Message, key=16, versions="0-5", flexible="3+"):
    throttle_time_ms: Int32 = field("1+", ignorable=True)
    error_code: Int16 = field("0+")
    groups: list[ListedGroup] = field("0+")


class ListedGroup(Struct):
    group_id: String = field("0+")
    protocol_type: String = field("0+")
    group_state: String = field("4+", ignorable=True)
    group_type: String = field("5+", ignorable=True)
