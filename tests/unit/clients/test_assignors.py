"""How a group's leader deals."""

import random

import pytest

from clients import assignors
from clients.assignors import Member
from model.errors import ConfigError
from model.ids import TopicPartition


def dealt(name, partitions, *members):
    (assignor,) = assignors.make([name])
    given = assignor.assign(partitions, members)
    return {member: sorted(f"{p.topic}{p.partition}" for p in places) for member, places in given.items()}


def owned(*texts):
    return [TopicPartition(text[0], int(text[1:])) for text in texts]


def test_range_gives_runs_so_that_equal_numbers_meet():
    assert dealt("range", {"a": 3, "b": 3}, Member("m1", ["a", "b"]), Member("m2", ["a", "b"])) == {
        "m1": ["a0", "a1", "b0", "b1"],
        "m2": ["a2", "b2"],
    }


def test_round_robin_deals_across_topics():
    assert dealt("roundrobin", {"a": 3, "b": 3}, Member("m1", ["a", "b"]), Member("m2", ["a", "b"])) == {
        "m1": ["a0", "a2", "b1"],
        "m2": ["a1", "b0", "b2"],
    }


def test_static_members_keep_their_place_in_line():
    before = dealt("range", {"a": 2}, Member("x", ["a"], instance_id="1"), Member("y", ["a"], instance_id="2"))
    after = dealt("range", {"a": 2}, Member("z", ["a"], instance_id="1"), Member("y", ["a"], instance_id="2"))
    assert before["x"] == after["z"]


def test_sticky_moves_as_little_as_it_can():
    members = Member("m1", ["a"], owned("a0", "a1", "a2", "a3"), 1), Member("m2", ["a"])
    assert dealt("sticky", {"a": 4}, *members) == {"m1": ["a0", "a1"], "m2": ["a2", "a3"]}


def test_of_two_owners_the_later_generation_wins():
    members = Member("m1", ["a"], owned("a0"), 3), Member("m2", ["a"], owned("a0", "a1"), 5)
    assert dealt("sticky", {"a": 2}, *members) == {"m1": ["a1"], "m2": ["a0"]}


def test_cooperative_gives_nothing_that_another_still_holds():
    members = Member("m1", ["a"], owned("a0", "a1", "a2", "a3"), 1), Member("m2", ["a"], [], 1)
    assert dealt("cooperative-sticky", {"a": 4}, *members) == {"m1": ["a0", "a1"], "m2": []}
    members = Member("m1", ["a"], owned("a0", "a1"), 2), Member("m2", ["a"], [], 2)
    assert dealt("cooperative-sticky", {"a": 4}, *members) == {"m1": ["a0", "a1"], "m2": ["a2", "a3"]}


@pytest.mark.parametrize("name", list(assignors.NAMED))
@pytest.mark.parametrize("seed", range(30))
def test_every_partition_goes_to_exactly_one_member_that_wants_it(name, seed):
    chance = random.Random(seed)
    partitions = {topic: chance.randint(1, 7) for topic in "abcd"[: chance.randint(1, 4)]}
    members = [Member(f"m{n}", chance.sample("abcdx", chance.randint(0, 5))) for n in range(chance.randint(1, 6))]
    (assignor,) = assignors.make([name])
    given = assignor.assign(partitions, members)
    assert given.keys() == {member.member_id for member in members}
    wanted = {topic for member in members for topic in member.topics}
    expected = sorted((t, n) for t, count in partitions.items() if t in wanted for n in range(count))
    assert sorted(place for places in given.values() for place in places) == expected
    for member in members:
        assert {place.topic for place in given[member.member_id]} <= set(member.topics)


def test_an_unknown_strategy_is_refused():
    with pytest.raises(ConfigError, match="must be one of range"):
        assignors.make(["rang"])


def test_javas_class_names_are_understood():
    (assignor,) = assignors.make(["org.apache.kafka.clients.consumer.CooperativeStickyAssignor"])
    assert assignor.is_cooperative
