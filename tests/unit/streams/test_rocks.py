"""Stores in RocksDB: the same results as in memory, and what was committed is there when they open again."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streams_cases import CASES, EXTRA_CASES
from streams_found_cases import FOUND_CASES
from streams_runner import load, play

from streams import LONG, STRING, SessionWindows, Stores, StreamsBuilder, TimeWindows, TopologyTestDriver
from streams.errors import StateStoreError
from streams.stores.byte_map import MemoryByteMap

pytest.importorskip("rocksdict")

from streams.stores.rocks_byte_map import RocksByteMap, rocks_byte_maps

SOME = ["session_count_merge", "sliding_count", "stream_stream_left", "wordcount_lines", "kv_store_api"]
SOME_EXTRA = ["fk_left_versioned", "emit_closed_hopping_grace", "session_grace_emit_closed", "streams_outer_grace"]
GOLDEN = {**load("streams_golden.json"), **load("streams_extra_golden.json")}


@pytest.mark.parametrize("name", SOME + SOME_EXTRA)
def test_golden_in_rocksdb(name: str, tmp_path: Path) -> None:
    play(GOLDEN[name], {**CASES, **EXTRA_CASES, **FOUND_CASES}[name], "rocksdb", byte_maps=rocks_byte_maps(tmp_path))


KEYS = st.binary(max_size=3)
BOUNDS = st.none() | KEYS
WRITES = st.tuples(st.just("put"), KEYS, st.binary(max_size=2)) | st.tuples(st.just("delete"), KEYS)
READS = st.tuples(st.just("scan"), BOUNDS, BOUNDS, st.booleans()) | st.tuples(st.just("delete_range"), KEYS, KEYS)


@settings(max_examples=15, deadline=None)
@given(steps=st.lists(WRITES | READS, max_size=30))
def test_a_rocks_byte_map_is_an_ordered_map(steps: list[tuple[object, ...]], tmp_path_factory: object) -> None:
    directory: Path = tmp_path_factory.mktemp("rocks")  # type: ignore[attr-defined]
    rocks, memory = RocksByteMap(directory), MemoryByteMap()
    for name, *arguments in steps:
        if name == "scan":
            low, high, reverse = arguments
            if low is not None and high is not None and low >= high:  # type: ignore[operator]
                continue
            found = [list(m.scan(low, high, reverse=reverse)) for m in (rocks, memory)]  # type: ignore[arg-type, attr-defined]
            assert found[0] == found[1]
        elif name != "delete_range" or arguments[0] < arguments[1]:  # type: ignore[operator]
            for entries in (rocks, memory):
                getattr(entries, str(name))(*arguments)
    assert list(rocks.scan(None, None)) == list(memory.scan(None, None))
    rocks.close()


def test_a_scan_sees_the_map_as_it_was(tmp_path: Path) -> None:
    rocks = RocksByteMap(tmp_path)
    for letter in b"abc":
        rocks.put(bytes([letter]), b"1")
    entries = rocks.scan(None, None)
    rocks.delete(b"b")
    rocks.put(b"d", b"1")
    rocks.flush()
    assert [key for key, _ in entries] == [b"a", b"b", b"c"]
    rocks.close()


def test_a_store_that_another_holds_says_so(tmp_path: Path) -> None:
    rocks = RocksByteMap(tmp_path)
    with pytest.raises(StateStoreError, match="can't open"):
        RocksByteMap(tmp_path)
    rocks.close()


def test_stores_open_again_with_what_they_held(tmp_path: Path) -> None:
    def driver() -> TopologyTestDriver:
        builder = StreamsBuilder()
        grouped = builder.stream("in", key=STRING, value=STRING).group_by_key(key=STRING, value=STRING)
        grouped.count(store="counts").to_stream().to("out", value=LONG)
        grouped.windowed_by(TimeWindows.of_size_with_no_grace(10)).count(store="windows", retention=200_000)
        grouped.windowed_by(SessionWindows.of_inactivity_gap_with_no_grace(10)).count(
            store="sessions", retention=200_000
        )
        history = Stores.persistent_versioned_key_value_store("history", 100)
        builder.table("t", key=STRING, value=STRING, store=history)
        return TopologyTestDriver(builder.build(), {"default_store": "rocksdb"}, byte_maps=rocks_byte_maps(tmp_path))

    with driver() as first:
        records = first.create_input_topic("in", key=STRING, value=STRING)
        records.pipe("a", "x", timestamp=1)
        records.pipe("a", "x", timestamp=5)
        records.pipe("b", "x", timestamp=195_000)
        table = first.create_input_topic("t", key=STRING, value=STRING)
        table.pipe("k", "old", timestamp=10)
        table.pipe("k", "new", timestamp=20)
        table.pipe("gone", None, timestamp=20)
    with driver() as second:
        assert second.get_state_store("counts").get("a") == (2, 5)
        assert [key.start for key, _ in second.get_state_store("windows").all()] == [0, 195_000]
        assert [key.end for key, _ in second.get_state_store("sessions").fetch("a")] == [5]
        assert second.get_state_store("history").get("k").value == "new"
        assert second.get_state_store("history").get_as_of("k", 15).value == "old"
        assert second.get_state_store("history").get("gone") is None
