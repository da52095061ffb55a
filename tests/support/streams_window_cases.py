"""Topologies of windows and sessions, and of what waits for their end."""

from __future__ import annotations

from typing import Any

from streams_case import SERDES, TEN_AND_FIVE, Case, L, S, case, concat, extra, joined_values, plus, shown, words

from streams import (
    LONG,
    BufferConfig,
    EmitStrategy,
    SessionWindows,
    SlidingWindows,
    Stores,
    StreamsBuilder,
    Suppressed,
    TimeWindows,
    UnlimitedWindows,
)


@case
def tumbling_count_no_grace(b: StreamsBuilder) -> None:
    windows = TimeWindows.of_size_with_no_grace(10)
    b.stream("in").group_by_key().windowed_by(windows).count(store="w").to_stream().to("out", value=L)


@case
def hopping_non_divisor_advance(b: StreamsBuilder) -> None:
    windows = TimeWindows.of_size_and_grace(10, 100).advance_by(3)
    b.stream("in").group_by_key().windowed_by(windows).count().to_stream().to("out", value=L)


@case
def windowed_retention_longer_than_grace_store(b: StreamsBuilder) -> None:
    windows = TimeWindows.of_size_and_grace(10, 0)
    store = Stores.in_memory_window_store("w", 100, 10, False)
    b.stream("in").group_by_key().windowed_by(windows).count(store=store, key=S).to_stream().to("out", value=L)


@case
def session_count_merge(b: StreamsBuilder) -> None:
    windows = SessionWindows.of_inactivity_gap_and_grace(10, 100)
    b.stream("in").group_by_key().windowed_by(windows).count(store="s").to_stream().to("out", value=L)


@case
def sliding_count(b: StreamsBuilder) -> None:
    windows = SlidingWindows.of_time_difference_and_grace(10, 50)
    b.stream("in").group_by_key().windowed_by(windows).count().to_stream().to("out", value=L)


@case
def session_emit_on_window_close(b: StreamsBuilder) -> None:
    windows = SessionWindows.of_inactivity_gap_and_grace(10, 5)
    sessions = b.stream("in").group_by_key().windowed_by(windows).emit_strategy(EmitStrategy.on_window_close())
    sessions.count().to_stream().to("out", value=L)


@case
def suppress_until_window_closes_session(b: StreamsBuilder) -> None:
    windows = SessionWindows.of_inactivity_gap_with_no_grace(10)
    table = b.stream("in").group_by_key(key=S, value=S).windowed_by(windows).count(key=S, value=L)
    table.suppress(Suppressed.until_window_closes(BufferConfig.unbounded())).to_stream().to("out", value=L)


@case
def suppress_window_until_time_limit(b: StreamsBuilder) -> None:
    windows = TimeWindows.of_size_and_grace(10, 20)
    table = b.stream("in").group_by_key(key=S, value=S).windowed_by(windows).count(key=S, value=L)
    table.suppress(Suppressed.until_time_limit(5, BufferConfig.unbounded())).to_stream().to("out", value=L)


@case
def sliding_cogroup(b: StreamsBuilder) -> None:
    x, y = b.stream("x").group_by_key(key=S, value=S), b.stream("y").group_by_key(key=S, value=S)
    both = x.cogroup(lambda k, v, a: f"{a}x{v}").cogroup(y, lambda k, v, a: f"{a}y{v}")
    table = both.windowed_by(SlidingWindows.of_time_difference_and_grace(10, 50)).aggregate(str, key=S, value=S)
    table.to_stream().to("out")


@case
def soak_tumbling_grace(b: StreamsBuilder) -> None:
    windows = TimeWindows.of_size_and_grace(20, 10)
    table = b.stream("in").group_by_key(key=S, value=S).windowed_by(windows).aggregate(str, concat, key=S, value=S)
    table.to_stream().to("out")


@case
def stream_time_is_per_task_across_topics(b: StreamsBuilder) -> None:
    windows = TimeWindows.of_size_with_no_grace(10)
    merged = b.stream("x").merge(b.stream("y"))
    merged.group_by_key().windowed_by(windows).count().to_stream().to("out", value=L)


@case
def wordcount_lines(b: StreamsBuilder) -> None:
    counts = b.stream("in").flat_map_values(words).group_by(lambda w: w).count(store="counts")
    counts.to_stream().to("out", value=L)


def concatenated(windows: Any, *, closed: bool) -> Case:
    def build(b: StreamsBuilder) -> None:
        windowed = b.stream("in").group_by_key().windowed_by(windows)
        if closed:
            windowed = windowed.emit_strategy(EmitStrategy.on_window_close())
        windowed.aggregate(str, concat, **SERDES).to_stream().to("out")

    return build


for _name, _windows in {
    "tumbling_grace": TimeWindows.of_size_and_grace(10, 5),
    "hopping_no_grace": TimeWindows.of_size_with_no_grace(10).advance_by(4),
    "hopping_grace": TimeWindows.of_size_and_grace(10, 7).advance_by(3),
    "sliding": SlidingWindows.of_time_difference_and_grace(10, 5),
    "sliding_no_grace": SlidingWindows.of_time_difference_with_no_grace(10),
}.items():
    extra(concatenated(_windows, closed=False), f"updates_{_name}")
    extra(concatenated(_windows, closed=True), f"emit_closed_{_name}")


@extra
def window_reduce_emit_closed(b: StreamsBuilder) -> None:
    windowed = b.stream("in").group_by_key().windowed_by(TimeWindows.of_size_and_grace(10, 5))
    windowed.emit_strategy(EmitStrategy.on_window_close()).reduce(joined_values).to_stream().to("out")


@extra
def sliding_reduce_random(b: StreamsBuilder) -> None:
    windows = SlidingWindows.of_time_difference_and_grace(5, 8)
    b.stream("in").group_by_key().windowed_by(windows).reduce(joined_values).to_stream().to("out")


@extra
def unlimited_windows(b: StreamsBuilder) -> None:
    windowed = b.stream("in").group_by_key().windowed_by(UnlimitedWindows.of().start_on(10))
    counts = windowed.count().to_stream()
    counts.map(lambda k, n: (f"{k.key}{k.start}", n)).to("out", value=LONG)


def concatenated_sessions(windows: SessionWindows, *, closed: bool) -> Case:
    def build(b: StreamsBuilder) -> None:
        windowed = b.stream("in").group_by_key().windowed_by(windows)
        if closed:
            windowed = windowed.emit_strategy(EmitStrategy.on_window_close())
        windowed.aggregate(str, concat, lambda k, x, y: f"{x}&{y}", **SERDES).to_stream().to("out")

    return build


for _name, _sessions in {
    "grace": SessionWindows.of_inactivity_gap_and_grace(6, 9),
    "no_grace": SessionWindows.of_inactivity_gap_with_no_grace(6),
}.items():
    extra(concatenated_sessions(_sessions, closed=False), f"session_{_name}")
    extra(concatenated_sessions(_sessions, closed=True), f"session_{_name}_emit_closed")


@extra
def session_reduce(b: StreamsBuilder) -> None:
    windows = SessionWindows.of_inactivity_gap_and_grace(6, 30)
    b.stream("in").group_by_key().windowed_by(windows).reduce(lambda x, y: f"{x},{shown(y)}").to_stream().to("out")


def suppressed_counts(windows: Any, suppressed: Suppressed, **options: Any) -> Case:
    def build(b: StreamsBuilder) -> None:
        counts = b.stream("in").group_by_key(**SERDES).windowed_by(windows).count(key=S, value=LONG, **options)
        counts.suppress(suppressed).to_stream().to("out", value=LONG)

    return build


CLOSED = Suppressed.until_window_closes(BufferConfig.unbounded())
extra(suppressed_counts(TEN_AND_FIVE, CLOSED), "suppress_closed_tumbling")
extra(
    suppressed_counts(TEN_AND_FIVE.advance_by(5), CLOSED.with_name("supp"), store="cnt"),
    "suppress_closed_hopping_named",
)
extra(
    suppressed_counts(
        TEN_AND_FIVE, Suppressed.until_window_closes(BufferConfig.of_max_records(3).shut_down_when_full())
    ),
    "suppress_closed_shutdown_when_full",
)
extra(suppressed_counts(SlidingWindows.of_time_difference_and_grace(6, 3), CLOSED), "suppress_closed_sliding")


@extra
def suppress_limit_max_bytes(b: StreamsBuilder) -> None:
    bounds = BufferConfig.of_max_bytes(200).emit_early_when_full()
    b.table("in").suppress(Suppressed.until_time_limit(100, bounds)).to_stream().to("out")


@extra
def suppress_limit_zero(b: StreamsBuilder) -> None:
    b.table("in").suppress(Suppressed.until_time_limit(0, BufferConfig.unbounded())).to_stream().to("out")


@extra
def suppress_limit_then_join(b: StreamsBuilder) -> None:
    bounds = BufferConfig.of_max_records(2).emit_early_when_full()
    table = b.table("in").map_values(lambda v: v + "!").suppress(Suppressed.until_time_limit(5, bounds))
    table.join(b.table("r"), plus).to_stream().to("out")
