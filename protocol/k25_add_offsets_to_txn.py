"""25 AddOffsetsToTxn, v0-4.

Enrols a group's offsets in a transaction.
"""

from __future__ import annotations

from protocol.codec import Int16, Int32, Int64, Message, String, field


class AddOffsetsToTxnRequest(Message, key=25, versions="0-4", flexible="3+"):
    transactional_id: String = field("0+")
    producer_id: Int64 = field("0+")
    producer_epoch: Int16 = field("0+")
    group_id: String = field("0+")


class AddOffsetsToTxnResponse(Message, key=25, versions="0-4", flexible="3+"):
    throttle_time_ms: Int32 = field("0+")
    error_code: Int16 = field("0+")
