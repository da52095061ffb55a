"""Which tasks there are, who gets them, and which topics the app makes for itself."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.assignors import Member
from model.ids import TopicPartition
from streams import STRING, JoinWindows, StreamsBuilder, Topology
from streams.errors import StreamsError
from streams.live.app import Streams
from streams.live.assignor import TaskAssignor
from streams.live.members import Said, encode_said
from streams.live.topics import Subtopology, count_partitions, subtopologies


def joined_and_counted() -> Topology:
    builder = StreamsBuilder()
    both = {"key": STRING, "value": STRING}
    left, right = builder.stream("l", **both), builder.stream("r", **both)
    windows = JoinWindows.of_time_difference_with_no_grace(10)
    stream = left.join(right, lambda x, y: x + y, windows, other_value=STRING, **both)
    stream.group_by(lambda v: v, **both).count(store="counts")
    return builder.build()


def test_internal_topics_have_as_many_partitions_as_what_flows_into_them() -> None:
    topology = joined_and_counted()
    subs = subtopologies(topology, "app")
    count_partitions(topology, subs, {"l": 4, "r": 4}, "app")
    assert [(sub.sources, sub.partitions) for sub in subs] == [
        (["l", "r"], 4),
        (["app-counts-repartition"], 4),
    ]
    assert subs[1].changelogs == {"counts": "app-counts-changelog"}


def test_a_missing_source_topic_is_an_error() -> None:
    topology = joined_and_counted()
    with pytest.raises(StreamsError, match="source topic r does not exist"):
        count_partitions(topology, subtopologies(topology, "app"), {"l": 4}, "app")


def members_with(owned: list[list[TopicPartition]]) -> list[Member]:
    return [Member(f"m{number}", ["l", "r", "x"], places) for number, places in enumerate(owned)]


SUBS = [Subtopology(0, [], ["l", "r"], partitions=3), Subtopology(1, [], ["x"], partitions=5)]
PARTITIONS = {"l": 3, "r": 3, "x": 5}


@given(count=st.integers(1, 9))
def test_every_task_goes_to_one_member_whole_and_evenly(count: int) -> None:
    assignor = TaskAssignor(SUBS)
    dealt = assignor.assign(PARTITIONS, members_with([[] for _ in range(count)]))
    places = [place for its in dealt.values() for place in its]
    assert sorted(places) == sorted(TopicPartition(t, p) for t, n in PARTITIONS.items() for p in range(n))
    tasks = [{assignor.task_of(place) for place in its} for its in dealt.values()]
    assert sum(map(len, tasks)) == 8
    assert max(map(len, tasks)) - min(map(len, tasks)) <= 1


def test_tasks_stay_where_they_are_when_a_member_comes() -> None:
    assignor = TaskAssignor(SUBS)
    before = assignor.assign(PARTITIONS, members_with([[], []]))
    after = assignor.assign(PARTITIONS, members_with([before["m0"], before["m1"], []]))
    for name in ("m0", "m1"):
        assert set(after[name]) <= set(before[name])
    assert {assignor.task_of(place) for place in after["m2"]}


def told(name: str, held: dict[str, int]) -> bytes:
    return encode_said(Said(name, held=held))


def test_a_task_goes_to_whoever_has_most_of_its_state() -> None:
    subs = [Subtopology(0, [], ["l"], changelogs={"s": "c"}, partitions=2)]
    assignor = TaskAssignor(subs)
    members = [
        Member("m0", ["l"], [], user_data=told("a", {"0_0": 5})),
        Member("m1", ["l"], [], user_data=told("b", {"0_0": 90, "0_1": 7})),
    ]
    assert assignor.assign({"l": 2}, members) == {"m0": [TopicPartition("l", 1)], "m1": [TopicPartition("l", 0)]}


@given(count=st.integers(1, 5), standbys=st.integers(0, 3))
def test_standbys_are_elsewhere_than_their_task_and_than_each_other(count: int, standbys: int) -> None:
    subs = [Subtopology(0, [], ["l"], changelogs={"s": "c"}, partitions=4), Subtopology(1, [], ["x"], partitions=2)]
    assignor = TaskAssignor(subs, standbys)
    members = [Member(f"m{n}", ["l", "x"], [], user_data=told(f"i{n}", {})) for n in range(count)]
    assignor.assign({"l": 4, "x": 2}, members)
    assignor.on_assignment(assignor.assignment_data())
    told_of = assignor.dealt.members
    for partition in range(4):
        standing_by = [member.member_id for member in told_of if (0, partition) in member.standby]
        owner = next(member.member_id for member in told_of if (0, partition) in member.active)
        assert len(standing_by) == min(standbys, count - 1)
        assert owner not in standing_by
    assert not any(sub == 1 for member in told_of for sub, _ in member.standby)
    loads = [len(member.standby) for member in told_of]
    assert max(loads) - min(loads) <= standbys + 1


def test_a_topic_that_a_pattern_matches_belongs_to_its_subtopology() -> None:
    assignor = TaskAssignor([Subtopology(3, [], [], [re.compile("log-.*")], partitions=1)])
    assert assignor.assign({"log-a": 1, "other": 1}, members_with([[]])) == {"m0": [TopicPartition("log-a", 0)]}
    assert assignor.task_of(TopicPartition("log-b", 2)) == (3, 2)


def test_a_guarantee_nobody_gives_is_an_error() -> None:
    with pytest.raises(StreamsError, match="exactly_once_v2"):
        Streams(joined_and_counted(), {"application_id": "a", "processing_guarantee": "at_most_once"})


def a_join(*, other: str = "r", repartitions: bool = False, fixed: int | None = None) -> Topology:
    builder = StreamsBuilder()
    both = {"key": STRING, "value": STRING}
    left = builder.stream("l", **both)
    if repartitions or fixed is not None:
        left = left.select_key(lambda k, v: v).repartition(name="moved", partitions=fixed, **both)
    left.join(builder.table(other, **both), lambda x, y: x + y, **both).to("out", **both)
    return builder.build()


def test_joined_topics_have_equally_many_partitions() -> None:
    topology = a_join()
    with pytest.raises(StreamsError, match="l has 4, r has 2"):
        count_partitions(topology, subtopologies(topology, "app"), {"l": 4, "r": 2}, "app")


def test_a_repartition_topic_has_as_many_as_what_it_is_joined_with() -> None:
    topology = a_join(repartitions=True)
    for mine, other in ((4, 2), (2, 4)):
        subs = subtopologies(topology, "app")
        count_partitions(topology, subs, {"l": mine, "r": other}, "app")
        assert [sub.partitions for sub in subs] == [mine, other]
        assert subs[1].counts == {"app-moved-repartition": other}


def test_a_number_of_partitions_that_was_asked_for_must_fit() -> None:
    topology = a_join(fixed=3)
    count_partitions(topology, subtopologies(topology, "app"), {"l": 4, "r": 3}, "app")
    with pytest.raises(StreamsError, match="app-moved-repartition has 3, r has 2"):
        count_partitions(topology, subtopologies(topology, "app"), {"l": 4, "r": 2}, "app")


def test_the_topics_of_a_foreign_key_join_fit_the_table_they_meet() -> None:
    builder = StreamsBuilder()
    both = {"key": STRING, "value": STRING}
    orders, customers = builder.table("orders", **both), builder.table("customers", **both)
    joined = orders.join(customers, lambda x, y: f"{x}{y}", foreign_key=lambda v: v, **both)
    joined.to_stream().to("out", **both)
    topology = builder.build()
    subs = subtopologies(topology, "app")
    count_partitions(topology, subs, {"orders": 4, "customers": 2}, "app")
    counts = {topic: count for sub in subs for topic, count in sub.counts.items()}
    assert {"REGISTRATION" in topic: count for topic, count in counts.items()} == {True: 2, False: 4}
