"""Topologies of tables and of what is counted or reduced, one group or several together."""

from __future__ import annotations

from typing import Any

from streams_case import SERDES, TEN_AND_FIVE, L, S, case, extra, shown

from streams import BufferConfig, SessionWindows, Stores, StreamsBuilder, Suppressed


@case
def reduce_concat(b: StreamsBuilder) -> None:
    b.stream("in").group_by_key().reduce(lambda x, y: f"{x},{y}").to_stream().to("out")


@case
def ktable_groupby_count_moves_between_groups(b: StreamsBuilder) -> None:
    b.table("in").group_by(lambda k, v: (v, k), key=S, value=S).count().to_stream().to("out", value=L)


@case
def cogroup_two_streams(b: StreamsBuilder) -> None:
    clicks, buys = b.stream("clicks").group_by_key(), b.stream("buys").group_by_key()
    table = clicks.cogroup(lambda k, v, a: f"{a}c{v}").cogroup(buys, lambda k, v, a: f"{a}b{v}")
    table.aggregate(str, key=S, value=S).to_stream().to("out")


@case
def two_step_aggregation_count_of_counts(b: StreamsBuilder) -> None:
    counts = b.stream("in").group_by_key().count()
    counts.group_by(lambda k, c: (str(c), k), key=S, value=S).count().to_stream().to("out", value=L)


@case
def table_source_with_tombstones(b: StreamsBuilder) -> None:
    b.table("in").to_stream().to("out")


@case
def table_out_of_order_versioned_source(b: StreamsBuilder) -> None:
    table = b.table("in", store=Stores.persistent_versioned_key_value_store("t", 1000))
    table.to_stream().to("out")
    table.filter(lambda k, v: not v.startswith("x")).to_stream().to("flt")


@case
def table_filternot_mapvalues_chain(b: StreamsBuilder) -> None:
    table = b.table("in").filter_not(lambda k, v: v.startswith("#")).map_values(lambda k, v: f"{k}={len(v)}")
    table.to_stream().to("out")


@case
def totable_after_selectkey_repartitions(b: StreamsBuilder) -> None:
    b.stream("in").select_key(lambda k, v: v[0:1]).to_table().to_stream().to("out")


@case
def table_suppress_max_records_emit_early(b: StreamsBuilder) -> None:
    bounds = BufferConfig.of_max_records(2).emit_early_when_full()
    b.table("in").suppress(Suppressed.until_time_limit(1000, bounds)).to_stream().to("out")


def cogrouped(b: StreamsBuilder) -> Any:
    x, y = b.stream("x").group_by_key(**SERDES), b.stream("y").group_by_key(**SERDES)
    return x.cogroup(lambda k, v, a: f"{a}x{shown(v)}").cogroup(y, lambda k, v, a: f"{a}y{shown(v)}")


@extra
def cogroup_tumbling(b: StreamsBuilder) -> None:
    cogrouped(b).windowed_by(TEN_AND_FIVE).aggregate(str, **SERDES).to_stream().to("out")


@extra
def cogroup_hopping_named(b: StreamsBuilder) -> None:
    windowed = cogrouped(b).windowed_by(TEN_AND_FIVE.advance_by(5))
    windowed.aggregate(str, name="cg", store="cgs", **SERDES).to_stream().to("out")


@extra
def cogroup_session(b: StreamsBuilder) -> None:
    windowed = cogrouped(b).windowed_by(SessionWindows.of_inactivity_gap_and_grace(6, 9))
    windowed.aggregate(str, merger=lambda k, x, y: f"{x}&{y}", **SERDES).to_stream().to("out")


@extra
def cogroup_repartitioned(b: StreamsBuilder) -> None:
    x = b.stream("x").group_by(lambda k, v: shown(k) + "1", **SERDES)
    y = b.stream("y").select_key(lambda k, v: shown(k) + "1").group_by_key(name="yg", **SERDES)
    both = x.cogroup(lambda k, v, a: f"{a}x{shown(v)}").cogroup(y, lambda k, v, a: f"{a}y{shown(v)}")
    both.aggregate(str, **SERDES).to_stream().to("out")
