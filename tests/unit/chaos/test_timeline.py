from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from actors.event_log import SILENCE, EventLog
from chaos.timeline import Follower, Timeline, decode, lines, plain, read
from chaos.timeline_words import words
from protocol.events import HANDS, NOTHING, Event, birth, blow, death, event_id, id_text, parse_id


def an_event(at: float, id: str, kind: str = "x", subject: str = "y", cause: str = "", **details: Any) -> Event:
    return Event(at, 1, id, kind, subject, details, cause)


def test_ids_are_packed_and_read_back() -> None:
    for number in (birth(3, 7), death(3, 7), blow(255, (1 << 32) - 1), event_id(2, 5, 77), NOTHING):
        assert parse_id(id_text(number)) == number
    assert id_text(event_id(2, 5, 77)) == "2.5.77" and id_text(NOTHING) == ""
    assert len({birth(3, 7), death(3, 7), blow(3, 7), birth(3, 8), birth(2, 7)}) == 5
    with pytest.raises(ValueError):
        parse_id("nonsense")


def test_a_kill_is_told_from_the_blow_to_the_new_leader(tmp_path: Path) -> None:
    hands = EventLog(tmp_path, "hands", HANDS, 1)
    supervisor = EventLog(tmp_path, "supervisor", 0, 9)
    controller = EventLog(tmp_path, "broker-1", 1, 4)
    leader = EventLog(tmp_path, "broker-3", 3, 2)
    hands.tell("signal", "broker 2", own_id=blow(2, 8), signal="SIGKILL", pid=123)
    supervisor.tell("broker-down", "broker 2", own_id=death(2, 8), cause=blow(2, 8), reason="killed by SIGKILL")
    controller.tell("leader-elected", "orders-0", cause=death(2, 8), leader=3, epoch=5, was=2, reason="broker 2 died")
    leader.tell("leading", "orders-0", cause=death(2, 8), epoch=5, log_end_offset=42)
    for log in (hands, supervisor, controller, leader):
        log.close()
    events = read(tmp_path)
    timeline = Timeline(events)
    told = timeline.chain(events[-1])
    assert [event.kind for event in told] == ["signal", "broker-down", "leader-elected", "leading"]
    assert {event.trace for event in events} == {id_text(blow(2, 8))}
    assert [line.split("  ", 1)[1] for line in lines(timeline, events)] == [
        "SIGKILL to broker 2 (pid 123)",
        "  broker 2 is down: killed by SIGKILL",
        "    leader of orders-0 is 3, epoch 5 (was 2): broker 2 died",
        "      broker 3 leads orders-0 from 42, epoch 5",
    ]


def test_a_cause_that_nobody_told_of_is_none() -> None:
    (event,) = Timeline([an_event(1.0, "1.1.20", cause="2.2.3")]).events
    assert event.cause == "" and event.trace == "1.1.20"


def test_an_effect_is_listed_after_its_cause_though_it_was_noted_before() -> None:
    timeline = Timeline([an_event(1.0, "b", cause="a"), an_event(1.1, "a"), an_event(0.9, "c")])
    assert [event.id for event in timeline.events] == ["c", "a", "b"]


def test_causes_that_stand_in_a_circle_end_somewhere() -> None:
    timeline = Timeline([an_event(1.0, "a", cause="b"), an_event(1.0, "b", cause="a")])
    assert sorted(event.id for event in timeline.events) == ["a", "b"]
    assert all(len(timeline.chain(event)) == 2 for event in timeline.events)


def test_a_topic_is_told_with_what_led_to_it_and_nothing_else() -> None:
    events = [
        an_event(1.0, "kill", "signal", "broker 2"),
        an_event(1.1, "a", "isr-changed", "orders-0", cause="kill"),
        an_event(1.2, "b", "isr-changed", "orders-late-0", cause="kill"),
        an_event(1.3, "c", "rebalance", "group g"),
    ]
    assert [event.id for event in Timeline(events).about("orders")] == ["kill", "a"]


def test_what_befalls_many_partitions_of_an_internal_topic_is_told_once() -> None:
    moved = {"leader": 1, "epoch": 1, "was": 2, "reason": "broker 2 died"}
    events = [
        an_event(1.0, "kill", "signal", "broker 2", signal="SIGKILL", pid=1),
        *(an_event(1.1, f"a{n}", "leader-elected", f"__consumer_offsets-{n}", cause="kill", **moved) for n in range(3)),
        *(an_event(1.2, f"b{n}", "leader-elected", f"orders-{n}", cause="kill", **moved) for n in range(2)),
        *(an_event(1.3, f"l{n}", "leading", f"__consumer_offsets-{n}", cause=f"a{n}", epoch=1, log_end_offset=n)
          for n in range(3)),
        an_event(1.4, "c", "leader-elected", "__consumer_offsets-9", **moved),
    ]
    timeline = Timeline(events)
    told = [line.split("  ", 1)[1] for line in lines(timeline, timeline.events)]
    assert told == [
        "SIGKILL to broker 2 (pid 1)",
        "  leader of __consumer_offsets-0 is 1, epoch 1 (was 2): broker 2 died, and 2 partitions more",
        "  leader of orders-0 is 1, epoch 1 (was 2): broker 2 died",
        "  leader of orders-1 is 1, epoch 1 (was 2): broker 2 died",
        "    broker 1 leads __consumer_offsets-0 from 0, epoch 1, and 2 partitions more",
        "leader of __consumer_offsets-9 is 1, epoch 1 (was 2): broker 2 died",
    ]
    assert len(lines(timeline, timeline.events, is_folded=False)) == len(events)


@pytest.mark.parametrize("fall", ["actor-crashed", "controller-resigned"])
def test_a_controllers_election_follows_from_the_fall_of_the_one_before_it(fall: str) -> None:
    events = [
        an_event(1.0, "injected", "fault", "broker 1"),
        an_event(1.1, "fall", fall, "/controller" if fall == "actor-crashed" else "controller", cause="injected"),
        an_event(1.2, "new", "controller-elected", "controller", controller=2, epoch=3, was=1),
        an_event(9.0, "later", "controller-elected", "controller", controller=1, epoch=4, was=2),
    ]
    timeline = Timeline(events)
    assert [event.id for event in timeline.chain(timeline.events[2])] == ["injected", "fall", "new"]
    assert timeline.events[3].cause == "", "one fall, one election"


def test_each_of_several_blows_to_one_process_is_told_and_its_end_follows_from_the_last_before_it() -> None:
    blows = [an_event(at, "2.4.3", "signal", "broker 2", signal=name, pid=1)
             for at, name in ((1.0, "SIGSTOP"), (3.0, "SIGSTOP"), (5.0, "SIGKILL"))]  # fmt: skip
    ends = [an_event(4.0, "f", "broker-fenced", "broker 2", cause="2.4.3", reason="no heartbeat"),
            an_event(5.1, "d", "broker-down", "broker 2", cause="2.4.3", reason="killed by SIGKILL")]  # fmt: skip
    timeline = Timeline([*blows, *ends])
    assert [event.kind for event in timeline.events].count("signal") == 3
    fence, down = (timeline.by_id[id] for id in "fd")
    assert timeline.by_id[fence.cause].at == 3.0 and timeline.by_id[down.cause].at == 5.0
    later = timeline.add([an_event(6.0, "2.4.3", "signal", "broker 2", signal="SIGKILL", pid=1)])
    assert [event.at for event in later] == [6.0] and len({event.id for event in timeline.events}) == 6


def test_a_replica_that_leaves_for_its_disk_leaves_below_what_happened_to_the_disk() -> None:
    events = [
        an_event(1.0, "full", "fault", "broker 2"),
        an_event(1.1, "off", "replica-offline", "t-0", cause="full", reason="no space"),
        an_event(1.2, "isr", "isr-changed", "t-0", reason="a disk of broker 2 failed"),
        an_event(1.2, "other", "isr-changed", "t-1", reason="a disk of broker 2 failed"),
    ]
    timeline = Timeline(events)
    assert [event.id for event in timeline.chain(timeline.by_id["isr"])] == ["full", "off", "isr"]
    assert timeline.by_id["other"].cause == ""


def test_a_torn_line_is_passed_over() -> None:
    good = b'{"at":1.0,"broker":1,"id":"1.1.20","kind":"k","subject":"s"}'
    assert [event.id for event in decode(good + b"\n" + good[:20])] == ["1.1.20"]


def test_a_follower_reads_what_is_new_and_only_whole_lines(tmp_path: Path) -> None:
    log = EventLog(tmp_path, "broker-1", 1, 1)
    log.tell("a", "x")
    follower = Follower(tmp_path)
    assert [event.kind for event in follower.fresh()] == ["a"]
    assert follower.fresh() == []
    with open(log.path, "ab") as file:
        file.write(b'{"at":1.0,"broker":1,')
    assert follower.fresh() == []
    with open(log.path, "ab") as file:
        file.write(b'"id":"1.1.99","kind":"b","subject":"s"}\n')
    assert [event.kind for event in follower.fresh()] == ["b"]
    log.close()


def test_silence_follows_from_the_partition_that_goes_on() -> None:
    def causes(*events: Event) -> list[str]:
        silent = ("broker-removed", "controller-resigned")
        return [event.cause for event in Timeline(events).events if event.kind in silent]

    def a_fault(at: float, number: int, **details: str) -> Event:
        return an_event(at, f"255.1.{number}", "fault", "brokers", **details)

    cut = a_fault(1.0, 20, fault="partition", deed="inject", shape="one")
    healed = a_fault(1.5, 21, fault="partition", deed="heal")
    removed = an_event(2.0, "1.1.20", "broker-removed", "broker 3", incarnation=1, reason="it is not heard")
    resigned = an_event(2.0, "1.1.21", "controller-resigned", "controller", reason="too few of the brokers hear it")
    assert causes(cut, removed, resigned) == [cut.id, cut.id]
    assert causes(removed) == causes(cut, healed, removed) == [""]
    assert causes(a_fault(1.0, 20, fault="clock", deed="inject"), removed) == [""]
    assert causes(a_fault(1.0, 20, fault="partition", deed="inject", shape="clients"), removed) == [""]
    died = an_event(2.0, "1.1.20", "broker-removed", "broker 3", "2.1.2", incarnation=1, reason="broker 3 died")
    assert causes(cut, an_event(1.1, "2.1.2", "broker-down", "broker 3"), died) == ["2.1.2"]


def test_a_file_that_grew_large_is_not_told_twice_under_its_other_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.event_log.FILE_BYTES", 10)
    follower = Follower(tmp_path)
    for number in range(4):
        log = EventLog(tmp_path, "broker-1", 1, 1 + number)
        log.tell("life", "broker 1", number=number)
        log.close()
        assert [event.details["number"] for event in follower.fresh()] == [number]
        assert follower.fresh() == []


@pytest.mark.parametrize("kind", ["leading", "truncated", "leader-elected", "controller-elected", "isr-changed"])
def test_events_of_another_version_keep_their_causes(kind: str) -> None:
    timeline = Timeline([an_event(1.0, "1.1.20", "fault"), an_event(2.0, "1.1.21", kind, "orders-0", "1.1.20")])
    assert [event.kind for event in timeline.chain(timeline.events[-1])] == ["fault", kind]


def test_kinds_of_another_version_are_told_by_name() -> None:
    assert words(an_event(1.0, "1", "new-kind", "broker 1", depth=3)) == "broker 1: new-kind depth=3"
    assert words(an_event(1.0, "1", "leading", "orders-0", other=3)) == "orders-0: leading other=3"
    assert plain(an_event(1.0, "1", "new-kind", "s"))["text"] == "s: new-kind"


def test_a_rebalance_says_why() -> None:
    def said(**moves: list[str]) -> str:
        return words(an_event(1.0, "a", "rebalance", "group g", generation=3, members=2, **moves))

    assert said(joined=["m1"], left=[], silent=["m0"]).endswith("2 members: m1 joined, m0 was not heard any more")
    assert said(left=["a", "b", "c"]).endswith("a, b and 1 more left")
    assert said().endswith("its subscriptions or their partitions changed")


def test_silence_forgets() -> None:
    assert SILENCE.tell("a", "b", cause=birth(1, 1), more=1) == NOTHING
    SILENCE.close()


def test_a_large_file_is_kept_once_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.event_log.FILE_BYTES", 10)
    for incarnation in (1, 2):
        log = EventLog(tmp_path, "broker-1", 1, incarnation)
        log.tell("life", "broker 1", number=incarnation)
        log.close()
    assert [event.details["number"] for event in read(tmp_path)] == [1, 2]
    assert len(list((tmp_path / "events").iterdir())) == 2


def test_a_long_life_begins_a_new_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.event_log.FILE_BYTES", 150)
    log = EventLog(tmp_path, "broker-1", 1, 1)
    for number in range(3):
        log.tell("step", "broker 1", number=number)
    log.close()
    assert [event.details["number"] for event in read(tmp_path)] == [0, 1, 2]
    assert sorted(path.name for path in (tmp_path / "events").iterdir()) == ["broker-1.jsonl", "broker-1.old.jsonl"]


def test_a_directory_that_cannot_be_written_costs_events_only(tmp_path: Path) -> None:
    (tmp_path / "events").write_text("in the way")
    log = EventLog(tmp_path, "broker-1", 1, 1)
    assert log.tell("a", "b") != NOTHING
    log.close()
