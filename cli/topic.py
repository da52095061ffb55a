"""topic create|list|describe|alter|delete|add-partitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from cli.options import DEFAULT_BOOTSTRAP, NOTHING, Bootstrap, Json, Sets, Yes, admin_of, pairs
from cli.output import Mistake, confirm, document, table

Names = Annotated[list[str], typer.Argument(metavar="TOPIC")]
Configs = Annotated[
    list[str],
    typer.Option("--config", "-c", metavar="KEY=VALUE", help="A topic config; repeatable."),
]


def create(
    names: Names,
    partitions: Annotated[int, typer.Option("--partitions", "-p", help="-1: the broker's default.")] = -1,
    replicas: Annotated[int, typer.Option("--replicas", "-r", help="-1: the broker's default.")] = -1,
    configs: Configs = NOTHING,
    if_not_exists: Annotated[bool, typer.Option("--if-not-exists", help="One that is there already is fine.")] = False,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Make topics."""
    from clients.admin_types import NewTopic

    given = pairs(configs, "--config")
    with admin_of(bootstrap, sets) as admin:
        there = set(admin.list_topics(internal=True)) if if_not_exists else set()
        made = [name for name in names if name not in there]
        if made:
            admin.create_topics([NewTopic(name, partitions, replicas, given) for name in made])
    _answer("created", made, as_json)


def list_(
    internal: Annotated[bool, typer.Option("--internal", help="The cluster's own too.")] = False,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Topics with their numbers of partitions and replicas."""
    with admin_of(bootstrap, sets) as admin:
        topics = [topic for topic in admin.describe_topics().values() if internal or not topic.is_internal]
    rows = [
        (topic.name, len(topic.partitions), max((len(p.replicas) for p in topic.partitions), default=0))
        for topic in topics
    ]
    if as_json:
        document([{"name": name, "partitions": count, "replicas": replicas} for name, count, replicas in rows])
    else:
        table(("TOPIC", "PARTITIONS", "REPLICAS"), rows)


def describe(
    names: Names,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Partitions with leaders and offsets.

    And the configs that are not defaults.
    """
    from model.ids import TopicPartition

    with admin_of(bootstrap, sets) as admin:
        topics = admin.describe_topics(names)
        places = [TopicPartition(t.name, p.partition) for t in topics.values() for p in t.partitions if p.leader >= 0]
        begins, ends = (admin.list_offsets(dict.fromkeys(places, when)) for when in (-2, -1))
        own = {
            name: {c.name: c.value for c in admin.describe_topic_configs(name).values() if c.source == 1}
            for name in names
        }
    found: list[dict[str, Any]] = []
    for topic in topics.values():
        partitions = []
        for p in topic.partitions:
            at = TopicPartition(topic.name, p.partition)
            begin, end = (offsets[at].offset if at in offsets else None for offsets in (begins, ends))
            partitions.append({**p._asdict(), "begin": begin, "end": end})
        found.append({"name": topic.name, "topic_id": topic.topic_id, "is_internal": topic.is_internal,
                      "configs": own[topic.name], "partitions": partitions})  # fmt: skip
    if as_json:
        document(found)
        return
    for number, row in enumerate(found):
        configs = " ".join(f"{name}={value}" for name, value in sorted(row["configs"].items()))
        print(f"{chr(10) if number else ''}{row['name']}  {configs}".rstrip())
        table(("PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "BEGIN", "END"),
              [(p["partition"], p["leader"] if p["leader"] >= 0 else "none", p["leader_epoch"],
                _numbers(p["replicas"]), _numbers(p["isr"]), p["begin"], p["end"])
               for p in row["partitions"]])  # fmt: skip


def alter(
    name: Annotated[str, typer.Argument(metavar="TOPIC")],
    configs: Configs = NOTHING,
    unset: Annotated[
        list[str], typer.Option("--unset", metavar="KEY", help="Back to the default.")
    ] = NOTHING,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Change a topic's configs."""
    changes: dict[str, str | None] = {**pairs(configs, "--config"), **dict.fromkeys(unset)}
    if not changes:
        raise Mistake("nothing to alter", "give --config key=value or --unset key")
    with admin_of(bootstrap, sets) as admin:
        admin.alter_topic_configs(name, changes)
    _answer("altered", [name], as_json)


def delete(
    names: Names,
    yes: Yes = False,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Delete topics with everything in them."""
    confirm(f"delete {', '.join(names)} and all records in there?", yes=yes)
    with admin_of(bootstrap, sets) as admin:
        admin.delete_topics(names)
    _answer("deleted", names, as_json)


def add_partitions(
    name: Annotated[str, typer.Argument(metavar="TOPIC")],
    count: Annotated[int, typer.Argument(min=1, help="How many more.")],
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Add partitions. Keys move: new records of a key may go to another partition than its old ones."""
    with admin_of(bootstrap, sets) as admin:
        total = len(admin.describe_topics([name])[name].partitions) + count
        admin.create_partitions({name: total})
    if as_json:
        document({"name": name, "partitions": total})
    else:
        print(f"{name} has {total} partitions")


def _answer(what: str, names: list[str], as_json: bool) -> None:
    if as_json:
        document({what: names})
    else:
        for name in names:
            print(f"{what} {name}")


def _numbers(brokers: tuple[int, ...]) -> str:
    return ",".join(map(str, brokers))


COMMANDS: dict[str, Callable[..., Any]] = {
    "create": create,
    "list": list_,
    "describe": describe,
    "alter": alter,
    "delete": delete,
    "add-partitions": add_partitions,
}
