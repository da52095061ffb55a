"""Assignors: everything is given to someone who wants it, evenly, and nothing moves without need."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from machines.assignors import ASSIGNORS, Question, assign_ranges, assign_uniformly

T, U = b"T" * 16, b"U" * 16
TOPICS = [bytes([n]) * 16 for n in range(4)]


def question(wants, partitions, has=None, instances=None):
    return Question(
        {member: frozenset(topics) for member, topics in wants.items()}, has or {}, instances or {}, partitions
    )


def sizes(assignment):
    return sorted(len(partitions) for partitions in assignment.values())


@st.composite
def questions(draw, alike=False):
    partitions = draw(st.dictionaries(st.sampled_from(TOPICS), st.integers(0, 7), min_size=1))
    members = [f"m{n}" for n in range(draw(st.integers(1, 5)))]
    some = st.frozensets(st.sampled_from(sorted(partitions)))
    shared = draw(some)
    wants = {member: shared if alike else draw(some) for member in members}
    wanted = frozenset().union(*wants.values())
    return question(wants, {topic: count for topic, count in partitions.items() if topic in wanted})


@given(questions(), st.sampled_from(sorted(ASSIGNORS)))
def test_every_partition_goes_to_one_member_that_wants_it(asked, name):
    found = ASSIGNORS[name](asked)
    given_out = [partition for partitions in found.values() for partition in partitions]
    assert len(given_out) == len(set(given_out)) == sum(asked.partitions.values())
    assert all(topic in asked.wants[member] for member, partitions in found.items() for topic, _ in partitions)


@given(questions())
def test_uniform_asked_again_moves_nothing(asked):
    found = assign_uniformly(asked)
    assert assign_uniformly(question(asked.wants, asked.partitions, found)) == found


@given(questions(alike=True))
def test_uniform_is_even_where_all_want_the_same(asked):
    counts = sizes(assign_uniformly(asked))
    assert counts[-1] - counts[0] <= 1


@given(questions(alike=True))
def test_uniform_takes_only_what_a_newcomer_needs(asked):
    before = assign_uniformly(asked)
    wants = {**asked.wants, "new": next(iter(asked.wants.values()))}
    after = assign_uniformly(question(wants, asked.partitions, before))
    assert all(after[member] <= before[member] for member in before)
    assert sizes(after)[-1] - sizes(after)[0] <= 1


@given(questions(alike=True))
def test_uniform_leaves_the_others_what_they_have_when_one_goes(asked):
    before = assign_uniformly(asked)
    wants = dict(list(asked.wants.items())[1:])
    after = assign_uniformly(question(wants, asked.partitions, before))
    assert all(before[member] <= after[member] for member in after)


def test_uniform_evens_out_as_far_as_subscriptions_allow():
    found = assign_uniformly(question({"a": [T, U], "b": [T], "c": [U]}, {T: 4, U: 1}))
    assert (len(found["a"]), len(found["b"]), len(found["c"])) == (2, 2, 1)


def test_range_splits_topics_of_one_size_alike():
    found = assign_ranges(question({"a": [T, U], "b": [T, U]}, {T: 3, U: 3}))
    assert found["a"] == {(T, 0), (T, 1), (U, 0), (U, 1)}
    assert found["b"] == {(T, 2), (U, 2)}


def test_a_static_member_keeps_its_range_under_another_id():
    instances = {"z": "one", "b": None}
    before = assign_ranges(question({"z": [T], "b": [T]}, {T: 4}, instances=instances))
    after = assign_ranges(question({"y": [T], "b": [T]}, {T: 4}, instances={"y": "one", "b": None}))
    assert before["z"] == after["y"] == {(T, 0), (T, 1)}
