"""74 ListConfigResources, v0-1.

Lists what has configs of its own.
"""

from __future__ import annotations

from protocol.codec import Int8, Int16, Int32, Message, String, Struct, field


class ListConfigResourcesRequest(Message, key=74, versions="0-1", flexible="0+"):
    resource_types: list[Int8] = field("1+")


class ListConfigResourcesResponse(Message, key=74, versions="0-1", flexible="0+"):
    throttle_time_ms: Int32 = field("0+")
    error_code: Int16 = field("0+")
    config_resources: list[ConfigResource] = field("0+")


class ConfigResource(Struct):
    resource_name: String = field("0+")
    resource_type: Int8 = field("1+", default=16, ignorable=True)
