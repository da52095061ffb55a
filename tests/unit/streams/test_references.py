"""Every join and window against a reference of a few lines, on records that hypothesis makes up.

The references say what must hold once all has been said; the golden cases check each step on the way there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import (
    LONG,
    STRING,
    JoinWindows,
    SessionWindowedSerde,
    SessionWindows,
    SlidingWindows,
    StreamsBuilder,
    TimeWindowedSerde,
    TimeWindows,
    TopologyTestDriver,
)

KEYS = st.sampled_from("ab")
TIMES = st.integers(0, 40)
LONG_AGO, FAR = 10_000, 100_000
KEY_TIMES = st.lists(st.tuples(KEYS, TIMES), max_size=25)
SIDES = st.lists(st.tuples(st.sampled_from("lr"), KEYS, TIMES), max_size=20)
ROWS = st.lists(st.tuples(st.sampled_from("lr"), KEYS, st.none() | st.sampled_from("xyz")), max_size=25)
STORES = ["in_memory", "persistent"]
quickly = settings(max_examples=40, deadline=None)


def driver_of(build: Callable[[StreamsBuilder], object], store: str) -> TopologyTestDriver:
    builder = StreamsBuilder()
    build(builder)
    defaults = {"default_key_serde": STRING, "default_value_serde": STRING, "default_store": store}
    return TopologyTestDriver(builder.build(), defaults)


def plus(left: str | None, right: str | None) -> str:
    return f"{left}+{right}"


def final_rows(driver: TopologyTestDriver, key: Any = None, value: Any = None) -> dict[Any, Any]:
    rows = driver.create_output_topic("out", key=key, value=value).read_map()
    return {key: row for key, row in rows.items() if row is not None}


def counted(windows: Any, key_serde: Any, records: list[tuple[str, int]], store: str) -> dict[Any, int]:
    def build(builder: StreamsBuilder) -> None:
        builder.stream("in").group_by_key().windowed_by(windows).count().to_stream().to("out", value=LONG)

    with driver_of(build, store) as driver:
        topic = driver.create_input_topic("in")
        for key, timestamp in records:
            topic.pipe(key, "v", timestamp=timestamp)
        rows = final_rows(driver, key_serde, LONG)
        return {(key.key, key.start, key.end): count for key, count in rows.items()}


@pytest.mark.parametrize("store", STORES)
@quickly
@given(records=KEY_TIMES, size=st.integers(1, 12), data=st.data())
def test_tumbling_and_hopping_counts(store: str, records: list[tuple[str, int]], size: int, data: Any) -> None:
    advance, grace = data.draw(st.integers(1, size)), data.draw(st.integers(0, 20))
    expected: Counter[Any] = Counter()
    for at, (key, timestamp) in enumerate(records):
        stream_time = max(time for _, time in records[: at + 1])
        for start in range(0, timestamp + 1, advance):
            if start + size > timestamp and start + size > stream_time - grace:
                expected[key, start, start + size] += 1
    windows = TimeWindows.of_size_and_grace(size, grace).advance_by(advance)
    assert counted(windows, TimeWindowedSerde(STRING, size), records, store) == expected


@pytest.mark.parametrize("store", STORES)
@quickly
@given(records=KEY_TIMES, gap=st.integers(1, 8))
def test_session_counts(store: str, records: list[tuple[str, int]], gap: int) -> None:
    expected: dict[Any, int] = {}
    for key in "ab":
        session: list[int] = []
        for timestamp in [*sorted(time for its_key, time in records if its_key == key), FAR]:
            if session and timestamp - session[-1] > gap:
                expected[key, session[0], session[-1]] = len(session)
                session = []
            session.append(timestamp)
    windows = SessionWindows.of_inactivity_gap_and_grace(gap, LONG_AGO)
    assert counted(windows, SessionWindowedSerde(STRING), records, store) == expected


@pytest.mark.parametrize("store", STORES)
@quickly
@given(records=KEY_TIMES, difference=st.integers(1, 10))
def test_sliding_counts(store: str, records: list[tuple[str, int]], difference: int) -> None:
    expected: dict[Any, int] = {}
    for key, timestamp in records:
        for start in (max(0, timestamp - difference), timestamp + 1):
            end = start + difference
            inside = sum(its_key == key and start <= time <= end for its_key, time in records)
            if inside:
                expected[key, start, end] = inside
    windows = SlidingWindows.of_time_difference_and_grace(difference, LONG_AGO)
    assert counted(windows, TimeWindowedSerde(STRING, difference), records, store) == expected


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("kind", ["join", "left_join", "outer_join"])
@quickly
@given(records=SIDES, before=st.integers(0, 8), after=st.integers(0, 8))
def test_joins_of_streams(store: str, kind: str, records: list[tuple[str, str, int]], before: int, after: int) -> None:
    """Nothing is late: the grace is longer than all of the times, and a last record closes every window."""

    def build(builder: StreamsBuilder) -> None:
        windows = JoinWindows.of_time_difference_and_grace(0, LONG_AGO).before(before).after(after)
        serdes: Any = {"key": STRING, "value": STRING, "other_value": STRING}
        getattr(builder.stream("l"), kind)(builder.stream("r"), plus, windows, **serdes).to("out")

    numbered = [(side, key, time, f"{side}{at}", at) for at, (side, key, time) in enumerate(records)]
    lefts, rights = ([r for r in numbered if r[0] == side] for side in "lr")
    pairs = [(x, y) for x in lefts for y in rights if x[1] == y[1] and -before <= y[2] - x[2] <= after]
    expected = Counter((x[1], plus(x[3], y[3]), max(x[2], y[2])) for x, y in pairs)

    def is_given_up(record: Any, others: list[Any], reach: int) -> bool:
        """Nobody ever came; or nobody had when it arrived, and stream time had passed its window: Kafka gives up
        on such a record at once, grace or not, and joins it later all the same."""
        at = record[4]
        had_passed = record[2] + reach < max(time for _, _, time in records[: at + 1])
        return not any(not had_passed or other[4] < at for other in others)

    if kind != "join":
        alone = [x for x in lefts if is_given_up(x, [y for other, y in pairs if other is x], after)]
        expected.update((x[1], plus(x[3], None), x[2]) for x in alone)
    if kind == "outer_join":
        alone = [y for y in rights if is_given_up(y, [x for x, other in pairs if other is y], before)]
        expected.update((y[1], plus(None, y[3]), y[2]) for y in alone)
    with driver_of(build, store) as driver:
        topics = {side: driver.create_input_topic(side) for side in "lr"}
        for side, key, time, value, _ in numbered:
            topics[side].pipe(key, value, timestamp=time)
        topics["l"].pipe("last", "l", timestamp=FAR)
        topics["l"].pipe("last", "l", timestamp=2 * FAR)
        got = Counter((r.key, r.value, r.timestamp) for r in driver.create_output_topic("out").read_records())
    assert Counter({row: n for row, n in got.items() if row[0] != "last"}) == expected


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("kind", ["join", "left_join", "outer_join"])
@quickly
@given(changes=ROWS, is_stored=st.booleans())
def test_joins_of_tables(store: str, kind: str, changes: list[tuple[str, str, str | None]], is_stored: bool) -> None:
    def build(builder: StreamsBuilder) -> None:
        options: Any = {"store": "joined", "key": STRING, "value": STRING} if is_stored else {}
        joined = getattr(builder.table("l"), kind)(builder.table("r"), plus, **options)
        joined.to_stream().to("out")

    rows: dict[str, dict[str, str | None]] = {"l": {}, "r": {}}
    with driver_of(build, store) as driver:
        topics = {side: driver.create_input_topic(side) for side in "lr"}
        for at, (side, key, value) in enumerate(changes):
            rows[side][key] = value
            topics[side].pipe(key, value, timestamp=at)
        expected = {}
        for key in "ab":
            left, right = rows["l"].get(key), rows["r"].get(key)
            if (left or kind == "outer_join") and (right or kind != "join") and (left or right):
                expected[key] = plus(left, right)
        assert final_rows(driver) == expected


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("kind", ["join", "left_join"])
@quickly
@given(changes=st.lists(st.tuples(st.sampled_from("lr"), KEYS, st.none() | KEYS), max_size=25))
def test_joins_on_foreign_keys(store: str, kind: str, changes: list[tuple[str, str, str | None]]) -> None:
    def build(builder: StreamsBuilder) -> None:
        joined = getattr(builder.table("l"), kind)(builder.table("r"), plus, foreign_key=lambda value: value)
        joined.to_stream().to("out")

    rows: dict[str, dict[str, str | None]] = {"l": {}, "r": {}}
    with driver_of(build, store) as driver:
        topics = {side: driver.create_input_topic(side) for side in "lr"}
        for at, (side, key, value) in enumerate(changes):
            rows[side][key] = value
            topics[side].pipe(key, value, timestamp=at)
        expected = {}
        for key, left in rows["l"].items():
            right = None if left is None else rows["r"].get(left)
            if left is not None and (right is not None or kind == "left_join"):
                expected[key] = plus(left, right)
        assert final_rows(driver) == expected


@pytest.mark.parametrize("is_global", [False, True])
@pytest.mark.parametrize("kind", ["join", "left_join"])
@quickly
@given(records=ROWS)
def test_joins_of_a_stream_with_a_table(is_global: bool, kind: str, records: list[tuple[str, str, str | None]]) -> None:
    def build(builder: StreamsBuilder) -> None:
        if is_global:
            options: Any = {"key_selector": lambda key, value: key}
            getattr(builder.stream("l"), kind)(builder.global_table("r"), plus, **options).to("out")
        else:
            getattr(builder.stream("l"), kind)(builder.table("r"), plus).to("out")

    table: dict[str, str | None] = {}
    expected = []
    with driver_of(build, "in_memory") as driver:
        topics = {side: driver.create_input_topic(side) for side in "lr"}
        for side, key, value in records:
            topics[side].pipe(key, value, timestamp=1)
            if side == "r":
                table[key] = value
            elif value is not None and (kind == "left_join" or table.get(key) is not None):
                expected.append((key, plus(value, table.get(key))))
        assert driver.create_output_topic("out").read_key_values() == expected
