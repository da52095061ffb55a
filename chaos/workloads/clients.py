"""librdkafka's clients as the workloads want them: quick to try again, and silent."""

from __future__ import annotations

import logging
from typing import Any

from confluent_kafka import Consumer, Message, Producer

DELIVERY_MS = 30_000
TRANSACTION_MS = 10_000
SESSION_MS = 6_000

_SILENT = logging.getLogger("chaos.clients")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False  # fatal errors would be printed in spite of log_level; the history has them

_QUICK: dict[str, Any] = {
    "log_level": 0,
    "retry.backoff.ms": 20,
    "retry.backoff.max.ms": 200,
    "reconnect.backoff.ms": 10,
    "reconnect.backoff.max.ms": 200,
    "topic.metadata.refresh.fast.interval.ms": 20,
    "topic.metadata.refresh.interval.ms": 5_000,
    "socket.timeout.ms": 5_000,
    "socket.connection.setup.timeout.ms": 2_000,
    "allow.auto.create.topics": False,
    # with all connections down for a moment it would forget its brokers, and then hang in send_offsets_to_transaction
    # and in flushes for ever (confluentinc/librdkafka#5511)
    "metadata.recovery.strategy": "none",
}


def producer(bootstrap: str, **configs: Any) -> Producer:
    """Idempotent and acks=all unless told otherwise ("enable.idempotence" is written enable_idempotence=...)."""
    chosen = {"acks": "all", "enable.idempotence": True, "linger.ms": 1, "message.timeout.ms": DELIVERY_MS}
    chosen |= _dotted(configs)
    if "transactional.id" in chosen:
        chosen["transaction.timeout.ms"] = TRANSACTION_MS
        chosen["message.timeout.ms"] = TRANSACTION_MS
    chosen.pop("allow.auto.create.topics", None)
    quick = {name: value for name, value in _QUICK.items() if name != "allow.auto.create.topics"}
    return Producer({"bootstrap.servers": bootstrap, **quick, **chosen}, logger=_SILENT)


def consumer(bootstrap: str, group: str, **configs: Any) -> Consumer:
    """Reads committed records from the earliest one on; commits nothing by itself unless told otherwise."""
    chosen: dict[str, Any] = {
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "fetch.wait.max.ms": 50,
        "fetch.error.backoff.ms": 20,
        "session.timeout.ms": SESSION_MS,
        "heartbeat.interval.ms": 500,
    }
    return Consumer({"bootstrap.servers": bootstrap, **_QUICK, **chosen, **_dotted(configs)}, logger=_SILENT)


def key_of(message: Message) -> str:
    return f"{message.topic()}-{message.partition()}"


def pair_of(message: Message) -> list[int]:
    """[offset, message], as a poll is written down."""
    return [message.offset() or 0, int(message.value() or b"-1")]


def _dotted(configs: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "."): value for name, value in configs.items()}
