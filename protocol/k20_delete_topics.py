"""20 DeleteTopics, v1-6.

Deletes topics.

Up to v5 by name, from v6 on by name or id.
"""

from __future__ import annotations

from protocol.codec import Int16, Int32, Message, String, Struct, Uuid, field


class DeleteTopicsRequest(Message, key=20, versions="1-6", flexible="4+"):
    topics: list[DeleteTopicState] = field("6+")
    topic_names: list[String] = field("0-5", ignorable=True)
    timeout_ms: Int32 = field("0+")


class DeleteTopicState(Struct):
    name: String | None = field("6+", nullable="6+", default=None)
    topic_id: Uuid = field("6+")


class DeleteTopicsResponse(Message, key=20, versions="1-6", flexible="4+"):
    throttle_time_ms: Int32 = field("1+", ignorable=True)
    responses: list[DeletableTopicResult] = field("0+")


class DeletableTopicResult(Struct):
    name: String | None = field("0+", nullable="6+")
    topic_id: Uuid = field("6+", ignorable=True)
    error_code: Int16 = field("0+")
    error_message: String | None = field("5+", nullable="5+", default=None, ignorable=True)
