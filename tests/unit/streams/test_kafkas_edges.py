"""Edges where Kafka Streams 4.3.1 decides in a way that has to be known; found by running both on random topologies."""

from __future__ import annotations

from typing import Any

import pytest

from streams import (
    STRING,
    EmitStrategy,
    JoinWindows,
    Processor,
    PunctuationType,
    Record,
    SlidingWindows,
    Stores,
    StreamsBuilder,
    TaskFailed,
    TimeWindows,
    TopologyError,
    TopologyTestDriver,
    log_and_skip_on_invalid_timestamp,
)

SERDES = {"key": STRING, "value": STRING}
CONFIG = {"default_key_serde": STRING, "default_value_serde": STRING, "default_store": "rocksdb"}


def driver_of(builder: StreamsBuilder, **config: Any) -> TopologyTestDriver:
    return TopologyTestDriver(builder.build(), {**CONFIG, **config}, initial_wall_clock_ms=0)


class Nothing(Processor[str, str, str, str]):
    def process(self, record: Any) -> None:
        """Only there to hold a store."""


def store_of(supplier: Any) -> Any:
    builder = StreamsBuilder().add_state_store(Stores.window_store_builder(supplier, STRING, STRING))
    builder.stream("in").process(Nothing, supplier.name)
    return driver_of(builder).get_state_store(supplier.name)


def test_a_window_in_memory_that_keeps_duplicates_has_no_single_value() -> None:
    store = store_of(Stores.in_memory_window_store("w", 50, 10, True))
    store.put("a", "1", 0)
    store.put("a", "2", 0)
    assert store.fetch("a", 0) is None
    assert list(store.fetch_between("a", 0, 9)) == [(0, "1"), (0, "2")]


def test_a_persistent_range_of_times_that_ends_before_zero_is_empty() -> None:
    store = store_of(Stores.persistent_window_store("w", 50, 10, False))
    store.put("a", "1", 0)
    assert list(store.backward_fetch_between("a", -10, -1)) == []


def test_a_persistent_range_of_keys_ends_behind_the_last_windows_of_its_last_key() -> None:
    store = store_of(Stores.persistent_window_store("w", 1000, 10, False))
    for start in (155, 168):
        store.put("A", "x", start)
    store.put("A\0\0", "y", 155)
    found = [(window.key, window.start) for window, _ in store.fetch_range(None, "A\0\0", 151, 175)]
    assert found == [("A\0\0", 155)]  # the bytes of A's windows sort behind those of A\0\0's


@pytest.mark.parametrize(
    ("windows", "starts"),
    [
        (SlidingWindows.of_time_difference_and_grace(10, 50), [("a", 10), ("a", 30), ("b", 20)]),
        (TimeWindows.of_size_and_grace(10, 50), [("a", 10), ("b", 20), ("a", 30)]),
    ],
    ids=["sliding", "tumbling"],
)
def test_stores_for_final_results_scan_keys_by_time_except_for_sliding_windows(
    windows: Any, starts: list[tuple[str, int]]
) -> None:
    builder = StreamsBuilder()
    windowed = builder.stream("in").group_by_key(**SERDES).windowed_by(windows)
    windowed.emit_strategy(EmitStrategy.on_window_close()).count(store="w")
    with driver_of(builder) as driver:
        topic = driver.create_input_topic("in")
        shift = 10 if isinstance(windows, SlidingWindows) else 0
        for key, timestamp in (("a", 10), ("b", 20), ("a", 30)):
            topic.pipe(key, "v", timestamp=timestamp + shift)
        scanned = driver.get_state_store("w").fetch_range("a", "c", 0, 90)
        assert [(window.key, window.start) for window, _ in scanned if window.start % 10 == 0] == starts


def test_two_stores_of_one_topology_need_two_names() -> None:
    builder = StreamsBuilder()
    builder.stream("x").to_table(store="same")
    builder.stream("y").to_table(store="same")
    with pytest.raises(TopologyError, match="same"):
        builder.build()


@pytest.mark.parametrize("history_ms", [4, 5])
def test_a_stream_can_wait_for_a_table_as_long_as_the_table_remembers(history_ms: int) -> None:
    builder = StreamsBuilder()
    table = builder.table("t", store=Stores.persistent_versioned_key_value_store("vt", history_ms))
    builder.stream("s").join(table, lambda x, y: x + y, **SERDES, other_value=STRING, grace=5).to("out")
    if history_ms < 5:
        with pytest.raises(TopologyError, match="vt keeps 4 ms"):
            builder.build()
    else:
        builder.build()


class SchedulesAtWallClock(Processor[str, str, str, str]):
    def init(self, context: Any) -> None:
        super().init(context)
        context.schedule(10, PunctuationType.WALL_CLOCK_TIME, self.begin)

    def begin(self, _now: int) -> None:
        self.context.schedule(5, PunctuationType.STREAM_TIME, self.tell)

    def tell(self, now: int) -> None:
        self.context.forward(Record("told", "", now))

    def process(self, record: Any) -> None:
        """Nothing to do for records."""


def test_a_record_that_is_dropped_as_it_is_read_is_a_time_for_punctuations_too() -> None:
    builder = StreamsBuilder()
    untimed = lambda record, _time: -1 if record.value == "untimed" else record.timestamp  # noqa: E731
    builder.stream("in", timestamp_extractor=untimed).process(SchedulesAtWallClock).to("out")
    with driver_of(builder, default_timestamp_extractor=log_and_skip_on_invalid_timestamp) as driver:
        topic, told = driver.create_input_topic("in"), driver.create_output_topic("out")
        topic.pipe("k", "v", timestamp=7)
        driver.advance_wall_clock_time(10)
        assert told.is_empty
        topic.pipe("k", "untimed", timestamp=8)
        assert [(record.key, record.timestamp) for record in told.read_records()] == [("told", 7)]


def test_sliding_windows_of_no_time_fail_with_the_first_record() -> None:
    builder = StreamsBuilder()
    windows = SlidingWindows.of_time_difference_with_no_grace(0)
    builder.stream("in").group_by_key(**SERDES).windowed_by(windows).count()
    with driver_of(builder) as driver, pytest.raises(TaskFailed):
        driver.create_input_topic("in").pipe("k", "v", timestamp=5)


def test_a_shared_store_of_an_outer_join_obeys_logging_where_supplied_ones_do_not() -> None:
    builder = StreamsBuilder()
    stores = (Stores.in_memory_window_store("a", 6, 6, True), Stores.in_memory_window_store("b", 6, 6, True))
    joined = builder.stream("l").left_join(
        builder.stream("r"), lambda x, y: x, JoinWindows.of_time_difference_with_no_grace(3),
        **SERDES, other_value=STRING, store=stores, logging=False,
    )  # fmt: skip
    joined.to("out")
    with driver_of(builder, application_id="app") as driver:
        driver.create_input_topic("l").pipe("k", "v", timestamp=5)
        assert driver.produced_topic_names() == {"app-a-changelog"}
