"""A heartbeat of a patient client is answered when there are news; and a group that is too large after a replay."""

from __future__ import annotations

from typing import Any

from groups import GroupUnderTest

from machines.classic_calls import HOLD_MS
from machines.group_events import GroupRequest, Hold, Recall
from model.error_codes import ErrorCode
from protocol.k12_heartbeat import HeartbeatRequest


def beat(
    g: GroupUnderTest, member_id: str, generation: int, *, may_wait: bool = True, instance: str | None = None
) -> list[Any]:
    body = HeartbeatRequest(
        group_id="g", generation_id=generation, member_id=member_id, group_instance_id=instance
    )
    return g.group.step(GroupRequest(body, 4, "beat", may_wait=may_wait), g.now_ms)


def test_with_nothing_new_the_answer_is_held():
    g = GroupUnderTest()
    generation, (member_id,) = g.stable(session_ms=45_000)
    assert beat(g, member_id, generation) == [Hold("beat", HOLD_MS)]
    assert beat(g, member_id, generation, may_wait=False)[0].response.error_code == 0


def test_it_is_held_for_a_third_of_the_session_at_most():
    g = GroupUnderTest()
    generation, (member_id,) = g.stable(session_ms=6_000)
    assert beat(g, member_id, generation) == [Hold("beat", 2_000)]


def test_a_held_heartbeat_keeps_the_member():
    g = GroupUnderTest()
    generation, (member_id,) = g.stable(session_ms=6_000)
    g.wait(5_000)
    beat(g, member_id, generation)
    g.wait(5_000)
    assert member_id in g.group.classic.members


def test_a_rebalance_calls_the_held_ones_back():
    g = GroupUnderTest()
    generation, (member_id,) = g.stable()
    beat(g, member_id, generation)
    newcomer = g.answers[g.join()].member_id
    g.join(newcomer)
    assert Recall() in g.effects
    assert beat(g, member_id, generation, may_wait=False)[0].response.error_code == ErrorCode.REBALANCE_IN_PROGRESS


def test_during_a_rebalance_nothing_is_held():
    g = GroupUnderTest()
    generation, (member_id,) = g.stable()
    g.join(g.answers[g.join()].member_id)
    assert beat(g, member_id, generation)[0].response.error_code == ErrorCode.REBALANCE_IN_PROGRESS


def test_strangers_and_static_members_are_answered_at_once():
    g = GroupUnderTest()
    static = g.answers[g.join(instance="a")].member_id
    g.sync(static, 1, {static: b""}, instance="a")
    assert beat(g, "stranger", 1)[0].response.error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert beat(g, static, 1, instance="a")[0].response.error_code == 0


def test_a_fenced_predecessor_is_called_back_though_there_is_no_rebalance():
    g = GroupUnderTest()
    static = g.answers[g.join(instance="a")].member_id
    g.sync(static, 1, {static: b""}, instance="a")
    g.join(instance="a")
    assert Recall() in g.effects


def test_a_replayed_group_with_too_many_members_begins_anew_and_keeps_whom_it_has_room_for():
    g = GroupUnderTest()
    generation, ids = g.stable(3)
    small = GroupUnderTest(max_size=2)
    small.records = g.records
    small.group = small.replay()
    small.group.after_replay(small.now_ms)
    assert small.group.state == "PreparingRebalance"
    assert small.heartbeat(ids[0], generation) is ErrorCode.REBALANCE_IN_PROGRESS
    small.join(ids[0])
    small.join(ids[1])
    assert small.answers[small.join(ids[2])].error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    small.wait(11_000)  # the session of the third
    assert list(small.group.classic.members) == ids[:2]


def test_a_replayed_group_that_fits_stays_stable():
    g = GroupUnderTest(max_size=3)
    g.stable(3)
    g.group = g.replay()
    g.group.after_replay(g.now_ms)
    assert g.group.state == "Stable"
