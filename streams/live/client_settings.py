"""What an instance's consumer and producer are told."""

from __future__ import annotations

from typing import Any

from clients.assignors import Assignor
from streams.live.members import Said
from streams.live.settings import LiveSettings
from streams.live.watch import ClientId


def transactional_id(application_id: str, instance: str, settings: LiveSettings) -> str:
    """Empty without transactions."""
    return f"{application_id}-{instance}" if settings.is_exact else ""


def producer_settings(said: Said, settings: LiveSettings) -> dict[str, Any]:
    chosen: dict[str, Any] = {**settings.client(), "linger.ms": 20, "reconnect.backoff.max.ms": 200}
    if settings.is_exact:
        chosen |= {"transactional.id": said.transactional_id, "transaction.timeout.ms": 10_000}
    return chosen | dict(settings.producer)


def consumer_settings(application_id: str, said: Said, settings: LiveSettings, assignor: Assignor) -> dict[str, Any]:
    chosen: dict[str, Any] = {
        **settings.reading(),
        "client.id": str(ClientId.of(said)),
        "group.id": application_id,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "heartbeat.interval.ms": 500,
        "session.timeout.ms": 10_000,
        "max.poll.records": settings.max_poll_records,
        "partition.assignment.strategy": [assignor],
        **settings.consumer,
    }
    if settings.instance_id:
        chosen["group.instance.id"] = settings.instance_id
    return chosen
