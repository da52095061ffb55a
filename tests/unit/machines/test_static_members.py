"""Static members (`group.instance.id`) of classic groups."""

from __future__ import annotations

from groups import GroupUnderTest, durable

from model.error_codes import ErrorCode


def a_static_group(g: GroupUnderTest, *instances: str, **how: int) -> tuple[int, list[str]]:
    """A stable group of static members, the leader first."""
    ids = [f"{instance}-{g._token + 1 + i:04}" for i, instance in enumerate(instances)]
    for instance in instances:
        g.join(instance=instance, **how)
    for member_id, instance in zip(ids, instances, strict=True):
        if g.group.state == "PreparingRebalance" and g.group.classic.members[member_id].joining is None:
            g.join(member_id, instance=instance, **how)
    generation = g.group.classic.generation
    for member_id, instance in zip(ids[1:], instances[1:], strict=True):
        g.sync(member_id, generation, instance=instance)
    g.sync(ids[0], generation, {member_id: member_id.encode() for member_id in ids}, instance=instances[0])
    assert g.group.state == "Stable"
    return generation, ids


def test_a_static_member_joins_without_the_detour():
    g = GroupUnderTest()
    joined = g.answers[g.join(instance="a")]
    assert (joined.error_code, joined.member_id) == (0, "a-0001")
    assert joined.members[0].group_instance_id == "a"


def test_its_successor_takes_its_place_without_a_rebalance():
    g = GroupUnderTest()
    generation, [leader, follower] = a_static_group(g, "a", "b")
    joined = g.answers[g.join(instance="b")]
    assert (joined.error_code, joined.generation_id, joined.leader) == (0, generation, leader)
    assert joined.member_id not in (leader, follower)
    assert g.group.state == "Stable"
    assert g.answers[g.sync(joined.member_id, generation, instance="b")].assignment == follower.encode()
    assert durable(g.replay()) == durable(g.group)


def test_the_predecessor_is_fenced():
    g = GroupUnderTest()
    generation, [_, follower] = a_static_group(g, "a", "b")
    g.join(instance="b")
    fenced = ErrorCode.FENCED_INSTANCE_ID
    assert g.heartbeat(follower, generation, instance="b") == fenced
    assert g.answers[g.sync(follower, generation, instance="b")].error_code == fenced
    assert g.answers[g.join(follower, instance="b")].error_code == fenced
    assert g.commit(follower, generation, instance="b") == fenced
    assert g.leave(follower, instance="b") == [fenced]


def test_a_predecessor_that_waits_is_fenced_at_once():
    g = GroupUnderTest()
    a_static_group(g, "a", "b")
    waiting = g.join(version=3)
    assert waiting not in g.answers
    rejoined = g.join(g.group.classic.statics["a"], instance="a")
    assert rejoined not in g.answers
    g.join(instance="a")
    assert g.answers[rejoined].error_code == ErrorCode.FENCED_INSTANCE_ID


def test_the_leaders_successor_may_skip_the_assignment_from_version_9():
    g = GroupUnderTest()
    generation, [leader, _] = a_static_group(g, "a", "b")
    joined = g.answers[g.join(instance="a")]
    assert (joined.generation_id, joined.leader, joined.skip_assignment) == (generation, joined.member_id, True)
    assert len(joined.members) == 2
    assert g.answers[g.sync(joined.member_id, generation, instance="a")].assignment == leader.encode()


def test_before_version_9_the_leaders_successor_is_not_told_that_it_leads():
    g = GroupUnderTest()
    generation, [leader, _] = a_static_group(g, "a", "b")
    joined = g.answers[g.join(instance="a", version=8)]
    assert (joined.generation_id, joined.leader, joined.members) == (generation, leader, [])
    assert g.group.classic.leader == joined.member_id


def test_a_successor_with_other_topics_starts_a_rebalance():
    g = GroupUnderTest()
    a_static_group(g, "a", "b")
    token = g.join(instance="b", topics=("u",))
    assert token not in g.answers
    assert g.group.state == "PreparingRebalance"


def test_a_successor_during_a_rebalance_joins_it():
    g = GroupUnderTest()
    generation, [leader, _] = a_static_group(g, "a", "b")
    g.join(leader, instance="a")
    token = g.join(instance="b")
    assert g.answers[token].generation_id == generation + 1


def test_an_absent_static_member_keeps_its_place_until_its_session_ends():
    g = GroupUnderTest()
    generation, [leader, follower] = a_static_group(g, "a", "b", session_ms=20_000, rebalance_ms=5_000)
    g.join(leader, instance="a", session_ms=20_000, rebalance_ms=5_000)
    g.wait(5_000)
    assert g.group.classic.generation == generation + 1
    assert follower in g.group.classic.members
    g.sync(leader, generation + 1, {follower: b"still"}, instance="a")
    g.heartbeat(leader, generation + 1, instance="a")
    assert g.answers[g.sync(follower, generation, instance="b")].error_code == ErrorCode.ILLEGAL_GENERATION
    g.wait(16_000)
    assert follower not in g.group.classic.members


def test_an_operator_takes_a_static_member_out_by_its_instance_id():
    g = GroupUnderTest()
    _, [_, follower] = a_static_group(g, "a", "b")
    assert g.leave("", instance="b") == [ErrorCode.NONE]
    assert follower not in g.group.classic.members
    assert g.leave("", instance="b") == [ErrorCode.UNKNOWN_MEMBER_ID]


def test_an_instance_id_that_nobody_has_is_unknown():
    g = GroupUnderTest()
    generation, [member_id] = a_static_group(g, "a")
    assert g.heartbeat(member_id, generation, instance="z") == ErrorCode.UNKNOWN_MEMBER_ID
