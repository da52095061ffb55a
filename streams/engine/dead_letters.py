"""The records that handlers were asked about, sent to a topic with the reason in their headers (KIP-1034's names)."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from streams.engine.collector import ProducedRecord
from streams.records import ConsumedRecord, Headers

if TYPE_CHECKING:
    from streams.engine.context import TaskContext


class DeadLetters:
    """Sends to the app's `dead_letter_topic`, whether the handler goes on or stops; without one, nowhere."""

    def __init__(self, context: TaskContext) -> None:
        self._context = context
        self.topic = context.config.dead_letter_topic

    def send(self, record: ConsumedRecord, error: Exception) -> None:
        """A record whose key and value are still bytes."""
        key, value = record.key, record.value
        assert key is None or isinstance(key, bytes)
        assert value is None or isinstance(value, bytes)
        self._send(key, value, record.timestamp, reason(error, record.topic, record.partition, record.offset))

    def send_record_in_hand(self, timestamp: int, error: Exception) -> None:
        """The record that the task is processing, as it was read from its topic."""
        context = self._context
        self._send(*context.raw, timestamp, reason(error, context.topic, context.partition, context.offset))

    def _send(self, key: bytes | None, value: bytes | None, timestamp: int, headers: Headers) -> None:
        if self.topic is not None:
            self._context.collector.send(ProducedRecord(self.topic, key, value, timestamp, headers))


def reason(error: Exception, topic: str | None, partition: int, offset: int) -> Headers:
    """What went wrong and where the record lies."""
    told = {
        "exception": f"{type(error).__module__}.{type(error).__qualname__}",
        "message": str(error),
        "stacktrace": "".join(traceback.format_exception(error)),
        "topic": topic or "",
        "partition": str(partition),
        "offset": str(offset),
    }
    return tuple((f"__streams.errors.{name}", text.encode()) for name, text in told.items())
