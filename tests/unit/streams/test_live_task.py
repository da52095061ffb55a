"""When a task with several partitions goes on although some have no records, and what its commits say."""

from __future__ import annotations

from typing import Any

import pytest

from clients.committed import OffsetAndMetadata
from model.ids import TopicPartition
from streams import STRING, StreamsBuilder, StreamsConfig
from streams.driver_collector import ListCollector
from streams.engine.task import Task
from streams.live.checkpoint import Checkpoint
from streams.live.live_task import LiveTask, read_time, write_time
from streams.live.topics import subtopologies

LEFT, RIGHT = TopicPartition("l", 0), TopicPartition("r", 0)


def a_task() -> tuple[LiveTask, list[str]]:
    """One that merges two topics, with what it has forwarded."""
    seen: list[str] = []
    builder = StreamsBuilder()
    left, right = builder.stream("l", key=STRING, value=STRING), builder.stream("r", key=STRING, value=STRING)
    left.merge(right).for_each(lambda _key, value: seen.append(value))
    topology = builder.build()
    (sub,) = subtopologies(topology, "app")
    collector: Any = ListCollector()
    collector.last = {}
    task = Task(topology, sub.node_names, StreamsConfig(), collector, wall_clock_ms=lambda: 0, is_restored_first=True)
    live = LiveTask((0, 0), sub, task, collector, Checkpoint(None), [], {})
    live.begin([LEFT, RIGHT], {})
    live.run(holds=False)
    return live, seen


def give(live: LiveTask, place: TopicPartition, *records: tuple[int, int]) -> None:
    """(offset, timestamp) each; the value names both."""
    rows = [(offset, at, None, b"%s%d" % (place.topic.encode(), at), ()) for offset, at in records]
    live.task.add_records(place.topic, place.partition, rows)


def test_records_of_both_are_taken_in_order_of_their_time() -> None:
    live, seen = a_task()
    give(live, LEFT, (0, 10), (1, 30))
    give(live, RIGHT, (0, 20), (1, 40))
    assert live.process(10, lambda: False) == 3
    assert seen == ["l10", "r20", "l30"]


def test_it_waits_for_what_the_brokers_have_and_then_for_nothing_more() -> None:
    live, _ = a_task()
    give(live, LEFT, (0, 10))
    assert not live.may_go_on(0, lambda place: None, 0.0)  # not fetched yet: unknown
    assert not live.may_go_on(0, lambda place: 3, 0.0)
    assert live.may_go_on(0, lambda place: 0, 0.0)
    assert live.may_go_on(-1, lambda place: 3, 0.0)


def test_idle_time_begins_when_all_is_fetched_and_again_after_records_of_all() -> None:
    live, _ = a_task()
    give(live, LEFT, (0, 10))
    assert not live.may_go_on(500, lambda place: 0, now=1.0)
    assert not live.may_go_on(500, lambda place: 0, now=1.4)
    assert not live.may_go_on(500, lambda place: 2, now=1.45)  # more has come: it is fetched first
    assert not live.may_go_on(500, lambda place: 0, now=1.6)
    assert live.may_go_on(500, lambda place: 0, now=2.1)
    give(live, RIGHT, (0, 20))
    live.process(1, lambda: False)
    assert not live.may_go_on(500, lambda place: 0, now=2.2)


def test_a_commit_says_the_first_record_that_is_not_processed_or_else_the_position() -> None:
    live, _ = a_task()
    give(live, LEFT, (7, 10), (9, 50))
    give(live, RIGHT, (4, 20))
    live.process(10, lambda: False)  # l10 and r20: then r has none, and nobody lets it go on
    positions = {LEFT: OffsetAndMetadata(12), RIGHT: OffsetAndMetadata(6)}
    offsets = live.to_commit(positions)
    assert {place: said.offset for place, said in offsets.items()} == {LEFT: 9, RIGHT: 6}
    assert {read_time(said.metadata) for said in offsets.values()} == {20}
    live.was_committed(offsets)
    assert live.to_commit(positions) == {}


def test_stream_time_survives_a_restart_through_the_commits_metadata() -> None:
    live, _ = a_task()
    live.begin([LEFT, RIGHT], {LEFT: OffsetAndMetadata(3, write_time(77)), RIGHT: None})
    assert live.task.context.stream_time == 77
    assert live.committed == {LEFT: 3}


@pytest.mark.parametrize("metadata", ["", "x", "AAAA", "somebody else's word"])
def test_metadata_of_others_tells_no_time(metadata: str) -> None:
    assert read_time(metadata) == -1
