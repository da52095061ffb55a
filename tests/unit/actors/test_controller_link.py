"""A broker's line to the controller: what it believes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from actors.controller_link import ControllerLink
from machines.metadata import MetadataImage
from model.configs import BrokerConfig
from protocol.cluster_control import (
    BrokerHeartbeat,
    BrokerHeartbeatReply,
    ControllerIs,
    MetadataSnapshot,
    NotController,
    RegisterBroker,
    RegisterBrokerReply,
)
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


class Line:
    """A link of broker 2 to controller 1, over a bus and a clock that are made up."""

    def __init__(self, **overrides: str) -> None:
        self.sent: list[Any] = []
        self.now_s = 1_000.0
        broker = SimpleNamespace(
            image=MetadataImage.of(RECORDS, 7),
            loop=SimpleNamespace(time=lambda: self.now_s),
            config=BrokerConfig({name.replace("_", "."): value for name, value in overrides.items()}),
            spec=SimpleNamespace(broker_id=2, incarnation=5, host="host"),
            port=9092,
            replicas=SimpleNamespace(logs=SimpleNamespace(had_doubts=False)),
            bus=SimpleNamespace(tell=lambda to, address, message, control: self.sent.append((to, message))),
        )
        self.link = ControllerLink(broker)  # type: ignore[arg-type]

    def hear_controller(self) -> None:
        self.link.on_message(ControllerIs(1, 4, 7))

    def pass_s(self, seconds: float) -> list[Any]:
        """What is sent meanwhile, in rounds of 100 ms."""
        self.sent.clear()
        for _ in range(round(seconds * 10)):
            self.now_s += 0.1
            self.link.timer_round()
        return [message for _, message in self.sent]


def registered(**overrides: str) -> Line:
    line = Line(**overrides)
    line.hear_controller()
    line.link.on_message(RegisterBrokerReply(1, 0, 4, incarnation=5))
    return line


def test_a_broker_that_idles_sends_one_heartbeat_every_two_seconds_and_nothing_else() -> None:
    line = registered()
    line.pass_s(2.0)
    line.hear_controller()
    sent = line.pass_s(8.0)
    assert [type(message) for message in sent] == [BrokerHeartbeat] * 4
    assert {(message.broker_id, message.incarnation, message.is_deaf) for message in sent} == {(2, 5, False)}


def test_whoever_shortens_only_the_session_still_has_three_heartbeats_in_it() -> None:
    sent = registered(broker_session_timeout_ms="3000").pass_s(3.0)
    assert [type(message) for message in sent] == [BrokerHeartbeat] * 3


def test_before_it_has_heard_of_a_controller_it_says_nothing() -> None:
    assert Line().pass_s(5.0) == []


def test_who_hears_no_controller_for_a_session_says_so_until_it_hears_one() -> None:
    line = registered()
    assert not any(message.is_deaf for message in line.pass_s(8.5))
    assert [message.is_deaf for message in line.pass_s(2.0)] == [True]
    line.link.on_message(NotController(9, -1, -1))  # is no controller
    assert line.pass_s(2.0)[-1].is_deaf
    line.link.on_message(BrokerHeartbeatReply(9, True))
    assert not line.pass_s(2.0)[-1].is_deaf


def test_who_is_told_that_it_is_not_registered_registers_again() -> None:
    line = registered()
    line.link.on_message(BrokerHeartbeatReply(9, True))
    assert line.link.is_registered
    line.link.on_message(BrokerHeartbeatReply(9, False))
    again = line.pass_s(0.1)[0]
    assert type(again) is RegisterBroker and (again.broker_id, again.incarnation) == (2, 5)
