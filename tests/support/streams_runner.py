"""Plays a golden case against the test driver and says what differs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from streams import (
    INT,
    LONG,
    STRING,
    SessionWindowedSerde,
    StreamsBuilder,
    StreamsConfig,
    TaskFailed,
    TimeWindowedSerde,
    Topology,
    TopologyTestDriver,
    Windowed,
)
from streams.stores.factory import ByteMaps, memory_byte_maps
from streams.stores.key_value import KeyValueStore
from streams.stores.session import SessionStore
from streams.stores.window import WindowStore

APPLICATION_ID = "golden"


def load(name: str) -> dict[str, dict[str, Any]]:
    text = (Path(__file__).with_name(name)).read_text()
    return {case["name"]: case for case in json.loads(text)["cases"]}


def serde_of(kind: str) -> Any:
    if kind.startswith("TW"):
        return TimeWindowedSerde(STRING, int(kind[2:]))
    return {"S": STRING, "L": LONG, "I": INT, "SW": SessionWindowedSerde(STRING)}[kind]


def without_lambdas(text: str) -> str:
    return re.sub(r"extractor class: [^)]*(>|[0-9a-f])\)", "extractor class: …)", text)


def driver_for(
    topology: Topology, store_kind: str, *, byte_maps: ByteMaps = memory_byte_maps, **more: Any
) -> TopologyTestDriver:
    config = {
        "application_id": APPLICATION_ID,
        "default_key_serde": STRING,
        "default_value_serde": STRING,
        "default_store": store_kind,
        **more,
    }
    return TopologyTestDriver(topology, config, initial_wall_clock_ms=0, byte_maps=byte_maps)


def play(case: dict[str, Any], build: Any, store_kind: str, *, byte_maps: ByteMaps = memory_byte_maps) -> None:
    """Raises AssertionError at the first difference."""
    if store_kind == "in_memory":
        case = {**case, **{name.removesuffix("_in_memory"): case[name] for name in case if name.endswith("_in_memory")}}
    builder = StreamsBuilder()
    build(builder)
    overrides = case["config_overrides"]
    topology = builder.build(StreamsConfig.of(overrides))
    assert without_lambdas(str(topology.describe())) == without_lambdas(case["topology_describe"])
    with driver_for(topology, store_kind, byte_maps=byte_maps, **overrides) as driver:
        inputs: dict[tuple[str, str], Any] = {}
        outputs = {
            name: driver.create_output_topic(name, key=serde_of(kinds["key"]), value=serde_of(kinds["value"]))
            for name, kinds in case["output_topics"].items()
        }
        for number, step in enumerate(case["steps"]):
            _play_step(driver, inputs, outputs, step, number, case)
        if store_kind == case.get("store_kind", "persistent"):
            assert driver.dropped_records == case["dropped_records_total"]
        _compare_topics(driver, case)
        _compare_stores(driver, case)


def _play_step(
    driver: TopologyTestDriver, inputs: dict[tuple[str, str], Any], outputs: Any, step: Any, number: int, case: Any
) -> None:
    if step["op"] == "store_get":
        value = driver.get_state_store(step["store"]).get(step["key"])
        assert (value[0] if isinstance(value, tuple) else value) == step["result"], step
        return
    failed = False
    if step["op"] == "advance_wall_clock":
        driver.advance_wall_clock_time(step["ms"])
    else:
        kind = "L" if isinstance(step["value"], int) else "S"
        topic = inputs.get((step["topic"], kind))
        if topic is None:
            topic = driver.create_input_topic(step["topic"], key=STRING, value=serde_of(kind))
            inputs[step["topic"], kind] = topic
        headers = tuple((name, bytes.fromhex(value)) for name, value in step.get("headers", []))
        try:
            topic.pipe(step["key"], step["value"], timestamp=step["timestamp"], headers=headers)
        except TaskFailed:
            failed = True
    assert failed == ("exception" in step), step
    expected = [_expected(record) for record in step["outputs"]]
    got = []
    for name in case["output_topics"]:
        got += [(name, r.key, r.value, r.timestamp, r.headers) for r in outputs[name].read_records()]
    expected.sort(key=lambda record: list(case["output_topics"]).index(record[0]))
    assert got == expected, f"step {number}: {step}"


def _expected(record: Any) -> tuple[Any, ...]:
    key = record["key"]
    if "window" in record:
        key = Windowed(key, record["window"]["start"], record["window"]["end"])
    headers = tuple((name, bytes.fromhex(value)) for name, value in record.get("headers", []))
    return record["topic"], key, record["value"], record["timestamp"], headers


def _compare_topics(driver: TopologyTestDriver, case: dict[str, Any]) -> None:
    for topic in case["internal_topics"]:
        if topic["topic"].endswith("-topic") and not topic["records_hex"]:
            continue  # not recorded
        got = [
            [r.key.hex() if r.key is not None else None, r.value.hex() if r.value is not None else None, r.timestamp]
            for r in driver.output(topic["topic"])
        ]
        assert got == topic["records_hex"], topic["topic"]


def _compare_stores(driver: TopologyTestDriver, case: dict[str, Any]) -> None:
    for name, expected in case["final_stores"].items():
        store = driver.get_state_store(name)
        assert isinstance(store, (KeyValueStore, WindowStore, SessionStore))
        got = sorted(_entry(key, value) for key, value in store.all()) if not isinstance(store, SessionStore) else []
        if isinstance(store, SessionStore):
            keys = {entry["key"] for entry in expected["contents"]}
            got = sorted(_entry(key, value) for key in keys for key, value in store.fetch(key))
        wanted = sorted(_wanted(entry) for entry in expected["contents"])
        assert got == wanted, name


def _entry(key: Any, value: Any) -> str:
    return repr((tuple(key) if isinstance(key, Windowed) else key, value))


def _wanted(entry: Any) -> str:
    key, value = entry["key"], entry["value"]
    if "window" in entry:
        key = (key, entry["window"]["start"], entry["window"]["end"])
    if isinstance(value, dict):
        value = (value["value"], value["timestamp"])
    return repr((key, value))
