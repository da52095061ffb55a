"""Replicas are spread evenly, and no partition gets a broker twice."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from machines.placement import spread


def test_leaders_take_turns_and_followers_rotate():
    assert spread([1, 2, 3], 6, 2, 0) == [(1, 2), (2, 3), (3, 1), (1, 3), (2, 1), (3, 2)]


def test_small_topics_go_on_where_the_last_one_ended():
    leaders = [spread([1, 2, 3], 1, 3, turn)[0][0] for turn in range(6)]
    assert leaders == [1, 2, 3, 1, 2, 3]


def test_one_broker_takes_all():
    assert spread([7], 2, 1, 5) == [(7,), (7,)]


@given(st.integers(1, 9), st.integers(1, 40), st.integers(0, 1000), st.data())
def test_every_placement_is_valid_and_even(brokers, partitions, turn, data):
    factor = data.draw(st.integers(1, brokers))
    placed = spread(range(1, brokers + 1), partitions, factor, turn)
    assert len(placed) == partitions
    assert all(len(replicas) == len(set(replicas)) == factor for replicas in placed)
    leaders = Counter(replicas[0] for replicas in placed)
    assert max(leaders.values()) - min(leaders[broker] for broker in range(1, brokers + 1)) <= 1


def test_the_fenced_come_last_and_only_where_the_others_are_too_few():
    assert spread([1, 2], 2, 2, 0, [3, 4]) == [(1, 2), (2, 1)]
    assert spread([1, 2], 3, 3, 0, [3, 4]) == [(1, 2, 3), (2, 1, 4), (1, 2, 3)]
    assert spread([2], 1, 3, 1, [1, 3]) == [(2, 3, 1)]
