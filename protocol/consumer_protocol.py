"""What consumers of a classic group tell each other through JoinGroup and SyncGroup.

The broker carries both as opaque bytes (`metadata`, `assignment`); only clients and tools open them. They are written
with their version in front: `version_prefix.encode_with_version`. A newer version than ours is read as our newest,
for later versions only add fields at the end.
"""

from __future__ import annotations

from protocol.codec import Bytes, Int32, Message, String, Struct, field


class ConsumerProtocolSubscription(Message, versions="0-3"):
    topics: list[String] = field("0+")
    user_data: Bytes | None = field("0+", nullable="0+", default=None)
    owned_partitions: list[OwnedTopic] = field("1+", ignorable=True)
    generation_id: Int32 = field("2+", default=-1, ignorable=True)
    rack_id: String | None = field("3+", nullable="3+", default=None, ignorable=True)


class OwnedTopic(Struct):
    topic: String = field("1+")
    partitions: list[Int32] = field("1+")


class ConsumerProtocolAssignment(Message, versions="0-3"):
    assigned_partitions: list[AssignedTopic] = field("0+")
    user_data: Bytes | None = field("0+", nullable="0+", default=None)


class AssignedTopic(Struct):
    topic: String = field("0+")
    partitions: list[Int32] = field("0+")
