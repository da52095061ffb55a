"""49 AlterClientQuotas, v0-1.

Sets and removes quotas.
"""

from __future__ import annotations

from protocol.codec import Bool, Float64, Int16, Int32, Message, String, Struct, field


class AlterClientQuotasRequest(Message, key=49, versions="0-1", flexible="1+"):
    entries: list[EntryData] = field("0+")
    validate_only: Bool = field("0+")


class EntryData(Struct):
    entity: list[EntityData] = field("0+")
    ops: list[OpData] = field("0+")


class EntityData(Struct):
    entity_type: String = field("0+")
    entity_name: String | None = field("0+", nullable="0+")


class OpData(Struct):
    key: String = field("0+")
    value: Float64 = field("0+")
    remove: Bool = field("0+")


class AlterClientQuotasResponse(Message, key=49, versions="0-1", flexible="1+"):
    throttle_time_ms: Int32 = field("0+")
    entries: list[AnsweredEntryData] = field("0+")


class AnsweredEntryData(Struct):
    error_code: Int16 = field("0+")
    error_message: String | None = field("0+", nullable="0+")
    entity: list[EntityData] = field("0+")
