"""Which tasks there are, who gets them, and which topics the app makes for itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.assignors import Member
from model.ids import TopicPartition
from streams import STRING, JoinWindows, StreamsBuilder, Topology
from streams.errors import StreamsError
from streams.live.app import Streams
from streams.live.assignor import TaskAssignor
from streams.live.restore import Checkpoint
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


def test_a_checkpoint_is_gone_once_taken_unless_it_may_be_kept(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "0_1")
    checkpoint.write({"app-counts-changelog": 12})
    assert checkpoint.take(keep=True) == {"app-counts-changelog": 12}
    assert checkpoint.take(keep=False) == {"app-counts-changelog": 12}
    assert checkpoint.take(keep=False) == {}


def test_a_guarantee_nobody_gives_is_an_error() -> None:
    with pytest.raises(StreamsError, match="exactly_once_v2"):
        Streams(joined_and_counted(), {"application_id": "a", "processing_guarantee": "at_most_once"})
