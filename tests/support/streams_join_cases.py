"""Topologies that join: streams and tables in every pairing, by their own keys and by foreign ones."""

from __future__ import annotations

from typing import Any

from streams_case import JOINED, SERDES, SIX_AND_FIVE, Case, S, case, extra, plus, shown, user, versioned

from streams import LONG, JoinWindows, Stores, StreamsBuilder


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


@extra
def fk_inner(b: StreamsBuilder) -> None:
    b.table("orders").join(b.table("users"), plus, foreign_key=user).to_stream().to("out")


@extra
def fk_left_named_materialized(b: StreamsBuilder) -> None:
    orders, users = b.table("orders"), b.table("users")
    orders.left_join(users, plus, foreign_key=user, name="fkj", store="joined", **SERDES).to_stream().to("out")


@extra
def fk_inner_by_key_and_value(b: StreamsBuilder) -> None:
    def target(key: str, order: str) -> str:
        return "b" if key == "a" else order.split("|")[0]

    b.table("orders").join(b.table("users"), plus, foreign_key=target).to_stream().to("out")


@extra
def fk_left_versioned(b: StreamsBuilder) -> None:
    orders, users = versioned(b, "orders", 20), versioned(b, "users", 20)
    orders.left_join(users, plus, foreign_key=user).to_stream().to("out")


@extra
def fk_then_aggregate(b: StreamsBuilder) -> None:
    orders, users = b.table("orders"), b.table("users")
    joined = orders.left_join(users, plus, foreign_key=user)
    joined.group_by(lambda k, v: (v[0:1], k), **SERDES).count().to_stream().to("out", value=LONG)


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


for _kind, _name in (("join", "inner"), ("left_join", "left"), ("outer_join", "outer")):
    extra(tables(_kind, ""), f"tables_{_name}")
    for _suffix in ("materialized", "versioned", "then_count"):
        extra(tables(_kind, _suffix), f"tables_{_name}_{_suffix}")
    for _suffix, _join_windows in {
        "no_grace": JoinWindows.of_time_difference_with_no_grace(6),
        "grace": SIX_AND_FIVE,
        "after": SIX_AND_FIVE.after(2),
        "before_only": SIX_AND_FIVE.after(0),
    }.items():
        extra(streams(_kind, _join_windows), f"streams_{_name}_{_suffix}")


@extra
def streams_left_named_stores(b: StreamsBuilder) -> None:
    b.stream("l").left_join(b.stream("r"), plus, SIX_AND_FIVE, **JOINED, name="nm", store="st").to("out")


@extra
def streams_self_join(b: StreamsBuilder) -> None:
    stream = b.stream("in")
    stream.join(stream, plus, JoinWindows.of_time_difference_and_grace(3, 5), **JOINED).to("out")


extra(streams_self_join, "streams_self_join_optimized")


@extra
def streams_outer_after_map(b: StreamsBuilder) -> None:
    def new_key(_key: Any, value: str | None) -> str:
        return "n" if value is None else value[-1]

    left = b.stream("l").map(lambda k, v: (new_key(k, v), v))
    left.outer_join(b.stream("r").select_key(new_key), plus, SIX_AND_FIVE, **JOINED).to("out")


@extra
def table_chain_of_joins(b: StreamsBuilder) -> None:
    joined = b.table("l").join(b.table("r"), plus).outer_join(b.table("x"), plus)
    joined.filter(lambda k, v: "7" not in v).map_values(lambda v: v + "!").to_stream().to("out")


@extra
def table_filter_materialized(b: StreamsBuilder) -> None:
    filtered = b.table("l").filter(lambda k, v: "1" not in v, store="f")
    filtered.map_values(lambda v: v + "!", store="m").to_stream(lambda k, v: k + k).to("out")


@extra
def table_reduce_adder_subtractor(b: StreamsBuilder) -> None:
    grouped = b.table("l").group_by(lambda k, v: (v[0:1], v), **SERDES)
    grouped.reduce(lambda x, y: f"{x}+{y}", lambda x, y: f"{x}-{y}").to_stream().to("out")


@extra
def table_aggregate(b: StreamsBuilder) -> None:
    grouped = b.table("l").group_by(lambda k, v: (v[0:1], v), **SERDES)
    table = grouped.aggregate(str, lambda k, v, a: f"{a}+{v}", lambda k, v, a: None if len(a) > 20 else f"{a}-{v}")
    table.to_stream().to("out")


@extra
def versioned_count(b: StreamsBuilder) -> None:
    store = Stores.persistent_versioned_key_value_store("vc", 10)
    b.stream("in").group_by_key().count(store=store).to_stream().to("out", value=LONG)


@extra
def versioned_filter_group(b: StreamsBuilder) -> None:
    filtered = versioned(b, "l", 10).filter(lambda k, v: "1" not in v)
    filtered.group_by(lambda k, v: (v[0:1], v), **SERDES).count().to_stream().to("out", value=LONG)


@extra
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
        extra(stream_table(_kind, _suffix), f"stream_table_{_name}{_suffix}")
    extra(stream_global(_kind), f"stream_global_{_name}")
