"""26 EndTxn, v0-5.

Commits or aborts a transaction.

v5 answers with the producer's next epoch.
"""

from __future__ import annotations

from protocol.codec import Bool, Int16, Int32, Int64, Message, String, field


class EndTxnRequest(Message, key=26, versions="0-5", flexible="3+"):
    transactional_id: String = field("0+")
    producer_id: Int64 = field("0+")
    producer_epoch: Int16 = field("0+")
    committed: Bool = field("0+")


class EndTxnResponse(Message, key=26, versions="0-5", flexible="3+"):
    throttle_time_ms: Int32 = field("0+")
    error_code: Int16 = field("0+")
    producer_id: Int64 = field("5+", default=-1, ignorable=True)
    producer_epoch: Int16 = field("5+", default=-1, ignorable=True)
