"""More topologies of streams_extra_golden.json: what random topologies found to differ once."""

from __future__ import annotations

import re
from typing import Any

from streams_case import JOINED, Case, S, plus, shown

from streams import LONG, JoinWindows, Processor, PunctuationType, Record, Stores, StreamsBuilder, TimeWindows

FOUND_CASES: dict[str, Case] = {}


def case(build: Case) -> Case:
    FOUND_CASES[build.__name__] = build
    return build


@case
def tables_in_plain_persistent_store(b: StreamsBuilder) -> None:
    left = b.table("l", store=Stores.persistent_key_value_store("lp"))
    left.join(b.table("r"), plus).to_stream().to("out")


@case
def windows_in_plain_persistent_store(b: StreamsBuilder) -> None:
    store = Stores.persistent_window_store("wp", 15, 10, False)
    windowed = b.stream("in").group_by_key(key=S, value=S).windowed_by(TimeWindows.of_size_and_grace(10, 5))
    windowed.count(store=store, key=S, value=LONG).to_stream().to("out", value=LONG)


@case
def streams_left_throttled(b: StreamsBuilder) -> None:
    windows = JoinWindows.of_time_difference_and_grace(6, 5)
    b.stream("l").left_join(b.stream("r"), plus, windows, **JOINED).to("out")


@case
def streams_left_values_of_none(b: StreamsBuilder) -> None:
    windows = JoinWindows.of_time_difference_and_grace(6, 0)
    b.stream("l").left_join(b.stream("r"), plus, windows, **JOINED).to("out")


@case
def streams_left_supplied_stores_unlogged(b: StreamsBuilder) -> None:
    stores = tuple(Stores.persistent_window_store(name, 17, 12, True) for name in ("st-a", "st-b"))
    windows = JoinWindows.of_time_difference_and_grace(6, 5)
    b.stream("l").left_join(b.stream("r"), plus, windows, **JOINED, store=stores, logging=False).to("out")


@case
def stream_table_versioned_same_time_tombstones(b: StreamsBuilder) -> None:
    table = b.table("t", store=Stores.persistent_versioned_key_value_store("vt", 100))
    b.stream("s").left_join(table, plus, **JOINED).to("out")


def place(context: Any) -> str:
    metadata = context.record_metadata()
    return f"{shown(metadata.topic)}{metadata.partition}@{metadata.offset}"


class Places(Processor[str, str, str, str]):
    def process(self, record: Any) -> None:
        self.context.forward(record.with_value(f"{place(self.context)}/{self.context.current_stream_time_ms()}"))


@case
def metadata_by_pattern(b: StreamsBuilder) -> None:
    b.stream(re.compile("in[xy]*")).process(Places).to("out")


class PlacesOfPunctuations(Processor[str, str, str, str]):
    def init(self, context: Any) -> None:
        super().init(context)
        self.seen = 0
        context.schedule(10, PunctuationType.STREAM_TIME, self.punctuate)

    def punctuate(self, now: int) -> None:
        context = self.context
        times = f"{self.seen}@{now}/{context.current_stream_time_ms()}/{context.current_system_time_ms()}"
        context.forward(Record("P", f"{times}/{place(context)}", now))

    def process(self, record: Any) -> None:
        self.seen += 1
        self.context.forward(record)


@case
def metadata_in_punctuations(b: StreamsBuilder) -> None:
    b.stream("in").process(PlacesOfPunctuations).to("out")
