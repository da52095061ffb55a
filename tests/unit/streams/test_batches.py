"""Records piped many at a time give the same topics, changelogs and stores as one after the other."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest
from streams_cases import CASES, EXTRA_CASES
from streams_found_cases import FOUND_CASES
from streams_runner import driver_for, load, serde_of

from streams import LONG, STRING, StreamsBuilder, StreamsConfig, TaskFailed, TopologyTestDriver
from streams.records import Headers

ALL_CASES = {**CASES, **EXTRA_CASES, **FOUND_CASES}
GOLDEN = {**load("streams_golden.json"), **load("streams_extra_golden.json")}
WITHOUT_ERRORS = sorted(name for name, case in GOLDEN.items() if not any("exception" in s for s in case["steps"]))


def outcome(name: str, store_kind: str, *, many: bool) -> tuple[Any, ...]:
    builder = StreamsBuilder()
    ALL_CASES[name](builder)
    overrides = GOLDEN[name]["config_overrides"]
    with driver_for(builder.build(StreamsConfig.of(overrides)), store_kind, **overrides) as driver:
        for place, steps in groupby(GOLDEN[name]["steps"], lambda s: (s["op"], s.get("topic"), type(s.get("value")))):
            if place[0] == "advance_wall_clock":
                for step in steps:
                    driver.advance_wall_clock_time(step["ms"])
            elif place[0] == "pipe":
                topic = driver.create_input_topic(place[1], key=STRING, value=serde_of("L" if place[2] is int else "S"))
                records = [(s["key"], s["value"], s["timestamp"], headers_of(s)) for s in steps]
                if many:
                    keys, values, timestamps, headers = (list(column) for column in zip(*records, strict=True))
                    topic.pipe_batch(keys, values, timestamps=timestamps, headers=headers)
                else:
                    for key, value, timestamp, its_headers in records:
                        topic.pipe(key, value, timestamp=timestamp, headers=its_headers)
        topics = {topic: list(driver.output(topic)) for topic in driver.produced_topic_names()}
        return {topic: records for topic, records in topics.items() if records}, driver.dropped_records


def headers_of(step: Any) -> Headers:
    return tuple((name, bytes.fromhex(value)) for name, value in step.get("headers", []))


@pytest.mark.parametrize("store_kind", ["in_memory", "persistent"])
@pytest.mark.parametrize("name", WITHOUT_ERRORS)
def test_many_at_once_is_the_same_as_one_by_one(name: str, store_kind: str) -> None:
    assert outcome(name, store_kind, many=True) == outcome(name, store_kind, many=False)


def word_count(builder: StreamsBuilder) -> None:
    words = builder.stream("in", key=STRING, value=STRING).flat_map_values(lambda line: line.split())
    counts = words.group_by(lambda word: word, key=STRING, value=STRING).count(store="counts")
    counts.to_stream().to("out", value=LONG)


def test_a_word_count_takes_batches() -> None:
    builder = StreamsBuilder()
    word_count(builder)
    with TopologyTestDriver(builder.build()) as driver:
        assert set(driver._batch_sources) == {"in", "test-driver-app-counts-repartition"}
        lines = driver.create_input_topic("in", key=STRING, value=STRING, start_timestamp=0, auto_advance=1)
        lines.pipe_values(["a a b", "c", "", "b a"] * 3000)
        counts = driver.create_output_topic("out", key=STRING, value=LONG)
        assert counts.read_map() == {"a": 9000, "b": 6000, "c": 3000}
        assert dict(driver.get_state_store("counts").all())["a"] == (9000, 11_999)
        lines.pipe(None, "a")
        assert counts.read_key_values() == [("a", 9001)]


def test_the_record_that_fails_in_a_batch_is_met_where_it_is() -> None:
    builder = StreamsBuilder()
    stream = builder.stream("in", key=STRING, value=STRING).map_values(lambda v: 10 // int(v))
    stream.map_values(str).to("out", value=STRING)
    with TopologyTestDriver(builder.build()) as driver:
        numbers = driver.create_input_topic("in", key=STRING, value=STRING)
        with pytest.raises(TaskFailed, match="in-0@2"):
            numbers.pipe_values(["1", "2", "0", "5"])
        assert driver.create_output_topic("out", key=STRING, value=STRING).read_values() == ["10", "5"]
