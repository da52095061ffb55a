"""What becomes of records that can't be read, processed or written; late ones; and serdes that can't be right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from streams import LONG, STRING, StreamsBuilder, TaskFailed, TimeWindows, TopologyError, TopologyTestDriver
from streams.config import log_and_continue

Build = Callable[[StreamsBuilder], object]


def driver_of(build: Build, **settings: Any) -> TopologyTestDriver:
    builder = StreamsBuilder()
    build(builder)
    return TopologyTestDriver(builder.build(), {"default_key_serde": STRING, "default_value_serde": STRING, **settings})


def letters(driver: TopologyTestDriver) -> list[tuple[bytes | None, bytes | None, dict[str, str]]]:
    found = []
    for record in driver.output("dead"):
        reasons = {name.rpartition(".")[2]: (value or b"").decode() for name, value in record.headers}
        assert "Traceback" in reasons.pop("stacktrace") or reasons
        found.append((record.key, record.value, reasons))
    return found


def test_what_cannot_be_read_goes_to_the_dead_letters_with_the_reason() -> None:
    def build(builder: StreamsBuilder) -> None:
        builder.stream("in", key=STRING, value=LONG).to("out")

    settings = {"deserialization_exception_handler": log_and_continue, "dead_letter_topic": "dead"}
    with driver_of(build, **settings) as driver:
        numbers = driver.create_input_topic("in", key=STRING, value=LONG)
        numbers.pipe("a", 1, timestamp=1)
        driver.create_input_topic("in").pipe("b", "abc", timestamp=2)
        numbers.pipe("c", 3, timestamp=3)
        assert driver.create_output_topic("out", value=LONG).read_key_values() == [("a", 1), ("c", 3)]
        [(key, value, reasons)] = letters(driver)
        assert (key, value) == (b"b", b"abc")
        assert (reasons["topic"], reasons["partition"], reasons["offset"]) == ("in", "0", "1")
        assert reasons["exception"].endswith("SerdeError")
        assert driver.dropped_records == 1


def test_the_dead_letter_is_sent_before_the_task_stops() -> None:
    def build(builder: StreamsBuilder) -> None:
        builder.stream("in", key=STRING, value=LONG).to("out")

    with driver_of(build, dead_letter_topic="dead") as driver:
        with pytest.raises(TaskFailed, match="in-0@0"):
            driver.create_input_topic("in").pipe("b", "abc", timestamp=2)
        driver.advance_wall_clock_time(0)
        assert [value for _, value, _ in letters(driver)] == [b"abc"]


def test_what_cannot_be_processed_goes_there_as_it_was_read() -> None:
    def build(builder: StreamsBuilder) -> None:
        builder.stream("in").map_values(lambda v: v.upper()).map_values(lambda v: 10 // int(v)).to("out", value=LONG)

    settings = {"processing_exception_handler": log_and_continue, "dead_letter_topic": "dead"}
    with driver_of(build, **settings) as driver:
        driver.create_input_topic("in").pipe_values(["5", "x", "0", "1"])
        assert driver.create_output_topic("out", value=LONG).read_values() == [2, 10]
        assert [(value, reasons["exception"]) for _, value, reasons in letters(driver)] == [
            (b"x", "builtins.ValueError"),
            (b"0", "builtins.ZeroDivisionError"),
        ]


def test_what_cannot_be_written_goes_there_too() -> None:
    def build(builder: StreamsBuilder) -> None:
        builder.stream("in").map_values(lambda v: int(v) if v.isdigit() else v).to("out", value=LONG)

    settings = {"production_exception_handler": log_and_continue, "dead_letter_topic": "dead"}
    with driver_of(build, **settings) as driver:
        driver.create_input_topic("in").pipe_values(["1", "one", "2"])
        assert driver.create_output_topic("out", value=LONG).read_values() == [1, 2]
        assert [(value, reasons["offset"]) for _, value, reasons in letters(driver)] == [(b"one", "1")]


def test_a_value_that_cannot_be_written_stops_the_task_by_default() -> None:
    with driver_of(lambda builder: builder.stream("in").map_values(len).to("out")) as driver:
        with pytest.raises(TaskFailed, match="KSTREAM-SINK"):
            driver.create_input_topic("in").pipe("k", "v")


def test_late_records_have_a_place_to_go() -> None:
    def build(builder: StreamsBuilder) -> None:
        windows = TimeWindows.of_size_and_grace(10, 5)
        builder.stream("in").group_by_key().windowed_by(windows).count(late="late").to_stream().to("out", value=LONG)

    with driver_of(build) as driver:
        records = driver.create_input_topic("in")
        for timestamp in (1, 30, 2, 21):
            records.pipe("k", f"v{timestamp}", timestamp=timestamp, headers=(("h", b"1"),))
        [late] = driver.create_output_topic("late").read_records()
        assert (late.key, late.value, late.timestamp, late.headers) == ("k", "v2", 2, (("h", b"1"),))
        assert driver.dropped_records == 1


def sink_of_counts(builder: StreamsBuilder) -> None:
    builder.stream("in", key=STRING, value=STRING).group_by_key().count().to_stream().to("out", value=STRING)


def grouped_as_longs(builder: StreamsBuilder) -> None:
    builder.stream("in", key=STRING, value=STRING).filter(bool).group_by_key(value=LONG).count()


def table_with_other_keys(builder: StreamsBuilder) -> None:
    builder.stream("in", key=STRING, value=STRING).to_table(key=LONG)


def topic_read_otherwise(builder: StreamsBuilder) -> None:
    builder.stream("in", key=STRING, value=STRING).to("between")
    builder.stream("between", key=STRING, value=LONG).for_each(print)


@pytest.mark.parametrize("build", [sink_of_counts, grouped_as_longs, table_with_other_keys, topic_read_otherwise])
def test_serdes_that_cannot_both_be_right_are_an_error_at_build(build: Build) -> None:
    builder = StreamsBuilder()
    build(builder)
    with pytest.raises(TopologyError, match=r"String|Long"):
        builder.build()


def test_a_changed_value_forgets_its_serde() -> None:
    builder = StreamsBuilder()
    builder.stream("in", key=STRING, value=STRING).map_values(len).to("out", value=LONG)
    builder.build()
