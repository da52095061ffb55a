"""The topologies of streams_extra_golden.json in Python, by name: what the first golden file leaves unchecked."""

from __future__ import annotations

from typing import Any

from streams_cases import Case, S, plus, shown

from streams import (
    LONG,
    BufferConfig,
    EmitStrategy,
    JoinWindows,
    Processor,
    PunctuationType,
    Record,
    SessionWindows,
    SlidingWindows,
    Stores,
    StreamsBuilder,
    Suppressed,
    TimeWindows,
    UnlimitedWindows,
)

EXTRA_CASES: dict[str, Case] = {}
SERDES = {"key": S, "value": S}
JOINED = {"key": S, "value": S, "other_value": S}


def case(build: Case, name: str | None = None) -> Case:
    EXTRA_CASES[name or build.__name__] = build
    return build


def versioned(b: StreamsBuilder, topic: str, history_ms: int) -> Any:
    return b.table(topic, store=Stores.persistent_versioned_key_value_store(f"v{topic}", history_ms))


def concat(_key: Any, value: str | None, aggregate: str) -> str:
    return f"{aggregate}{shown(value)}."


def last(value: str) -> str:
    return value[-1]


def user(order: str) -> str | None:
    first = order.split("|")[0]
    return None if first == "-" else first


# -- foreign keys


@case
def fk_inner(b: StreamsBuilder) -> None:
    b.table("orders").join(b.table("users"), plus, foreign_key=user).to_stream().to("out")


@case
def fk_left_named_materialized(b: StreamsBuilder) -> None:
    orders, users = b.table("orders"), b.table("users")
    orders.left_join(users, plus, foreign_key=user, name="fkj", store="joined", **SERDES).to_stream().to("out")


@case
def fk_inner_by_key_and_value(b: StreamsBuilder) -> None:
    def target(key: str, order: str) -> str:
        return "b" if key == "a" else order.split("|")[0]

    b.table("orders").join(b.table("users"), plus, foreign_key=target).to_stream().to("out")


@case
def fk_left_versioned(b: StreamsBuilder) -> None:
    orders, users = versioned(b, "orders", 20), versioned(b, "users", 20)
    orders.left_join(users, plus, foreign_key=user).to_stream().to("out")


@case
def fk_then_aggregate(b: StreamsBuilder) -> None:
    orders, users = b.table("orders"), b.table("users")
    joined = orders.left_join(users, plus, foreign_key=user)
    joined.group_by(lambda k, v: (v[0:1], k), **SERDES).count().to_stream().to("out", value=LONG)


# -- windows


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
    case(concatenated(_windows, closed=False), f"updates_{_name}")
    case(concatenated(_windows, closed=True), f"emit_closed_{_name}")


def joined_values(left: str | None, right: str | None) -> str:
    return shown(left) + shown(right)


@case
def window_reduce_emit_closed(b: StreamsBuilder) -> None:
    windowed = b.stream("in").group_by_key().windowed_by(TimeWindows.of_size_and_grace(10, 5))
    windowed.emit_strategy(EmitStrategy.on_window_close()).reduce(joined_values).to_stream().to("out")


@case
def sliding_reduce_random(b: StreamsBuilder) -> None:
    windows = SlidingWindows.of_time_difference_and_grace(5, 8)
    b.stream("in").group_by_key().windowed_by(windows).reduce(joined_values).to_stream().to("out")


@case
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
    case(concatenated_sessions(_sessions, closed=False), f"session_{_name}")
    case(concatenated_sessions(_sessions, closed=True), f"session_{_name}_emit_closed")


@case
def session_reduce(b: StreamsBuilder) -> None:
    windows = SessionWindows.of_inactivity_gap_and_grace(6, 30)
    b.stream("in").group_by_key().windowed_by(windows).reduce(lambda x, y: f"{x},{shown(y)}").to_stream().to("out")


# -- joins of tables and of streams


def tables(kind: str, suffix: str) -> Case:
    def build(b: StreamsBuilder) -> None:
        both = [versioned(b, name, 20) if suffix == "versioned" else b.table(name) for name in ("l", "r")]
        options: dict[str, Any] = {"name": "jn", "store": "j", **SERDES} if suffix == "materialized" else {}
        joined = getattr(both[0], kind)(both[1], plus, **options)
        if suffix == "then_count":
            joined = joined.group_by(lambda k, v: (v[0:2], k), **SERDES).count()
            joined.to_stream().to("out", value=LONG)
        else:
            joined.to_stream().to("out")

    return build


def streams(kind: str, windows: JoinWindows) -> Case:
    def build(b: StreamsBuilder) -> None:
        getattr(b.stream("l"), kind)(b.stream("r"), plus, windows, **JOINED).to("out")

    return build


SIX_AND_FIVE = JoinWindows.of_time_difference_and_grace(6, 5)
for _kind, _name in (("join", "inner"), ("left_join", "left"), ("outer_join", "outer")):
    case(tables(_kind, ""), f"tables_{_name}")
    for _suffix in ("materialized", "versioned", "then_count"):
        case(tables(_kind, _suffix), f"tables_{_name}_{_suffix}")
    for _suffix, _join_windows in {
        "no_grace": JoinWindows.of_time_difference_with_no_grace(6),
        "grace": SIX_AND_FIVE,
        "after": SIX_AND_FIVE.after(2),
        "before_only": SIX_AND_FIVE.after(0),
    }.items():
        case(streams(_kind, _join_windows), f"streams_{_name}_{_suffix}")


@case
def streams_left_named_stores(b: StreamsBuilder) -> None:
    b.stream("l").left_join(b.stream("r"), plus, SIX_AND_FIVE, **JOINED, name="nm", store="st").to("out")


@case
def streams_self_join(b: StreamsBuilder) -> None:
    stream = b.stream("in")
    stream.join(stream, plus, JoinWindows.of_time_difference_and_grace(3, 5), **JOINED).to("out")


case(streams_self_join, "streams_self_join_optimized")


@case
def streams_outer_after_map(b: StreamsBuilder) -> None:
    def new_key(_key: Any, value: str | None) -> str:
        return "n" if value is None else value[-1]

    left = b.stream("l").map(lambda k, v: (new_key(k, v), v))
    left.outer_join(b.stream("r").select_key(new_key), plus, SIX_AND_FIVE, **JOINED).to("out")


@case
def table_chain_of_joins(b: StreamsBuilder) -> None:
    joined = b.table("l").join(b.table("r"), plus).outer_join(b.table("x"), plus)
    joined.filter(lambda k, v: "7" not in v).map_values(lambda v: v + "!").to_stream().to("out")


@case
def table_filter_materialized(b: StreamsBuilder) -> None:
    filtered = b.table("l").filter(lambda k, v: "1" not in v, store="f")
    filtered.map_values(lambda v: v + "!", store="m").to_stream(lambda k, v: k + k).to("out")


@case
def table_reduce_adder_subtractor(b: StreamsBuilder) -> None:
    grouped = b.table("l").group_by(lambda k, v: (v[0:1], v), **SERDES)
    grouped.reduce(lambda x, y: f"{x}+{y}", lambda x, y: f"{x}-{y}").to_stream().to("out")


@case
def table_aggregate(b: StreamsBuilder) -> None:
    grouped = b.table("l").group_by(lambda k, v: (v[0:1], v), **SERDES)
    table = grouped.aggregate(str, lambda k, v, a: f"{a}+{v}", lambda k, v, a: None if len(a) > 20 else f"{a}-{v}")
    table.to_stream().to("out")


@case
def versioned_count(b: StreamsBuilder) -> None:
    store = Stores.persistent_versioned_key_value_store("vc", 10)
    b.stream("in").group_by_key().count(store=store).to_stream().to("out", value=LONG)


@case
def versioned_filter_group(b: StreamsBuilder) -> None:
    filtered = versioned(b, "l", 10).filter(lambda k, v: "1" not in v)
    filtered.group_by(lambda k, v: (v[0:1], v), **SERDES).count().to_stream().to("out", value=LONG)


@case
def versioned_to_table(b: StreamsBuilder) -> None:
    table = b.stream("in").to_table(store=Stores.persistent_versioned_key_value_store("vt", 10, 3))
    table.map_values(lambda v: v + "!").to_stream().to("out")


def stream_table(kind: str, suffix: str) -> Case:
    def build(b: StreamsBuilder) -> None:
        stream = b.stream("s")
        table = versioned(b, "t", 30) if suffix else b.table("t")
        options: dict[str, Any] = {**JOINED, "name": "jj", "grace": 5} if suffix == "_grace" else {}
        getattr(stream, kind)(table, plus, **options).to("out")

    return build


def stream_global(kind: str) -> Case:
    def selector(_key: Any, value: str | None) -> str | None:
        return None if value is None or value == "n" else value[0:1]

    def build(b: StreamsBuilder) -> None:
        stream = b.stream("s")
        getattr(stream, kind)(b.global_table("g", store="gs"), plus, key_selector=selector).to("out")

    return build


for _kind, _name in (("join", "inner"), ("left_join", "left")):
    for _suffix in ("", "_versioned", "_grace"):
        case(stream_table(_kind, _suffix), f"stream_table_{_name}{_suffix}")
    case(stream_global(_kind), f"stream_global_{_name}")


# -- suppress


def suppressed_counts(windows: Any, suppressed: Suppressed, **options: Any) -> Case:
    def build(b: StreamsBuilder) -> None:
        counts = b.stream("in").group_by_key(**SERDES).windowed_by(windows).count(key=S, value=LONG, **options)
        counts.suppress(suppressed).to_stream().to("out", value=LONG)

    return build


TEN_AND_FIVE = TimeWindows.of_size_and_grace(10, 5)
CLOSED = Suppressed.until_window_closes(BufferConfig.unbounded())
case(suppressed_counts(TEN_AND_FIVE, CLOSED), "suppress_closed_tumbling")
case(
    suppressed_counts(TEN_AND_FIVE.advance_by(5), CLOSED.with_name("supp"), store="cnt"),
    "suppress_closed_hopping_named",
)
case(
    suppressed_counts(
        TEN_AND_FIVE, Suppressed.until_window_closes(BufferConfig.of_max_records(3).shut_down_when_full())
    ),
    "suppress_closed_shutdown_when_full",
)
case(suppressed_counts(SlidingWindows.of_time_difference_and_grace(6, 3), CLOSED), "suppress_closed_sliding")


@case
def suppress_limit_max_bytes(b: StreamsBuilder) -> None:
    bounds = BufferConfig.of_max_bytes(200).emit_early_when_full()
    b.table("in").suppress(Suppressed.until_time_limit(100, bounds)).to_stream().to("out")


@case
def suppress_limit_zero(b: StreamsBuilder) -> None:
    b.table("in").suppress(Suppressed.until_time_limit(0, BufferConfig.unbounded())).to_stream().to("out")


@case
def suppress_limit_then_join(b: StreamsBuilder) -> None:
    bounds = BufferConfig.of_max_records(2).emit_early_when_full()
    table = b.table("in").map_values(lambda v: v + "!").suppress(Suppressed.until_time_limit(5, bounds))
    table.join(b.table("r"), plus).to_stream().to("out")


# -- cogroups


def cogrouped(b: StreamsBuilder) -> Any:
    x, y = b.stream("x").group_by_key(**SERDES), b.stream("y").group_by_key(**SERDES)
    return x.cogroup(lambda k, v, a: f"{a}x{shown(v)}").cogroup(y, lambda k, v, a: f"{a}y{shown(v)}")


@case
def cogroup_tumbling(b: StreamsBuilder) -> None:
    cogrouped(b).windowed_by(TEN_AND_FIVE).aggregate(str, **SERDES).to_stream().to("out")


@case
def cogroup_hopping_named(b: StreamsBuilder) -> None:
    windowed = cogrouped(b).windowed_by(TEN_AND_FIVE.advance_by(5))
    windowed.aggregate(str, name="cg", store="cgs", **SERDES).to_stream().to("out")


@case
def cogroup_session(b: StreamsBuilder) -> None:
    windowed = cogrouped(b).windowed_by(SessionWindows.of_inactivity_gap_and_grace(6, 9))
    windowed.aggregate(str, merger=lambda k, x, y: f"{x}&{y}", **SERDES).to_stream().to("out")


@case
def cogroup_repartitioned(b: StreamsBuilder) -> None:
    x = b.stream("x").group_by(lambda k, v: shown(k) + "1", **SERDES)
    y = b.stream("y").select_key(lambda k, v: shown(k) + "1").group_by_key(name="yg", **SERDES)
    both = x.cogroup(lambda k, v, a: f"{a}x{shown(v)}").cogroup(y, lambda k, v, a: f"{a}y{shown(v)}")
    both.aggregate(str, **SERDES).to_stream().to("out")


# -- graphs


@case
def headers_everywhere(b: StreamsBuilder) -> None:
    x = b.stream("in").map_values(lambda v: v + "1").filter(lambda k, v: True).select_key(lambda k, v: k + k)
    x.to("plain")
    x.group_by_key().reduce(joined_values).to_stream().to("out")
    x.to_table().filter(lambda k, v: len(v) > 3).to_stream().to("tab")


@case
def named_steps(b: StreamsBuilder) -> None:
    x = b.stream("in").filter(lambda k, v: v is not None, name="flt").map_values(lambda v: v + "!", name="mv")
    x = x.map(lambda k, v: (v[0:1], v), name="mp").flat_map_values(lambda v: [v, v], name="fmv")
    grouped = x.peek(lambda k, v: None, name="pk").group_by_key(name="grp", **SERDES)
    grouped.count(name="cntp", store="cnts").to_stream(name="ts").to("out", key=S, value=LONG, name="snk")


@case
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


@case
def branches_without_default(b: StreamsBuilder) -> None:
    split = b.stream("in").split().branch(lambda k, v: v.endswith("1"), chain=lambda q: q.to("a1"))
    split.branch(lambda k, v: v.endswith("2"), chain=lambda q: q.map_values(lambda v: v + "!").to("a2"))
    split.no_default_branch()


@case
def optimized_table_source(b: StreamsBuilder) -> None:
    b.table("in").filter(lambda k, v: len(v) > 1).to_stream().to("out")


def counted_and_reduced(x: Any) -> None:
    x.group_by_key(**SERDES).count().to_stream().to("out", value=LONG)
    x.group_by_key(**SERDES).reduce(joined_values).to_stream().to("o2")


@case
def optimized_shared_repartition(b: StreamsBuilder) -> None:
    x = b.stream("in").select_key(lambda k, v: last(v))
    counted_and_reduced(x)
    windowed = x.group_by_key(**SERDES).windowed_by(TimeWindows.of_size_with_no_grace(10))
    windowed.count().to_stream().to("o3", value=LONG)


@case
def unoptimized_shared_repartition(b: StreamsBuilder) -> None:
    counted_and_reduced(b.stream("in").select_key(lambda k, v: last(v)))


@case
def optimized_merge_repartition(b: StreamsBuilder) -> None:
    x, y = b.stream("in").select_key(lambda k, v: last(v)), b.stream("i2")
    counted_and_reduced(x.merge(y))


@case
def optimized_stream_table_join(b: StreamsBuilder) -> None:
    x = b.stream("in").map(lambda k, v: (last(v), v))
    x.join(b.table("t"), plus).to("out")
    x.map_values(lambda v: v + "m").group_by_key(**SERDES).count().to_stream().to("o2", value=LONG)
    x.left_join(b.stream("r").select_key(lambda k, v: last(v)), plus, SIX_AND_FIVE, **JOINED).to("o3")


@case
def repartition_without_name(b: StreamsBuilder) -> None:
    x = b.stream("in").map(lambda k, v: (v, v)).repartition()
    x.flat_map(lambda k, v: [(v, k), (k + k, v)]).to("out")


@case
def join_on_changed_keys_named(b: StreamsBuilder) -> None:
    b.stream("l").select_key(lambda k, v: f"{k}x").join(b.table("t"), plus, **JOINED, name="jname").to("out")
    r = b.stream("r").select_key(lambda k, v: f"{k}x")
    r.left_join(b.stream("q"), plus, SIX_AND_FIVE, **JOINED, name="sjn").to("o2")


def both_counts(x: Any, y: Any) -> str:
    return f"{shown(x)}/{shown(y)}"


@case
def count_joined_with_itself_chain(b: StreamsBuilder) -> None:
    c, d = b.stream("in").group_by_key().count(), b.stream("j").group_by_key().count(store="dd")
    c.outer_join(d, both_counts).to_stream().to("out", value=S)
    c.to_stream().filter(lambda k, n: n > 2).map_values(lambda n: f"n{n}").to("o2", value=S)
    c.filter(lambda k, n: n > 2).to_stream().to("o3", value=LONG)


@case
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


@case
def punctuate_wall_clock(b: StreamsBuilder) -> None:
    b.stream("in").process(WallClock).to("out")


@case
def map_to_null_keys_grouped(b: StreamsBuilder) -> None:
    grouped = b.stream("in").group_by(lambda k, v: None if v.endswith("3") else last(v), **SERDES)
    grouped.count().to_stream().to("out", value=LONG)
