"""A broker's line to the controller: what it believes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from actors.controller_link import ControllerLink
from machines.metadata import MetadataImage
from protocol.cluster_control import MetadataSnapshot, RegisterBrokerReply
from protocol.metadata_records import BrokerRecord, ControllerRecord, PartitionRecord, TopicRecord

RECORDS = [
    ControllerRecord(1, 4),
    BrokerRecord(1, 1, "host", 9091),
    TopicRecord("t", b"t" * 16),
    PartitionRecord("t", 0, (1,), (1,), 1, 0, 0),
]


def test_an_old_snapshot_that_comes_late_takes_no_topic_away() -> None:
    async def scenario() -> None:
        changed: list[Any] = []
        broker = SimpleNamespace(
            image=MetadataImage.of(RECORDS, 7),
            loop=asyncio.get_running_loop(),
            on_image_changed=lambda *what: changed.append(what),
        )
        link = ControllerLink(broker)  # type: ignore[arg-type]
        link.on_message(MetadataSnapshot(4, 6, RECORDS[:2]))
        assert not changed
        assert "t" in broker.image.topics
        link.on_message(MetadataSnapshot(4, 8, RECORDS[:2]))
        assert "t" not in broker.image.topics

    asyncio.run(scenario())


def test_the_answer_to_a_registration_of_its_predecessor_is_not_taken_for_its_own() -> None:
    """Simulated seed 771: it took itself for registered, and nobody else did."""

    async def scenario() -> None:
        broker = SimpleNamespace(
            image=MetadataImage(), loop=asyncio.get_running_loop(), spec=SimpleNamespace(broker_id=3, incarnation=7)
        )
        link = ControllerLink(broker)  # type: ignore[arg-type]
        link.on_message(RegisterBrokerReply(1, 0, 4, incarnation=6))
        assert not link.is_registered
        link.on_message(RegisterBrokerReply(1, 0, 4, incarnation=7))
        assert link.is_registered

    asyncio.run(scenario())
