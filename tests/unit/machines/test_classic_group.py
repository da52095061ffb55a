"""Classic groups, told as stories."""

from __future__ import annotations

from groups import GroupUnderTest, durable

from machines.group_events import Append, Reply
from model.error_codes import ErrorCode
from protocol.k13_leave_group import LeaveGroupRequest
from protocol.k14_sync_group import SyncGroupRequest


def test_a_new_member_is_told_its_id_and_comes_back_with_it():
    g = GroupUnderTest()
    first = g.answers[g.join()]
    assert (first.error_code, first.member_id) == (ErrorCode.MEMBER_ID_REQUIRED, "client-0001")
    assert g.group.state == "Empty"
    joined = g.answers[g.join(first.member_id)]
    assert (joined.error_code, joined.generation_id, joined.leader) == (0, 1, "client-0001")
    assert [row.member_id for row in joined.members] == ["client-0001"]


def test_before_version_4_a_member_joins_at_once():
    g = GroupUnderTest()
    joined = g.answers[g.join(version=3)]
    assert (joined.error_code, joined.generation_id, joined.member_id) == (0, 1, "client-0001")


def test_version_0_takes_the_session_timeout_for_the_rebalance_timeout():
    g = GroupUnderTest()
    g.join(version=0, rebalance_ms=-1, session_ms=7_000)
    assert g.group.classic.members["client-0001"].rebalance_timeout_ms == 7_000


def test_an_id_that_was_handed_out_and_never_used_is_forgotten():
    g = GroupUnderTest()
    g.join(session_ms=6_000)
    g.wait(6_000)
    assert g.group.is_blank
    assert g.answers[g.join("client-0001")].error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_only_the_leader_sees_the_members():
    g = GroupUnderTest()
    ids = [g.answers[g.join()].member_id for _ in range(3)]
    tokens = [g.join(member_id) for member_id in ids]
    joined = [g.answers[token] for token in tokens]
    assert [len(answer.members) for answer in joined] == [3, 0, 0]
    assert {answer.leader for answer in joined} == {ids[0]}
    assert {answer.generation_id for answer in joined} == {1}


def test_everyone_waits_for_the_leaders_assignment_which_is_written_before_it_is_told():
    g = GroupUnderTest()
    ids = [g.answers[g.join()].member_id for _ in range(2)]
    for member_id in ids:
        g.join(member_id)
    follower = g.sync(ids[1], 1)
    assert follower not in g.answers
    leader = g.sync(ids[0], 1, {ids[0]: b"zero", ids[1]: b"one"})
    assert g.answers[follower].assignment == b"one"
    assert g.answers[leader].assignment == b"zero"
    assert [type(effect) for effect in g.effects] == [Append, Reply, Reply]
    assert g.group.state == "Stable"


def test_a_member_that_the_leader_forgot_gets_nothing():
    g = GroupUnderTest()
    member_id, _ = g.new_member()
    assert g.answers[g.sync(member_id, 1, {})].assignment == b""


def test_a_second_member_starts_a_rebalance_and_heartbeats_tell_of_it():
    g = GroupUnderTest()
    generation, [first] = g.stable()
    assert g.heartbeat(first, generation) == ErrorCode.NONE
    _second, token = g.new_member()
    assert token not in g.answers
    assert g.heartbeat(first, generation) == ErrorCode.REBALANCE_IN_PROGRESS
    rejoined = g.join(first)
    assert g.answers[rejoined].generation_id == generation + 1 == g.answers[token].generation_id
    assert g.answers[rejoined].leader == first


def test_a_member_that_does_not_rejoin_in_time_is_out():
    g = GroupUnderTest()
    generation, [first] = g.stable(rebalance_ms=8_000, session_ms=60_000)
    second, token = g.new_member(rebalance_ms=8_000)
    g.wait(7_999)
    assert token not in g.answers
    g.wait(1)
    assert [row.member_id for row in g.answers[token].members] == [second]
    assert g.heartbeat(first, generation) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_silent_member_is_out_after_its_session():
    g = GroupUnderTest()
    generation, [first] = g.stable(session_ms=10_000)
    g.wait(9_000)
    assert g.heartbeat(first, generation) == ErrorCode.NONE
    g.wait(9_999)
    assert g.group.state == "Stable"
    g.wait(1)
    assert g.group.state == "Empty"
    assert g.heartbeat(first, generation) == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_member_that_waits_in_a_join_does_not_time_out():
    g = GroupUnderTest()
    generation, [first] = g.stable(session_ms=6_000, rebalance_ms=60_000)
    second, _token = g.new_member(session_ms=6_000, rebalance_ms=60_000)
    for _ in range(5):
        g.wait(5_000)
        assert g.heartbeat(first, generation) == ErrorCode.REBALANCE_IN_PROGRESS
    g.join(first)
    assert {row.member_id for row in g.answers[g._token].members} == {first, second}


def test_a_new_member_whose_client_went_away_is_given_up_after_five_minutes():
    g = GroupUnderTest()
    _generation, [_first] = g.stable(session_ms=600_000, rebalance_ms=600_000)
    _, token = g.new_member(rebalance_ms=600_000)
    g.wait(300_000)
    assert g.answers[token].error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_member_that_does_not_sync_in_time_is_out():
    g = GroupUnderTest()
    ids = [g.answers[g.join(rebalance_ms=8_000)].member_id for _ in range(2)]
    for member_id in ids:
        g.join(member_id, rebalance_ms=8_000, session_ms=100_000)
    waiting = g.sync(ids[1], 1)
    g.wait(8_000)
    assert g.answers[waiting].error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert list(g.group.classic.members) == [ids[1]]


def test_a_follower_that_never_syncs_is_out_though_the_group_is_stable():
    g = GroupUnderTest()
    ids = [g.answers[g.join(rebalance_ms=8_000)].member_id for _ in range(2)]
    for member_id in ids:
        g.join(member_id, rebalance_ms=8_000, session_ms=100_000)
    g.sync(ids[0], 1, {})
    assert g.group.state == "Stable"
    g.wait(8_000)
    assert list(g.group.classic.members) == [ids[0]]
    assert g.group.state == "PreparingRebalance"


def test_leaving_hands_the_partitions_to_the_others():
    g = GroupUnderTest()
    generation, [leader, other] = g.stable(2)
    assert g.leave(leader) == [ErrorCode.NONE]
    assert g.heartbeat(other, generation) == ErrorCode.REBALANCE_IN_PROGRESS
    assert g.answers[g.join(other)].leader == other


def test_the_last_one_to_leave_makes_the_group_empty_in_a_new_generation():
    g = GroupUnderTest()
    generation, [member_id] = g.stable()
    g.leave(member_id)
    assert (g.group.state, g.group.classic.generation) == ("Empty", generation + 1)
    assert durable(g.replay()) == durable(g.group)


def test_several_leave_at_once_each_with_its_own_outcome():
    g = GroupUnderTest()
    _, ids = g.stable(2)
    assert g.leave(ids[0], "nobody", ids[1]) == [ErrorCode.NONE, ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.NONE]


def test_before_version_3_the_error_of_leaving_is_the_whole_answer():
    g = GroupUnderTest()
    token = g.send(LeaveGroupRequest(group_id="g", member_id="nobody"), 1)
    assert g.answers[token].error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_known_member_that_joins_again_with_nothing_new_gets_the_generation_as_it_is():
    g = GroupUnderTest()
    generation, [_leader, follower] = g.stable(2)
    again = g.answers[g.join(follower)]
    assert (again.generation_id, again.members, g.group.state) == (generation, [], "Stable")


def test_a_leader_that_joins_again_asks_for_a_rebalance():
    g = GroupUnderTest()
    _, [leader, _] = g.stable(2)
    g.join(leader)
    assert g.group.state == "PreparingRebalance"


def test_a_new_subscription_starts_a_rebalance():
    g = GroupUnderTest()
    _, [_, follower] = g.stable(2)
    g.join(follower, topics=("t", "u"))
    assert g.group.state == "PreparingRebalance"


def test_who_syncs_while_a_rebalance_begins_must_join_again():
    g = GroupUnderTest()
    ids = [g.answers[g.join()].member_id for _ in range(2)]
    for member_id in ids:
        g.join(member_id)
    waiting = g.sync(ids[1], 1)
    g.join(version=3)
    assert g.answers[waiting].error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert g.answers[g.sync(ids[1], 1)].error_code == ErrorCode.REBALANCE_IN_PROGRESS


def test_old_generations_and_strangers_are_refused():
    g = GroupUnderTest()
    generation, [member_id] = g.stable()
    assert g.heartbeat(member_id, generation - 1) == ErrorCode.ILLEGAL_GENERATION
    assert g.heartbeat("nobody", generation) == ErrorCode.UNKNOWN_MEMBER_ID
    assert g.answers[g.sync(member_id, generation - 1)].error_code == ErrorCode.ILLEGAL_GENERATION
    assert g.answers[g.sync("nobody", generation)].error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert g.answers[g.join("nobody")].error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_sync_with_another_protocol_than_the_groups_is_refused():
    g = GroupUnderTest()
    generation, [member_id] = g.stable()
    for type_, name in (("connect", "range"), ("consumer", "sticky")):
        body = SyncGroupRequest(
            group_id="g", generation_id=generation, member_id=member_id, protocol_type=type_, protocol_name=name
        )
        assert g.answers[g.send(body, 5)].error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_members_vote_for_the_first_protocol_that_all_support():
    g = GroupUnderTest()
    g.join(version=3, protocols=("sticky", "range", "roundrobin"))
    g.join(version=3, protocols=("roundrobin", "range"))
    g.join(version=3, protocols=("cooperative", "range", "roundrobin"))
    token = g.join("client-0001", version=3, protocols=("sticky", "range", "roundrobin"))
    assert g.answers[token].protocol_name == "range"


def test_a_member_without_a_protocol_in_common_is_refused():
    g = GroupUnderTest()
    g.stable()
    error = ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert g.answers[g.join(protocols=("sticky",))].error_code == error
    assert g.answers[g.join(protocol_type="connect")].error_code == error
    assert g.answers[g.join(protocols=())].error_code == error


def test_session_timeouts_have_limits():
    g = GroupUnderTest(min_session_timeout_ms=6_000, max_session_timeout_ms=30_000)
    for session_ms in (5_999, 30_001):
        assert g.answers[g.join(session_ms=session_ms)].error_code == ErrorCode.INVALID_SESSION_TIMEOUT


def test_a_full_group_takes_nobody_in():
    g = GroupUnderTest(max_size=2)
    _, ids = g.stable(2)
    assert g.answers[g.join()].error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    g.leave(ids[1])
    assert g.answers[g.join()].error_code == ErrorCode.MEMBER_ID_REQUIRED


def test_the_first_rebalance_may_wait_for_more_members():
    g = GroupUnderTest(initial_rebalance_delay_ms=3_000)
    first = g.join(version=3)
    g.wait(2_000)
    second = g.join(version=3)
    g.wait(2_000)
    assert first not in g.answers, "a newcomer makes it wait once more"
    g.wait(2_000)
    assert len(g.answers[first].members) == 2
    assert second in g.answers


def test_the_wait_for_more_members_ends_with_the_rebalance_timeout():
    g = GroupUnderTest(initial_rebalance_delay_ms=3_000)
    first = g.join(version=3, rebalance_ms=5_000)
    for _ in range(5):
        g.wait(1_000)
        g.join(version=3, rebalance_ms=5_000)
    assert first in g.answers


def test_a_stable_group_survives_its_coordinator():
    g = GroupUnderTest()
    generation, ids = g.stable(3)
    replayed = g.replay()
    assert durable(replayed) == durable(g.group)
    replayed.after_replay(g.now_ms)
    g.group = replayed
    assert [g.heartbeat(member_id, generation) for member_id in ids] == [ErrorCode.NONE] * 3
    g.wait(10_000)
    assert g.group.state == "Empty"


def test_describing_shows_metadata_and_assignment_while_stable():
    g = GroupUnderTest()
    _, [member_id] = g.stable()
    described = g.group.describe()
    assert (described.group_state, described.protocol_type, described.protocol_data) == ("Stable", "consumer", "range")
    [member] = described.members
    assert (member.member_id, member.client_id, member.client_host) == (member_id, "client", "/host")
    assert member.member_assignment == member_id.encode() and member.member_metadata
    g.join()
    g.join(member_id, topics=("u",))
    described = g.group.describe()
    assert (described.group_state, described.protocol_data) == ("PreparingRebalance", "")
    assert described.members[0].member_metadata == b""
