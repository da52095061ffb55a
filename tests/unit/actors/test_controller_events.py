"""What the controller decides is told with its cause."""

from __future__ import annotations

from typing import Any

from controllers import TestController, broadcast_records

from actors.controller_events import ControllerEvents
from actors.event_log import Silence
from machines.controller import Asked, Broadcast, BrokerDied, Effect, Elected, Event, Tick
from machines.metadata import MetadataImage
from protocol.cluster_admin import CreateTopics, NewTopic
from protocol.cluster_control import (
    AlterIsr,
    BrokerHeartbeat,
    ControlledShutdown,
    IsrProposal,
    MetadataUpdate,
    RegisterBroker,
)
from protocol.events import EventId, birth, blow, death, event_id


class Told(Silence):
    """Keeps what it is told: (kind, subject, cause, details)."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, int, dict[str, Any]]] = []

    def tell(self, kind: str, subject: str, *, cause: int = 0, own_id: int = 0, **details: Any) -> EventId:
        self.rows.append((kind, subject, cause, details))
        return EventId(own_id) or event_id(1, 1, 100 + len(self.rows))

    def take(self) -> list[tuple[str, str, int, dict[str, Any]]]:
        rows, self.rows = self.rows, []
        return rows


class Stage:
    """Three brokers and orders-0 on all of them; broker 1 is the controller."""

    def __init__(self) -> None:
        self.controller = TestController(brokers=())
        self.told = Told()
        self.events = ControllerEvents(self.told, 1)
        for broker in (1, 2, 3):
            self.step(Asked(broker, RegisterBroker(1, broker, 1, "h", 9)))
        self.step(Asked(1, CreateTopics(2, [NewTopic("orders", assignments={0: (1, 2, 3)})])))

    def step(self, event: Event) -> list[Effect]:
        effects = self.controller.step(event)
        self.events.on_step(event, effects)
        return effects

    def propose(self, leader: int, *isr: int) -> None:
        now = self.controller.partition("orders")
        proposal = IsrProposal(
            "orders", self.controller.image.topics["orders"].topic_id, 0, now.leader_epoch, now.partition_epoch, isr
        )
        self.step(Asked(leader, AlterIsr(3, leader, self.controller.image.brokers[leader].incarnation, [proposal])))


def test_a_death_is_the_cause_of_the_election_and_of_the_shrunken_isr() -> None:
    stage = Stage()
    stage.told.take()
    stage.step(BrokerDied(1, 1))
    cause, reason = death(1, 1), "broker 1 died"
    assert stage.told.take() == [
        ("broker-removed", "broker 1", cause, {"incarnation": 1, "reason": reason}),
        ("leader-elected", "orders-0", cause,
         {"leader": 2, "epoch": 1, "was": 1, "isr": [2, 3], "reason": reason}),
        ("isr-changed", "orders-0", cause,
         {"isr": [2, 3], "was": [1, 2, 3], "joined": [], "left": [1], "epoch": 1, "reason": reason}),
    ]  # fmt: skip


def test_a_new_life_is_the_cause_of_its_return_to_the_isr_and_that_of_the_preferred_election() -> None:
    stage = Stage()
    stage.step(BrokerDied(1, 1))
    stage.step(Asked(1, RegisterBroker(4, 1, 2, "h", 9)))
    stage.told.take()
    stage.propose(2, 2, 3, 1)
    ((kind, _, cause, details),) = stage.told.take()
    assert (kind, cause, details["joined"]) == ("isr-changed", birth(1, 2), [1])
    joined = event_id(1, 1, 101)
    stage.controller.step(Tick(), now_ms=0)
    effects = stage.controller.machine.step(Tick(), 10_000_000)
    stage.events.on_step(Tick(), effects)
    ((kind, _, cause, details),) = stage.told.take()
    assert (kind, cause, details["leader"], details["reason"]) == (
        "leader-elected", joined, 1, "the preferred leader is back",
    )  # fmt: skip


def test_a_follower_that_was_merely_late_comes_back_because_it_had_left() -> None:
    stage = Stage()
    stage.told.take()
    stage.propose(1, 1, 2)
    ((kind, _, cause, _),) = stage.told.take()
    assert (kind, cause) == ("isr-changed", 0)
    stage.propose(1, 1, 2, 3)
    ((kind, _, cause, _),) = stage.told.take()
    assert (kind, cause) == ("isr-changed", event_id(1, 1, 101))


def test_a_broker_that_stops_is_told_with_the_signal_it_got() -> None:
    stage = Stage()
    stage.told.take()
    stage.step(Asked(1, ControlledShutdown(5, 1, 1)))
    rows = [row for row in stage.told.take() if row[0] == "leader-elected"]
    assert rows[0][2] == blow(1, 1) and rows[0][3]["reason"] == "broker 1 stops"


def test_a_new_controller_tells_nothing_again_of_what_the_one_before_it_decided() -> None:
    stage = Stage()
    stage.propose(1, 1, 2)  # decided, told and logged by the old one, heard by nobody else
    successor = ControllerEvents(stage.told, 2)
    successor.on_replayed(MetadataImage.of(stage.controller.image.to_records(), stage.controller.image.version))
    elected = Elected(2, 2, {1: 1, 2: 1, 3: 1})
    successor.on_step(elected, stage.controller.step(elected))
    stage.told.take()
    now = stage.controller.partition("orders")
    topic_id = stage.controller.image.topics["orders"].topic_id
    proposal = IsrProposal("orders", topic_id, 0, now.leader_epoch, now.partition_epoch, (1, 2, 3))
    asked = Asked(1, AlterIsr(9, 1, 1, (proposal,)))
    successor.on_step(asked, stage.controller.step(asked))
    ((kind, subject, _, details),) = stage.told.take()
    assert (kind, subject, details["joined"], details["left"]) == ("isr-changed", "orders-0", [3], [])


def test_a_new_controller_knows_from_the_log_who_died_before_it() -> None:
    stage = Stage()
    image = MetadataImage.of(stage.controller.image.to_records(), stage.controller.image.version)
    successor = ControllerEvents(stage.told, 2)
    successor.on_replayed(image)
    stage.told.take()
    elected = Elected(2, 2, {2: 1, 3: 1})
    successor.on_step(elected, stage.controller.step(elected))
    rows = stage.told.take()
    assert rows[0] == ("controller-elected", "controller", death(1, 1), {"controller": 2, "epoch": 2, "was": 1})
    elections = [row for row in rows if row[0] == "leader-elected"]
    assert elections[0][2] == event_id(1, 1, 101) and elections[0][3]["reason"] == "broker 1 died"


def test_a_broker_that_is_not_heard_is_removed_and_that_is_the_cause_of_the_election() -> None:
    stage = Stage()
    stage.told.take()
    for now_ms in range(0, 10_000, 1_000):
        for broker in (2, 3):
            stage.controller.machine.step(Asked(broker, BrokerHeartbeat(3, broker, 1)), now_ms)
        effects = stage.controller.machine.step(Elected(2, 2, {1: 1, 2: 1, 3: 1}) if now_ms == 0 else Tick(), now_ms)
        stage.events.on_step(Tick(), effects)
    (removed, elected, shrunk) = stage.told.take()
    assert removed == ("broker-removed", "broker 1", 0, {"incarnation": 1, "reason": "it is not heard"})
    assert elected[0] == "leader-elected" and elected[2] == event_id(1, 1, 101)
    assert elected[3]["reason"] == shrunk[3]["reason"] == "broker 1 is not heard"


def test_an_update_travels_with_its_cause() -> None:
    stage = Stage()
    effects = stage.step(BrokerDied(3, 1))
    update = next(each.message for each in effects if isinstance(each, Broadcast))
    assert isinstance(update, MetadataUpdate) and broadcast_records(effects)
    assert stage.events.cause_of(update) == death(3, 1)
    assert stage.events.cause_of(MetadataUpdate(1, 999, [])) == stage.events.cause_of("no update") == 0
