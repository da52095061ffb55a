"""Hooks around a producer's records: see them, change them, count them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from clients.accumulator import OnDelivery
    from clients.delivery import RecordMetadata

log = logging.getLogger(__name__)


class OutgoingRecord(NamedTuple):
    """A record before it is serialized."""

    topic: str
    value: Any
    key: Any
    partition: int | None
    timestamp_ms: int | None
    headers: list[tuple[str, bytes | None]]


class ProducerInterceptor:
    """Override what you need. Whatever these raise is logged and goes no further."""

    def on_send(self, record: OutgoingRecord) -> OutgoingRecord:
        """On the caller's thread, before serialization; what it returns is sent."""
        return record

    def on_acknowledgement(self, metadata: RecordMetadata | None, error: BaseException | None) -> None:
        """On the client's loop, for every record: where it went, or why it did not."""

    def close(self) -> None:
        """The producer is closed."""


class Interceptors:
    """The chain, in the order given."""

    def __init__(self, given: Sequence[ProducerInterceptor] | None) -> None:
        self._chain = list(given or ())
        self.are_there = bool(self._chain)

    def on_send(self, record: OutgoingRecord) -> OutgoingRecord:
        for each in self._chain:
            try:
                record = each.on_send(record)
            except Exception:
                log.exception("interceptor %s failed at on_send", type(each).__name__)
        return record

    def wrap(self, record: OutgoingRecord, on_delivery: OnDelivery | None) -> OnDelivery:
        def tell(metadata: RecordMetadata | None, error: BaseException | None) -> None:
            for each in self._chain:
                try:
                    each.on_acknowledgement(metadata, error)
                except Exception:
                    log.exception("interceptor %s failed at on_acknowledgement", type(each).__name__)
            if on_delivery is not None:
                on_delivery(metadata, error)

        return tell

    def close(self) -> None:
        for each in self._chain:
            try:
                each.close()
            except Exception:
                log.exception("interceptor %s failed at close", type(each).__name__)
