"""77 ShareGroupDescribe, v1.

Shows share groups.
"""

from __future__ import annotations

from protocol.codec import Bool, Int16, Int32, Message, String, Struct, Uuid, field


class ShareGroupDescribeRequest(Message, key=77, versions="1", flexible="0+"):
    group_ids: list[String] = field("0+")
    include_authorized_operations: Bool = field("0+")


class ShareGroupDescribeResponse(Message, key=77, versions="1", flexible="0+"):
    throttle_time_ms: Int32 = field("0+")
    groups: list[DescribedGroup] = field("0+")


class DescribedGroup(Struct):
    error_code: Int16 = field("0+")
    error_message: String | None = field("0+", nullable="0+", default=None)
    group_id: String = field("0+")
    group_state: String = field("0+")
    group_epoch: Int32 = field("0+")
    assignment_epoch: Int32 = field("0+")
    assignor_name: String = field("0+")
    members: list[Member] = field("0+")
    authorized_operations: Int32 = field("0+", default=-0x80000000)


class Member(Struct):
    member_id: String = field("0+")
    rack_id: String | None = field("0+", nullable="0+", default=None)
    member_epoch: Int32 = field("0+")
    client_id: String = field("0+")
    client_host: String = field("0+")
    subscribed_topic_names: list[String] = field("0+")
    assignment: Assignment = field("0+")


class Assignment(Struct):
    topic_partitions: list[TopicPartitions] = field("0+")


class TopicPartitions(Struct):
    topic_id: Uuid = field("0+")
    topic_name: String = field("0+")
    partitions: list[Int32] = field("0+")
