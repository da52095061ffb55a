"""What a changelog restores is what the store held."""

from __future__ import annotations

from typing import Any

import pytest
from streams_cases import CASES, EXTRA_CASES
from streams_found_cases import FOUND_CASES
from streams_runner import APPLICATION_ID, driver_for, load, serde_of

from streams import STRING, StreamsBuilder, StreamsConfig, TaskFailed, TopologyTestDriver
from streams.stores.key_value import KeyValueStore
from streams.stores.session import SessionStore
from streams.stores.versioned import VersionedKeyValueStore
from streams.stores.window import WindowStore

ALL_CASES = {**CASES, **EXTRA_CASES, **FOUND_CASES}
GOLDEN = {**load("streams_golden.json"), **load("streams_extra_golden.json")}


def a_driver(name: str, store_kind: str) -> TopologyTestDriver:
    builder = StreamsBuilder()
    ALL_CASES[name](builder)
    overrides = GOLDEN[name]["config_overrides"]
    return driver_for(builder.build(StreamsConfig.of(overrides)), store_kind, **overrides)


def contents(store: Any, keys: set[Any]) -> list[str] | None:
    if isinstance(store, VersionedKeyValueStore):
        return [repr(store.get(key)) for key in sorted(keys)]
    if isinstance(store, SessionStore):
        return [repr(row) for key in sorted(keys) for row in store.fetch(key)]
    if isinstance(store, (KeyValueStore, WindowStore)):
        return [repr(row) for row in store.all()]
    return None


def play(driver: TopologyTestDriver, name: str) -> set[Any]:
    for step in GOLDEN[name]["steps"]:
        if step["op"] == "pipe":
            kind = "L" if isinstance(step["value"], int) else "S"
            topic = driver.create_input_topic(step["topic"], key=STRING, value=serde_of(kind))
            try:
                topic.pipe(step["key"], step["value"], timestamp=step["timestamp"])
            except TaskFailed:
                pass
    return {step["key"] for step in GOLDEN[name]["steps"] if step.get("key") is not None}


@pytest.mark.parametrize("store_kind", ["in_memory", "persistent"])
@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_a_changelog_holds_all_of_its_store(name: str, store_kind: str) -> None:
    with a_driver(name, store_kind) as first, a_driver(name, store_kind) as second:
        keys = play(first, name)
        for store_name, store in first.get_all_state_stores().items():
            changes = list(first.output(f"{APPLICATION_ID}-{store_name}-changelog"))
            expected = contents(store, keys)
            if not changes or expected is None:
                continue
            restored = second.get_state_store(store_name)
            for change in changes:
                assert change.key is not None
                timestamp = -1 if change.timestamp is None else change.timestamp
                restored.restore(change.key, change.value, timestamp, change.headers)
            assert contents(restored, keys) == expected, store_name


@pytest.mark.parametrize("store_kind", ["in_memory", "persistent"])
@pytest.mark.parametrize("name", [name for name in sorted(GOLDEN) if "join" in name or "stream_stream" in name])
def test_a_changelog_may_be_applied_twice(name: str, store_kind: str) -> None:
    """After a kill the files may be ahead of their checkpoint: what they have comes again."""
    with a_driver(name, store_kind) as first, a_driver(name, store_kind) as second:
        keys = play(first, name)
        for store_name, store in first.get_all_state_stores().items():
            changes = list(first.output(f"{APPLICATION_ID}-{store_name}-changelog"))
            expected = contents(store, keys)
            if not changes or expected is None:
                continue
            restored = second.get_state_store(store_name)
            rows = [(c.key, c.value, -1 if c.timestamp is None else c.timestamp, c.headers) for c in changes]
            restored.restore_many(rows)
            restored.restore_many(rows[len(rows) // 2 :])
            assert contents(restored, keys) == expected, store_name
