"""export: the cluster's topics, configs and groups as commands for Kafka's own tools."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import DEFAULT_BOOTSTRAP, NOTHING, Bootstrap, Json, Sets, admin_of
from cli.output import Mistake, document

if TYPE_CHECKING:
    from clients.admin import Admin

FORMATS = ("kafka-topics",)


def export(
    form: Annotated[str, typer.Option("--format", help="kafka-topics: a shell script for Kafka's tools.")] = FORMATS[0],
    groups: Annotated[bool, typer.Option("--groups", help="And where the consumer groups are.")] = False,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """A script that makes the topics elsewhere.

    It reads the other cluster's address from $TO.
    """
    if form not in FORMATS:
        raise Mistake(f"--format {form}: choose {', '.join(FORMATS)}")
    with admin_of(bootstrap, sets) as admin:
        topics = topics_of(admin)
        offsets = offsets_of(admin) if groups else {}
    if as_json:
        document({"topics": topics, "groups": offsets})
        return
    print("#!/bin/sh -e\n: ${TO:?set TO to the other cluster, as host:port}")
    for topic in topics:
        words = ["--create", "--if-not-exists", "--topic", topic["name"], "--partitions", str(topic["partitions"]),
                 "--replication-factor", str(topic["replicas"])]  # fmt: skip
        for name, value in sorted(topic["configs"].items()):
            words += ["--config", f"{name}={_bracketed(value)}"]
        print(f'kafka-topics.sh --bootstrap-server "$TO" {shlex.join(words)}')
    for group, rows in offsets.items():
        for row in rows:
            words = ["--group", group, "--topic", f"{row['topic']}:{row['partition']}", "--reset-offsets",
                     "--to-offset", str(row["offset"]), "--execute"]  # fmt: skip
            print(f'kafka-consumer-groups.sh --bootstrap-server "$TO" {shlex.join(words)}')


def topics_of(admin: Admin, names: list[str] | None = None) -> list[dict[str, Any]]:
    """Name, partitions, replicas, own configs; without the cluster's own topics."""
    found = admin.describe_topics(names)
    return [
        {
            "name": topic.name,
            "partitions": len(topic.partitions),
            "replicas": max((len(row.replicas) for row in topic.partitions), default=1),
            "configs": {c.name: c.value for c in admin.describe_topic_configs(topic.name).values() if c.source == 1},
        }
        for topic in found.values()
        if not topic.is_internal
    ]


def offsets_of(admin: Admin) -> dict[str, list[dict[str, Any]]]:
    """Group → what it has committed."""
    found = {}
    for listing in admin.list_groups():
        rows = [
            {"topic": at.topic, "partition": at.partition, "offset": row.offset}
            for at, row in sorted(admin.list_group_offsets(listing.group).items())
            if row.offset >= 0
        ]
        if rows:
            found[listing.group] = rows
    return found


def _bracketed(value: str | None) -> str:
    """kafka-topics.sh splits values at commas unless they stand in brackets."""
    return f"[{value}]" if value and "," in value else value or ""
