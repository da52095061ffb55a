"""12 Heartbeat, v0-4.

Keeps a member of a classic group alive and tells it of a rebalance.
"""

from __future__ import annotations

from protocol.codec import Int16, Int32, Message, String, field


class HeartbeatRequest(Message, key=12, versions="0-4", flexible="4+"):
    group_id: String = field("0+")
    generation_id: Int32 = field("0+")
    member_id: String = field("0+")
    group_instance_id: String | None = field("3+", nullable="3+", default=None)


class HeartbeatResponse(Message, key=12, versions="0-4", flexible="4+"):
    throttle_time_ms: Int32 = field("1+", ignorable=True)
    error_code: Int16 = field("0+")
