"""10 FindCoordinator, v0-6.

Names the broker that coordinates a group, a transactional id or a share partition.

Up to v3 for one key, from v4 on for several at once.
"""

from __future__ import annotations

from protocol.codec import Int8, Int16, Int32, Message, String, Struct, field


class FindCoordinatorRequest(Message, key=10, versions="0-6", flexible="3+"):
    key: String = field("0-3")
    key_type: Int8 = field("1+")
    coordinator_keys: list[String] = field("4+")


class FindCoordinatorResponse(Message, key=10, versions="0-6", flexible="3+"):
    throttle_time_ms: Int32 = field("1+", ignorable=True)
    error_code: Int16 = field("0-3")
    error_message: String | None = field("1-3", nullable="1-3", ignorable=True)
    node_id: Int32 = field("0-3")
    host: String = field("0-3")
    port: Int32 = field("0-3")
    coordinators: list[Coordinator] = field("4+")


class Coordinator(Struct):
    key: String = field("4+")
    node_id: Int32 = field("4+")
    host: String = field("4+")
    port: Int32 = field("4+")
    error_code: Int16 = field("4+")
    error_message: String | None = field("4+", nullable="4+", ignorable=True)
