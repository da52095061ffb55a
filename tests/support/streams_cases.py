"""The topologies of streams_golden.json in Python, by name. `build` gives the builder to describe and run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from streams import (
    INT,
    LONG,
    STRING,
    BufferConfig,
    ConsumedRecord,
    EmitStrategy,
    FixedKeyProcessor,
    JoinWindows,
    Processor,
    PunctuationType,
    SessionWindows,
    SlidingWindows,
    Stores,
    StreamsBuilder,
    Suppressed,
    TimeWindows,
    Windowed,
)

S, L = STRING, LONG
Case = Callable[[StreamsBuilder], object]
CASES: dict[str, Case] = {}


def case(build: Case) -> Case:
    CASES[build.__name__] = build
    return build


def shown(value: Any) -> str:
    return "null" if value is None else str(value)


def words(line: str) -> list[str]:
    """Java's split: no empty words at the end."""
    found = re.split(r"\W+", line.lower(), flags=re.ASCII)
    while found and not found[-1]:
        found.pop()
    return found


def plus(left: Any, right: Any) -> str:
    return f"{shown(left)}+{shown(right)}"


def concat(_key: Any, value: str, aggregate: str) -> str:
    return f"{aggregate}{value}."


def embedded_timestamp(record: ConsumedRecord, _partition_time: int) -> int:
    _, marker, embedded = str(record.value).partition("@")
    return int(embedded) if marker else record.timestamp


# -- stateless


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


# -- aggregations


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


# -- tables


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


# -- joins


@case
def table_table_inner(b: StreamsBuilder) -> None:
    b.table("l").join(b.table("r"), plus).to_stream().to("out")


@case
def table_table_inner_materialized(b: StreamsBuilder) -> None:
    b.table("l").join(b.table("r"), plus, store="j").to_stream().to("out")


@case
def fk_join_left(b: StreamsBuilder) -> None:
    def user(order: str) -> str | None:
        first = order.split("|")[0]
        return None if first == "-" else first

    left, right = b.table("orders"), b.table("users")
    left.left_join(right, plus, foreign_key=user).to_stream().to("out")


@case
def stream_table_join_after_selectkey(b: StreamsBuilder) -> None:
    stream = b.stream("s").select_key(lambda k, v: v[0:1])
    stream.join(b.table("t"), lambda k, x, y: f"{k}:{x}+{y}").to("out")


@case
def global_table_inner(b: StreamsBuilder) -> None:
    table = b.global_table("g")
    selector = lambda k, v: None if v == "none" else v.split(":")[0]  # noqa: E731
    b.stream("s").join(table, plus, key_selector=selector).to("out")


@case
def stream_stream_left(b: StreamsBuilder) -> None:
    windows = JoinWindows.of_time_difference_with_no_grace(10)
    b.stream("l").left_join(b.stream("r"), plus, windows, key=S, value=S, other_value=S).to("out")


@case
def stream_stream_asymmetric_before_after(b: StreamsBuilder) -> None:
    windows = JoinWindows.of_time_difference_and_grace(10, 100).before(0)
    b.stream("l").join(b.stream("r"), plus, windows, key=S, value=S, other_value=S).to("out")


@case
def chain_stream_stream_table(b: StreamsBuilder) -> None:
    windows = JoinWindows.of_time_difference_with_no_grace(10)
    stream = b.stream("l").join(b.stream("r"), lambda x, y: x + y, windows, key=S, value=S, other_value=S)
    stream.join(b.table("t"), lambda x, y: f"{x}/{y}").to("out")


@case
def stream_stream_zero_window(b: StreamsBuilder) -> None:
    windows = JoinWindows.of_time_difference_and_grace(0, 100)
    joiner = lambda k, x, y: f"{k}:{x}+{y}"  # noqa: E731
    b.stream("l").join(b.stream("r"), joiner, windows, key=S, value=S, other_value=S).to("out")


@case
def table_count_join_table(b: StreamsBuilder) -> None:
    counts = b.stream("clicks").group_by_key().count()
    counts.left_join(b.table("users"), lambda n, u: f"{shown(u)}:{n}", key=S, value=S).to_stream().to("out")


@case
def fk_join_self_table_hierarchy(b: StreamsBuilder) -> None:
    def under(one: str, boss: str | None) -> str:
        return f"{one.split('<')[0]} under {'?' if boss is None else boss.split('<')[0]}"

    employees = b.table("emp")
    employees.left_join(employees, under, foreign_key=lambda v: v.split("<")[1]).to_stream().to("out")


# -- windows


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


# -- processors


class Punctuating(Processor[str, str, str, str]):
    def init(self, context: Any) -> None:
        super().init(context)
        self.seen = 0
        context.schedule(10, PunctuationType.STREAM_TIME, self.punctuate)

    def punctuate(self, now: int) -> None:
        from streams import Record

        self.context.forward(Record("punct", f"{self.seen}@{now}", now))

    def process(self, record: Any) -> None:
        self.seen += 1


@case
def punctuate_stream_time(b: StreamsBuilder) -> None:
    b.stream("in").process(Punctuating).to("out")


def listed(entries: Any) -> str:
    return " ".join(f"{key}={value}" for key, value in entries)


class KeyValueCommands(Processor[str, str, str, str]):
    def init(self, context: Any) -> None:
        super().init(context)
        self.store = context.get_state_store("kv")

    def process(self, record: Any) -> None:
        command, *rest = record.value.split(" ")
        self.context.forward(record.with_value(self.answer(command, rest)))

    def answer(self, command: str, rest: list[str]) -> str:
        store = self.store
        match command:
            case "put":
                store.put(*rest)
                return "ok"
            case "get":
                return shown(store.get(rest[0]))
            case "del":
                return shown(store.delete(rest[0]))
            case "pia":
                return shown(store.put_if_absent(*rest))
            case "range":
                return listed(store.range(*rest))
            case "from":
                return listed(store.range(rest[0], None))
            case "to":
                return listed(store.range(None, rest[0]))
            case "rrange":
                return listed(store.reverse_range(*rest))
            case "prefix":
                return listed(store.prefix_scan(rest[0], STRING))
            case "all":
                return listed(store.all())
            case "rall":
                return listed(store.reverse_all())
        return str(store.approximate_num_entries())


@case
def kv_store_api(b: StreamsBuilder) -> None:
    b.add_state_store(Stores.key_value_store_builder(Stores.persistent_key_value_store("kv"), S, S))
    b.stream("in").process(KeyValueCommands, "kv").to("out")


def sessions(entries: Any) -> str:
    return " ".join(f"{key.key}@{key.start}-{key.end}={value}" for key, value in entries)


class SessionCommands(Processor[str, str, str, str]):
    def init(self, context: Any) -> None:
        super().init(context)
        self.store = context.get_state_store("ss")

    def process(self, record: Any) -> None:
        command, *rest = record.value.split(" ")
        self.context.forward(record.with_value(self.answer(command, rest)))

    def answer(self, command: str, rest: list[str]) -> str:
        store = self.store
        match command:
            case "put":
                store.put(Windowed(rest[0], int(rest[2]), int(rest[3])), rest[1])
                return "ok"
            case "find":
                return sessions(store.find_sessions(rest[0], int(rest[1]), int(rest[2])))
            case "get":
                return shown(store.fetch_session(rest[0], int(rest[1]), int(rest[2])))
            case "rm":
                store.remove(Windowed(rest[0], int(rest[1]), int(rest[2])))
                return "ok"
        return sessions(store.fetch(rest[0]))


@case
def session_store_api(b: StreamsBuilder) -> None:
    b.add_state_store(Stores.session_store_builder(Stores.persistent_session_store("ss", 1000), S, S))
    b.stream("in").process(SessionCommands, "ss").to("out")


class NumberedValues(FixedKeyProcessor[str, str, str]):
    def process(self, record: Any) -> None:
        store = self.context.get_state_store("n")
        count = (store.get(record.key) or 0) + 1
        store.put(record.key, count)
        self.context.forward(record.with_value(f"{record.value}{count}"))


@case
def process_values_fixed_key_store(b: StreamsBuilder) -> None:
    b.add_state_store(Stores.key_value_store_builder(Stores.in_memory_key_value_store("n"), S, INT))
    b.stream("in").process_values(NumberedValues, "n").to("out")
