"""group list|describe|reset-offsets|delete."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import DEFAULT_BOOTSTRAP, NOTHING, Bootstrap, Json, Sets, Yes, admin_of, place, timestamp_ms
from cli.output import Failed, Mistake, confirm, document, fields, table

if TYPE_CHECKING:
    from clients.admin import Admin
    from model.ids import TopicPartition

Group = Annotated[str, typer.Argument(metavar="GROUP")]


def list_(bootstrap: Bootstrap = DEFAULT_BOOTSTRAP, sets: Sets = NOTHING, as_json: Json = False) -> None:
    """Groups with their states."""
    with admin_of(bootstrap, sets) as admin:
        groups = admin.list_groups()
    if as_json:
        document([row._asdict() for row in groups])
    else:
        table(("GROUP", "KIND", "STATE"), [(row.group, row.kind.lower(), row.state) for row in groups])


def describe(
    group: Group, bootstrap: Bootstrap = DEFAULT_BOOTSTRAP, sets: Sets = NOTHING, as_json: Json = False
) -> None:
    """Members, what is assigned to them, offsets and lag."""
    with admin_of(bootstrap, sets) as admin:
        found = admin.describe_group(group)
        committed = {at: row.offset for at, row in admin.list_group_offsets(group).items() if row.offset >= 0}
        state = found.state
        if state == "Dead" and not committed:
            raise Failed(f"there is no group {group}", "`odradek group list` shows those there are")
        owners = {at: member for member in found.members for at in member.assignment}
        places = sorted({*committed, *owners})
        ends = admin.list_offsets(dict.fromkeys(places, -1)) if places else {}
    rows: list[dict[str, Any]] = []
    for at in places:
        end, offset, owner = ends[at].offset, committed.get(at), owners.get(at)
        rows.append({
            "topic": at.topic, "partition": at.partition, "offset": offset, "end": end,
            "lag": None if offset is None else max(0, end - offset),
            "member": owner.member_id if owner else None, "client": owner.client_id if owner else None,
            "host": owner.host if owner else None,
        })  # fmt: skip
    idle = [member.member_id for member in found.members if not member.assignment]
    if as_json:
        document({"group": group, "state": state, "protocol": found.protocol, "coordinator": found.coordinator,
                  "partitions": rows, "members_without_partitions": idle})  # fmt: skip
        return
    fields([("group", group), ("state", state), ("assignor", found.protocol), ("coordinator", found.coordinator),
            ("members", len(found.members)), ("lag", sum(row["lag"] or 0 for row in rows))])  # fmt: skip
    if rows:
        print()
        table(("PARTITION", "OFFSET", "END", "LAG", "CLIENT", "HOST"),
              [(f"{row['topic']}-{row['partition']}", row["offset"], row["end"], row["lag"], row["client"],
                row["host"]) for row in rows])  # fmt: skip


def reset_offsets(
    group: Group,
    topics: Annotated[
        list[str], typer.Option("--topic", "-t", help="A topic, or one partition (orders:0); without: all it has read.")
    ] = NOTHING,
    to: Annotated[
        str, typer.Option("--to", help="beginning, end, an offset, +N or -N from where it is, @TIME (ms or ISO).")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be.")] = False,
    yes: Yes = False,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Move a group that has no members."""
    if not re.fullmatch(r"beginning|end|[+-]?\d+|@.+", to):
        raise Mistake(f"--to {to or 'is missing'}: write beginning, end, an offset, +N, -N or @TIME")
    with admin_of(bootstrap, sets) as admin:
        before = {at: row.offset for at, row in admin.list_group_offsets(group).items() if row.offset >= 0}
        places = _places(admin, topics) if topics else sorted(before)
        if not places:
            raise Failed(f"group {group} has committed nothing", "name topics with --topic")
        after = _targets(admin, places, before, to)
        if not dry_run:
            confirm(f"move group {group} on {len(after)} partitions?", yes=yes)
            admin.alter_group_offsets(group, after)
    rows = [(at, before.get(at), after[at]) for at in places]
    if as_json:
        document([{"topic": at.topic, "partition": at.partition, "before": was, "after": new}
                  for at, was, new in rows])  # fmt: skip
    else:
        table(("PARTITION", "BEFORE", "AFTER"), [(str(at), was, new) for at, was, new in rows])


def delete(
    groups: Annotated[list[str], typer.Argument(metavar="GROUP")],
    yes: Yes = False,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Delete groups and their offsets."""
    confirm(f"delete {', '.join(groups)} and where they are?", yes=yes)
    with admin_of(bootstrap, sets) as admin:
        admin.delete_groups(groups)
    if as_json:
        document({"deleted": groups})
    else:
        for group in groups:
            print(f"deleted {group}")


def _places(admin: Admin, topics: list[str]) -> list[TopicPartition]:
    from model.ids import TopicPartition

    whole = [name for name in topics if ":" not in name]
    places = [place(name) for name in topics if ":" in name]
    for topic in admin.describe_topics(whole).values() if whole else ():
        places += [TopicPartition(topic.name, row.partition) for row in topic.partitions]
    return sorted(set(places))


def _targets(
    admin: Admin, places: list[TopicPartition], before: dict[TopicPartition, int], to: str
) -> dict[TopicPartition, int]:
    begins = {at: row.offset for at, row in admin.list_offsets(dict.fromkeys(places, -2)).items()}
    ends = {at: row.offset for at, row in admin.list_offsets(dict.fromkeys(places, -1)).items()}
    if to == "beginning":
        wanted = begins
    elif to == "end":
        wanted = ends
    elif to.startswith("@"):
        found = admin.list_offsets(dict.fromkeys(places, timestamp_ms(to[1:])))
        wanted = {at: row.offset if row.offset >= 0 else ends[at] for at, row in found.items()}
    elif to[0] in "+-":
        wanted = {at: before.get(at, begins[at]) + int(to) for at in places}
    else:
        wanted = dict.fromkeys(places, int(to))
    return {at: min(max(wanted[at], begins[at]), ends[at]) for at in places}


COMMANDS: dict[str, Callable[..., Any]] = {
    "list": list_,
    "describe": describe,
    "reset-offsets": reset_offsets,
    "delete": delete,
}
