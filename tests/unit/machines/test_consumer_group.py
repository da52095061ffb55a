"""KIP-848 groups, told as stories."""

from __future__ import annotations

import pytest
from consumer_groups import Consumer, ConsumerGroupUnderTest, Topics, durable_consumer, settle

from machines.group_events import Append, DeleteGroup
from model.error_codes import ErrorCode

ALL = {("t", partition) for partition in range(4)}


def test_a_member_alone_gets_everything_with_its_first_heartbeat():
    g = ConsumerGroupUnderTest()
    a = Consumer(g, "a")
    answer = a.beat()
    assert (answer.error_code, answer.member_id, answer.member_epoch, a.owned) == (0, "a", 1, ALL)
    assert g.group.state == "Stable"
    assert (g.group.group_type, g.group.protocol_type) == ("consumer", "consumer")


def test_all_records_of_a_step_are_in_one_batch():
    g = ConsumerGroupUnderTest()
    Consumer(g, "a").beat()
    assert [type(effect) for effect in g.effects].count(Append) == 1
    assert isinstance(g.effects[0], Append)


def test_with_nothing_new_nothing_is_written_and_no_assignment_told():
    g = ConsumerGroupUnderTest()
    a = Consumer(g, "a")
    settle(a)
    answer = a.beat()
    assert answer.assignment is None
    assert not [effect for effect in g.effects if isinstance(effect, Append)]


def test_the_second_member_waits_until_the_first_has_given_away_its_share():
    g = ConsumerGroupUnderTest()
    a, b = Consumer(g, "a", is_slow=True), Consumer(g, "b")
    a.beat()
    b.beat()
    assert b.owned == set()
    assert g.group.state == "Reconciling"
    a.beat()
    assert len(a.owned) == len(a.to_revoke) == 2
    b.beat()
    assert b.owned == set(), "the first has not said yet that it revoked"
    a.revoke()
    a.beat()
    b.beat()
    assert a.owned | b.owned == ALL
    assert g.group.state == "Stable"


def test_who_waits_for_others_is_asked_to_come_again_soon():
    g = ConsumerGroupUnderTest()
    a, b = Consumer(g, "a"), Consumer(g, "b")
    assert a.beat().heartbeat_interval_ms == 5_000
    assert b.beat().heartbeat_interval_ms == 200


def test_a_member_that_leaves_gives_its_share_to_the_others():
    g = ConsumerGroupUnderTest()
    a, b = Consumer(g, "a"), Consumer(g, "b")
    settle(a, b)
    assert b.leave().member_epoch == -1
    settle(a)
    assert a.owned == ALL


def test_a_silent_member_is_out_after_its_session():
    g = ConsumerGroupUnderTest(consumer_session_timeout_ms=10_000)
    a, b = Consumer(g, "a"), Consumer(g, "b")
    settle(a, b)
    for _ in range(3):
        g.wait(5_000)
        a.beat()
    settle(a)
    assert a.owned == ALL
    assert b.beat().error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_member_that_does_not_revoke_in_time_is_out():
    g = ConsumerGroupUnderTest(consumer_session_timeout_ms=100_000)
    a, b = Consumer(g, "a", is_slow=True), Consumer(g, "b")
    a.beat()
    b.beat()
    a.beat()
    g.wait(29_000)
    assert "a" in g.group.consumer.members
    a.beat()
    g.wait(1_000)
    assert "a" not in g.group.consumer.members
    settle(b)
    assert b.owned == ALL


def test_the_last_member_leaves_an_empty_group_that_can_be_deleted():
    g = ConsumerGroupUnderTest()
    a = Consumer(g, "a")
    a.beat()
    a.leave()
    assert g.group.state == "Empty"
    assert g.answers[g.send(DeleteGroup(), 2)] is ErrorCode.NONE
    assert g.group.is_blank and g.replay().is_blank


# -- epochs ------------------------------------------------------------------------------------------------------------


def test_a_lost_answer_is_given_again_to_who_owns_no_more_than_it_may():
    g = ConsumerGroupUnderTest()
    a, b = Consumer(g, "a"), Consumer(g, "b")
    settle(a, b)
    b.leave()
    before = a.epoch
    a.beat(is_answer_lost=True)
    again = g.beat("a", before, owned={"t": sorted(p for _, p in a.owned)})
    assert (again.error_code, again.member_epoch) == (0, before + 1)
    assert g.beat("a", before).error_code == ErrorCode.FENCED_MEMBER_EPOCH
    assert g.beat("a", before, owned={"other": [0]}).error_code == ErrorCode.FENCED_MEMBER_EPOCH


def test_epochs_from_the_future_and_from_long_ago_are_fenced():
    g = ConsumerGroupUnderTest()
    a, b, c = (Consumer(g, name) for name in "abc")
    settle(a, b)
    settle(a, b, c)
    assert g.beat("a", a.epoch + 1, owned={}).error_code == ErrorCode.FENCED_MEMBER_EPOCH
    assert g.beat("a", 1, owned={}).error_code == ErrorCode.FENCED_MEMBER_EPOCH
    assert g.beat("stranger", 1).error_code == ErrorCode.UNKNOWN_MEMBER_ID


def test_a_fenced_member_comes_back_with_epoch_0_under_its_id():
    g = ConsumerGroupUnderTest()
    a, b = Consumer(g, "a"), Consumer(g, "b")
    settle(a, b)
    a.epoch, a.owned = 0, set()
    answer = a.beat()
    assert answer.error_code == 0 and len(a.owned) == 2
    assert g.group.state == "Stable"


def test_commits_are_fenced_by_the_member_epoch():
    g = ConsumerGroupUnderTest()
    a, b = Consumer(g, "a"), Consumer(g, "b")
    a.beat()
    assert g.commit("a", 1, 5) is ErrorCode.NONE
    settle(a, b)
    assert g.commit("a", 1, 6) is ErrorCode.STALE_MEMBER_EPOCH
    assert g.commit("a", a.epoch, 7) is ErrorCode.NONE
    assert g.commit("stranger", a.epoch, 8) is ErrorCode.UNKNOWN_MEMBER_ID
    assert g.commit("", -1, 8) is ErrorCode.UNKNOWN_MEMBER_ID
    assert g.commit("a", a.epoch, 8, version=8) is ErrorCode.UNSUPPORTED_VERSION
    assert g.committed() == 7


def test_an_admin_commits_while_nobody_is_there():
    g = ConsumerGroupUnderTest()
    a = Consumer(g, "a")
    a.beat()
    a.leave()
    assert g.commit("", -1, 3) is ErrorCode.NONE


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member_id", "epoch", "said"),
    [
        ("", 0, {}),
        ("a", 0, {"subscribed_topic_names": ["t"], "owned": {}}),
        ("a", 0, {"subscribed_topic_names": ["t"], "rebalance_timeout_ms": 1}),
        ("a", 0, {"subscribed_topic_names": ["t"], "rebalance_timeout_ms": 1, "owned": {"t": [0]}}),
        ("a", 0, {"rebalance_timeout_ms": 1, "owned": {}}),
        ("", 3, {}),
        ("a", -3, {}),
        ("a", -2, {}),
        ("a", 1, {"instance_id": ""}),
        ("a", 1, {"rack_id": ""}),
    ],
)
def test_requests_that_make_no_sense_are_invalid(member_id, epoch, said):
    answer = ConsumerGroupUnderTest().beat(member_id, epoch, **said)
    assert answer.error_code == ErrorCode.INVALID_REQUEST
    assert answer.error_message


def test_a_group_is_found_by_who_joins_only():
    g = ConsumerGroupUnderTest()
    assert g.beat("a", 5).error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert g.group.is_blank


def test_unknown_assignors_and_bad_patterns_are_refused():
    g = ConsumerGroupUnderTest()
    assert Consumer(g, "a", assignor="best").beat().error_code == ErrorCode.UNSUPPORTED_ASSIGNOR
    assert Consumer(g, "a", regex="(").beat().error_code == ErrorCode.INVALID_REGULAR_EXPRESSION
    assert g.group.is_blank


def test_a_full_group_takes_nobody_in():
    g = ConsumerGroupUnderTest(consumer_max_size=1)
    a = Consumer(g, "a")
    a.beat()
    assert Consumer(g, "b").beat().error_code == ErrorCode.GROUP_MAX_SIZE_REACHED
    assert a.beat().error_code == 0


def test_in_version_0_the_broker_names_the_member():
    g = ConsumerGroupUnderTest()
    said = {"subscribed_topic_names": ["t"], "rebalance_timeout_ms": 1, "owned": {}}
    answer = g.beat("", 0, version=0, **said)
    assert answer.member_id in g.group.consumer.members


# -- topics ------------------------------------------------------------------------------------------------------------


def test_a_topic_that_grows_is_assigned_anew():
    g = ConsumerGroupUnderTest()
    a = Consumer(g, "a")
    a.beat()
    g.change_topics(t=6)
    a.beat()
    assert a.owned == {("t", partition) for partition in range(6)}


def test_a_topic_that_comes_later_and_one_that_goes():
    g = ConsumerGroupUnderTest(Topics(u=1))
    a = Consumer(g, "a", topics=("t", "u"))
    a.beat()
    assert a.owned == {("u", 0)}
    g.change_topics(t=2)
    settle(a)
    assert a.owned == {("u", 0), ("t", 0), ("t", 1)}
    g.change_topics(u=0)
    settle(a)
    assert a.owned == {("t", 0), ("t", 1)}


def test_news_of_other_topics_change_nothing():
    g = ConsumerGroupUnderTest()
    Consumer(g, "a").beat()
    g.change_topics(other=3)
    assert g.effects == []


def test_a_new_subscription_is_assigned_anew():
    g = ConsumerGroupUnderTest(Topics(t=2, u=2))
    a = Consumer(g, "a")
    a.beat()
    a.subscribe("u")
    settle(a)
    assert a.owned == {("u", 0), ("u", 1)}


def test_a_pattern_finds_internal_topics_too():
    g = ConsumerGroupUnderTest(Topics(orders=1, __consumer_offsets=1))
    a = Consumer(g, "a", regex="__.*")
    a.beat()
    assert a.owned == {("__consumer_offsets", 0)}


def test_a_pattern_finds_topics_that_come_later():
    g = ConsumerGroupUnderTest(Topics(orders_eu=1, stock=1))
    a = Consumer(g, "a", regex="orders_.*")
    a.beat()
    assert a.owned == {("orders_eu", 0)}
    g.change_topics(orders_us=1)
    settle(a)
    assert a.owned == {("orders_eu", 0), ("orders_us", 0)}
    a.leave()
    assert g.group.consumer.regexes == {}


def test_members_vote_for_the_assignor():
    g = ConsumerGroupUnderTest(Topics(t=2, u=2))
    a = Consumer(g, "a", topics=("t", "u"), assignor="range")
    b = Consumer(g, "b", topics=("t", "u"), assignor="range")
    settle(a, b)
    assert g.group.consumer.assignor == "range"
    assert a.owned == {("t", 0), ("u", 0)} and b.owned == {("t", 1), ("u", 1)}


# -- static members ----------------------------------------------------------------------------------------------------


def test_a_static_member_that_comes_back_finds_its_partitions_and_nobody_else_notices():
    g = ConsumerGroupUnderTest()
    a, b = Consumer(g, "a", instance="one"), Consumer(g, "b")
    settle(a, b)
    had, epoch = set(a.owned), g.group.consumer.epoch
    assert a.leave(-2).member_epoch == -2
    b.beat()
    again = Consumer(g, "a2", instance="one")
    again.beat()
    assert again.owned == had
    assert g.group.consumer.epoch == epoch
    assert g.group.state == "Stable"
    assert set(g.group.consumer.members) == {"a2", "b"}


def test_one_that_stays_away_loses_its_place_with_its_session():
    g = ConsumerGroupUnderTest(consumer_session_timeout_ms=10_000)
    a, b = Consumer(g, "a", instance="one"), Consumer(g, "b")
    settle(a, b)
    a.leave(-2)
    g.wait(6_000)
    b.beat()
    g.wait(6_000)
    settle(b)
    assert b.owned == ALL


def test_an_instance_id_in_use_is_not_given_twice():
    g = ConsumerGroupUnderTest()
    a = Consumer(g, "a", instance="one")
    a.beat()
    assert Consumer(g, "b", instance="one").beat().error_code == ErrorCode.UNRELEASED_INSTANCE_ID
    assert g.beat("b", 1, instance_id="one").error_code == ErrorCode.FENCED_INSTANCE_ID
    assert g.beat("b", 1, instance_id="two").error_code == ErrorCode.UNKNOWN_MEMBER_ID
    assert a.beat().error_code == 0


def test_a_static_member_that_leaves_for_good_gives_up_its_instance_id():
    g = ConsumerGroupUnderTest()
    a = Consumer(g, "a", instance="one")
    a.beat()
    a.leave(-1)
    assert Consumer(g, "b", instance="one").beat().error_code == 0


# -- the coordinator ---------------------------------------------------------------------------------------------------


def test_a_new_coordinator_goes_on_in_the_middle_of_a_rebalance():
    g = ConsumerGroupUnderTest()
    a, b = Consumer(g, "a", is_slow=True), Consumer(g, "b")
    a.beat()
    b.beat()
    a.beat()
    before = durable_consumer(g.group)
    g.crash()
    assert durable_consumer(g.group) == before
    a.revoke()
    settle(a, b)
    assert a.owned | b.owned == ALL and len(a.owned) == len(b.owned) == 2
