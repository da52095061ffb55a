"""42 DeleteGroups, v0-3.

Deletes empty groups and their offsets.
"""

from __future__ import annotations

from protocol.codec import Int16, Int32, Message, String, Struct, field


class DeleteGroupsRequest(Message, key=42, versions="0-3", flexible="2+"):
    groups_names: list[String] = field("0+")


class DeleteGroupsResponse(Message, key=42, versions="0-3", flexible="2+"):
    throttle_time_ms: Int32 = field("0+")
    results: list[DeletableGroupResult] = field("0+")


class DeletableGroupResult(Struct):
    group_id: String = field("0+")
    error_code: Int16 = field("0+")
    error_message: String | None = field("3+", nullable="3+", default=None, ignorable=True)
