"""22 InitProducerId, v0-6.

Gives an idempotent or transactional producer its id and epoch.

v3 lets a producer bump its own epoch; v6 is for two-phase commit and not advertised yet.
"""

from __future__ import annotations

from protocol.codec import Bool, Int16, Int32, Int64, Message, String, field


class InitProducerIdRequest(Message, key=22, versions="0-6", flexible="2+"):
    transactional_id: String | None = field("0+", nullable="0+")
    transaction_timeout_ms: Int32 = field("0+")
    producer_id: Int64 = field("3+", default=-1)
    producer_epoch: Int16 = field("3+", default=-1)
    enable2_pc: Bool = field("6+")
    keep_prepared_txn: Bool = field("6+")


class InitProducerIdResponse(Message, key=22, versions="0-6", flexible="2+"):
    throttle_time_ms: Int32 = field("0+", ignorable=True)
    error_code: Int16 = field("0+")
    producer_id: Int64 = field("0+", default=-1)
    producer_epoch: Int16 = field("0+")
    ongoing_txn_producer_id: Int64 = field("6+", default=-1)
    ongoing_txn_producer_epoch: Int16 = field("6+", default=-1)
