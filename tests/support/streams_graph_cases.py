"""Topologies without a state of their own, and whole graphs: names, headers, branches, repartition topics."""

from __future__ import annotations

from typing import Any

from streams_case import (
    JOINED,
    SERDES,
    SIX_AND_FIVE,
    TEN_AND_FIVE,
    L,
    S,
    case,
    embedded_timestamp,
    extra,
    joined_values,
    last,
    plus,
    shown,
    words,
)

from streams import LONG, Processor, PunctuationType, Record, StreamsBuilder, TimeWindows


@case
def wordcount_required(b: StreamsBuilder) -> None:
    b.stream("in").flat_map_values(words).group_by(lambda w: w, value=S).count().to_stream().to("out", value=L)


@case
def mapvalues_with_key_filternot_flatmapvalues_peek(b: StreamsBuilder) -> None:
    stream = b.stream("in").filter_not(lambda v: v.startswith("#")).map_values(lambda k, v: f"{shown(k)}:{v}")
    stream.flat_map_values(lambda v: [] if v.endswith("!") else [v, v + "2"]).peek(lambda k, v: None).to("out")


@case
def merge_two_streams(b: StreamsBuilder) -> None:
    b.stream("l").merge(b.stream("r")).map_values(lambda v: v + "!").to("out")


@case
def groupbykey_count_null_key_and_null_value(b: StreamsBuilder) -> None:
    b.stream("in").group_by_key().count().to_stream().to("out", value=L)


@case
def topic_name_extractor_dynamic_routing(b: StreamsBuilder) -> None:
    b.stream("in").to(lambda k, v, metadata: "A" if v.startswith("a") else "B")


@case
def timestamp_extractor_embedded(b: StreamsBuilder) -> None:
    b.stream("in", timestamp_extractor=embedded_timestamp).map_values(lambda v: v.split("@")[0]).to("out")


@case
def deserialization_error_log_and_fail_exception(b: StreamsBuilder) -> None:
    b.stream("in", key=S, value=L).to("out", value=L)


@extra
def headers_everywhere(b: StreamsBuilder) -> None:
    x = b.stream("in").map_values(lambda v: v + "1").filter(lambda k, v: True).select_key(lambda k, v: k + k)
    x.to("plain")
    x.group_by_key().reduce(joined_values).to_stream().to("out")
    x.to_table().filter(lambda k, v: len(v) > 3).to_stream().to("tab")


@extra
def named_steps(b: StreamsBuilder) -> None:
    x = b.stream("in").filter(lambda k, v: v is not None, name="flt").map_values(lambda v: v + "!", name="mv")
    x = x.map(lambda k, v: (v[0:1], v), name="mp").flat_map_values(lambda v: [v, v], name="fmv")
    grouped = x.peek(lambda k, v: None, name="pk").group_by_key(name="grp", **SERDES)
    grouped.count(name="cntp", store="cnts").to_stream(name="ts").to("out", key=S, value=LONG, name="snk")


@extra
def wide_graph(b: StreamsBuilder) -> None:
    split = b.stream(["i1", "i2"]).split(name="sp-")
    split.branch(lambda k, v: v is not None and v.endswith("1"), name="one")
    split.branch(
        lambda k, v: v is not None and v.endswith("2"), name="two", chain=lambda q: q.map_values(lambda v: v + "two")
    )
    branches = split.default_branch(name="rest")
    counts = branches["sp-one"].group_by(lambda k, v: v, **SERDES).count()
    repartitioned = branches["sp-two"].repartition(name="rp", partitions=1, **SERDES)
    repartitioned.left_join(counts, lambda v, n: v + shown(n)).to("out")
    branches["sp-rest"].merge(repartitioned, name="mrg").to("o2")
    b.stream("other").for_each(lambda k, v: None)
    counts.to_stream().to("o3", value=LONG)


@extra
def branches_without_default(b: StreamsBuilder) -> None:
    split = b.stream("in").split().branch(lambda k, v: v.endswith("1"), chain=lambda q: q.to("a1"))
    split.branch(lambda k, v: v.endswith("2"), chain=lambda q: q.map_values(lambda v: v + "!").to("a2"))
    split.no_default_branch()


@extra
def optimized_table_source(b: StreamsBuilder) -> None:
    b.table("in").filter(lambda k, v: len(v) > 1).to_stream().to("out")


def counted_and_reduced(x: Any) -> None:
    x.group_by_key(**SERDES).count().to_stream().to("out", value=LONG)
    x.group_by_key(**SERDES).reduce(joined_values).to_stream().to("o2")


@extra
def optimized_shared_repartition(b: StreamsBuilder) -> None:
    x = b.stream("in").select_key(lambda k, v: last(v))
    counted_and_reduced(x)
    windowed = x.group_by_key(**SERDES).windowed_by(TimeWindows.of_size_with_no_grace(10))
    windowed.count().to_stream().to("o3", value=LONG)


@extra
def unoptimized_shared_repartition(b: StreamsBuilder) -> None:
    counted_and_reduced(b.stream("in").select_key(lambda k, v: last(v)))


@extra
def optimized_merge_repartition(b: StreamsBuilder) -> None:
    x, y = b.stream("in").select_key(lambda k, v: last(v)), b.stream("i2")
    counted_and_reduced(x.merge(y))


@extra
def optimized_stream_table_join(b: StreamsBuilder) -> None:
    x = b.stream("in").map(lambda k, v: (last(v), v))
    x.join(b.table("t"), plus).to("out")
    x.map_values(lambda v: v + "m").group_by_key(**SERDES).count().to_stream().to("o2", value=LONG)
    x.left_join(b.stream("r").select_key(lambda k, v: last(v)), plus, SIX_AND_FIVE, **JOINED).to("o3")


@extra
def repartition_without_name(b: StreamsBuilder) -> None:
    x = b.stream("in").map(lambda k, v: (v, v)).repartition()
    x.flat_map(lambda k, v: [(v, k), (k + k, v)]).to("out")


@extra
def join_on_changed_keys_named(b: StreamsBuilder) -> None:
    b.stream("l").select_key(lambda k, v: f"{k}x").join(b.table("t"), plus, **JOINED, name="jname").to("out")
    r = b.stream("r").select_key(lambda k, v: f"{k}x")
    r.left_join(b.stream("q"), plus, SIX_AND_FIVE, **JOINED, name="sjn").to("o2")


def both_counts(x: Any, y: Any) -> str:
    return f"{shown(x)}/{shown(y)}"


@extra
def count_joined_with_itself_chain(b: StreamsBuilder) -> None:
    c, d = b.stream("in").group_by_key().count(), b.stream("j").group_by_key().count(store="dd")
    c.outer_join(d, both_counts).to_stream().to("out", value=S)
    c.to_stream().filter(lambda k, n: n > 2).map_values(lambda n: f"n{n}").to("o2", value=S)
    c.filter(lambda k, n: n > 2).to_stream().to("o3", value=LONG)


@extra
def windowed_table_to_table_join(b: StreamsBuilder) -> None:
    c, d = (b.stream(name).group_by_key().windowed_by(TEN_AND_FIVE).count() for name in ("in", "j"))
    joined = c.left_join(d, both_counts).to_stream()
    joined.map(lambda k, v: (f"{k.key}{k.start}", v)).to("out", key=S, value=S)


class WallClock(Processor[str, str, str, str]):
    def init(self, context: Any) -> None:
        super().init(context)
        self.seen = 0
        context.schedule(10, PunctuationType.WALL_CLOCK_TIME, self.punctuate)

    def punctuate(self, now: int) -> None:
        self.context.forward(Record("punct", f"{self.seen}@{now}", now))

    def process(self, record: Any) -> None:
        self.seen += 1
        self.context.forward(record.with_value(f"{record.value}{self.context.current_stream_time_ms()}"))


@extra
def punctuate_wall_clock(b: StreamsBuilder) -> None:
    b.stream("in").process(WallClock).to("out")


@extra
def map_to_null_keys_grouped(b: StreamsBuilder) -> None:
    grouped = b.stream("in").group_by(lambda k, v: None if v.endswith("3") else last(v), **SERDES)
    grouped.count().to_stream().to("out", value=LONG)
