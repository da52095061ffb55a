"""A broker that is not heard is fenced, and may come back; a controller that nobody hears lets others."""

import pytest
from controllers import TestController

from machines.controller import AppendRecords, Asked, Broadcast, BrokerDied, Elected, Resign, Tick
from protocol.cluster_control import BrokerHeartbeat, ControllerIs
from protocol.metadata_records import BrokerRecord

SESSION_MS = 9_000
BEAT_MS = 2_000


class Heard(TestController):
    """Broker 1 is the controller; time goes on in steps of one tick."""

    def __init__(self, brokers: tuple[int, ...] = (1, 2, 3), **overrides: str) -> None:
        super().__init__(brokers, **overrides)
        self.now_ms = 0

    def beat(self, broker: int, is_deaf: bool = False, incarnation: int = 1) -> bool:
        """Whether the controller has it registered."""
        effects = self.step(Asked(broker, BrokerHeartbeat(3, broker, incarnation, is_deaf)), self.now_ms)
        return effects[-1].message.is_registered

    def pass_ms(self, ms: int, *heard: int, deaf: tuple[int, ...] = ()) -> list[object]:
        """Brokers `heard` go on sending heartbeats. The effects of the ticks, without announcements."""
        effects: list[object] = []
        until_ms = self.now_ms + ms
        while self.now_ms < until_ms:
            self.now_ms += 1_000
            if self.now_ms % BEAT_MS == 0:
                for broker in (*heard, *deaf):
                    self.beat(broker, is_deaf=broker in deaf)
            ticked = self.step(Tick(), self.now_ms)
            announced = [e for e in ticked if isinstance(e, Broadcast) and isinstance(e.message, ControllerIs)]
            effects += [effect for effect in ticked if effect not in announced]
            if Resign() in ticked:
                break
        return effects

    def fenced(self) -> list[int]:
        return [broker.broker_id for broker in self.image.brokers.values() if broker.is_fenced]


def test_who_is_not_heard_for_a_session_is_fenced_and_another_leads():
    controller = Heard()
    controller.create("t", (2, 1, 3))
    assert controller.pass_ms(SESSION_MS - 1_000, 3) == []
    effects = controller.pass_ms(1_000, 3)
    assert isinstance(effects[0], AppendRecords) and isinstance(effects[1], Broadcast) and len(effects) == 2
    assert effects[0].records[0] == BrokerRecord(2, 1, "host", 9002, None, is_fenced=True)
    assert (controller.partition().leader, controller.partition().isr) == (1, (1, 3))
    assert controller.pass_ms(3 * SESSION_MS, 3) == [], "once is enough"


def test_whoever_goes_on_sending_heartbeats_is_never_fenced():
    controller = Heard()
    assert controller.pass_ms(10 * SESSION_MS, 2, 3) == []


def test_the_session_timeout_is_the_configs():
    controller = Heard(broker_session_timeout_ms="30000")
    assert controller.pass_ms(29_000, 3) == []
    controller.pass_ms(1_000, 3)
    assert controller.fenced() == [2]


def test_one_that_was_not_heard_registers_again_in_the_same_incarnation():
    controller = Heard()
    controller.create("t", (2, 1, 3))
    controller.pass_ms(SESSION_MS, 3)
    assert not controller.beat(2), "so it learns that it must register"
    assert controller.register(2, last_version=5).error == 0
    assert controller.beat(2) and controller.fenced() == []
    assert controller.partition().isr == (1, 3), "it joins when the leader says so"
    assert controller.propose_isr((1, 3, 2)).error == 0


def test_the_only_member_that_was_not_heard_leads_again_when_it_is_back():
    controller = Heard()
    controller.create("t", (2,))
    controller.pass_ms(SESSION_MS, 3)
    assert (controller.partition().leader, controller.partition().isr) == (-1, (2,))
    controller.register(2, has_doubts=True)
    assert (controller.partition().leader, controller.partition().isr) == (2, (2,))


def test_what_a_broker_doubted_when_it_started_is_no_matter_when_it_is_heard_again():
    controller = Heard()
    controller.create("t", (2, 3))
    controller.pass_ms(SESSION_MS - 1_000, 3)
    controller.die(3)
    controller.pass_ms(2_000)
    assert controller.partition().isr == (2,)
    controller.register(3, incarnation=2)
    controller.register(2, has_doubts=True)
    assert (controller.partition().leader, controller.partition().isr) == (2, (2,))


def test_a_dead_one_stays_dead_even_if_it_was_fenced_as_unheard_before():
    controller = Heard()
    controller.pass_ms(SESSION_MS, 3)
    controller.die(2)
    assert controller.register(2).error != 0
    assert controller.register(2, incarnation=2).error == 0


def test_a_fresh_controller_gives_everybody_a_whole_session():
    controller = Heard()
    controller.pass_ms(SESSION_MS - 1_000, 2)
    controller.step(Elected(1, 2, {1: 1, 2: 1, 3: 1}), controller.now_ms)
    controller.pass_ms(SESSION_MS - 1_000, 2)
    assert controller.fenced() == []
    controller.pass_ms(1_000, 2)
    assert controller.fenced() == [3]


def test_a_controller_that_was_stopped_blames_nobody_for_it():
    controller = Heard()
    controller.pass_ms(2_000, 2, 3)
    controller.now_ms += 60_000
    assert controller.pass_ms(SESSION_MS - 1_000) == []


def test_a_controller_that_too_few_hear_fences_only_itself_and_resigns():
    controller = Heard()
    controller.create("t", (1, 2, 3))
    assert controller.pass_ms(SESSION_MS - 1_000) == []
    append, update, last = controller.pass_ms(1_000)
    assert isinstance(append, AppendRecords) and isinstance(update, Broadcast) and last == Resign()
    assert controller.fenced() == [1]
    assert (controller.partition().leader, controller.partition().isr) == (2, (2, 3))
    assert controller.step(Tick(), controller.now_ms + 1_000) == [], "and that was its last word"
    assert controller.step(BrokerDied(2, 1), controller.now_ms) == []


def test_nobody_is_fenced_by_a_controller_that_is_about_to_resign():
    """2 was heard a little longer than 3: had 3 been fenced first, only 2 could lead."""
    controller = Heard()
    controller.pass_ms(BEAT_MS, 2)
    effects = controller.pass_ms(SESSION_MS)
    assert effects[-1] == Resign() and controller.fenced() == [1]


def test_half_of_the_brokers_go_on_so_that_two_need_not_take_turns():
    controller = Heard((1, 2))
    controller.create("t", (2, 1))
    effects = controller.pass_ms(SESSION_MS)
    assert Resign() not in effects and controller.fenced() == [2]
    assert (controller.partition().leader, controller.partition().isr) == (1, (1,))
    assert controller.pass_ms(3 * SESSION_MS) == []


def test_one_broker_alone_never_resigns():
    assert Heard((1,)).pass_ms(5 * SESSION_MS) == []


@pytest.mark.parametrize("restarts", [False, True])
def test_the_dead_do_not_count(restarts):
    """One left of three, and it knows why: nobody else could do better."""
    controller = Heard()
    controller.die(2)
    controller.die(3)
    if restarts:
        controller.step(Elected(1, 2, {1: 1}), controller.now_ms)
    assert controller.pass_ms(3 * SESSION_MS) == []


@pytest.mark.parametrize("is_elected_anew", [False, True])
def test_those_that_were_fenced_as_unheard_count(is_elected_anew):
    """One of three, and the others live: the first fenced does not make a half of the rest."""
    controller = Heard()
    controller.pass_ms(SESSION_MS, 3)
    assert controller.fenced() == [2]
    if is_elected_anew:
        controller.step(Elected(1, 2, {1: 1, 2: 1, 3: 1}), controller.now_ms)
    assert controller.pass_ms(2 * SESSION_MS)[-1] == Resign()


def test_a_deaf_broker_is_fenced_though_it_is_heard():
    controller = Heard()
    controller.pass_ms(BEAT_MS, 2, 3)
    controller.pass_ms(SESSION_MS, 3, deaf=(2,))
    assert controller.fenced() == [2]


def test_a_controller_that_hears_all_and_is_heard_by_none_resigns_and_fences_nobody_else():
    controller = Heard()
    controller.pass_ms(BEAT_MS, 2, 3)
    controller.pass_ms(BEAT_MS, 2, deaf=(3,))
    effects = controller.pass_ms(SESSION_MS, deaf=(2, 3))
    assert effects[-1] == Resign() and controller.fenced() == [1]


def test_a_fresh_controller_does_not_resign_before_those_that_were_fenced_could_come_back():
    controller = Heard()
    controller.step(Elected(1, 2, {}), controller.now_ms)
    controller.step(Elected(1, 3, {1: 1, 2: 1, 3: 1}), controller.now_ms)
    assert controller.pass_ms(SESSION_MS - 1_000) == []
    assert controller.pass_ms(1_000)[-1] == Resign()
