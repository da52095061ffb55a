"""config get|set, of a topic, a broker, or all brokers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import DEFAULT_BOOTSTRAP, NOTHING, Bootstrap, Json, Sets, admin_of, pairs
from cli.output import Failed, Mistake, document, table

if TYPE_CHECKING:
    from clients.admin_types import Resource

_SOURCES = {1: "topic", 2: "broker, set", 3: "brokers, set", 4: "broker, at start", 5: "default", 6: "logger"}
Of = Annotated[str, typer.Argument(metavar="RESOURCE", help="topic/NAME, broker/ID, or brokers for all of them.")]


def get(
    resource: Of,
    names: Annotated[list[str] | None, typer.Argument(metavar="[KEY]...")] = None,
    all_: Annotated[bool, typer.Option("--all", "-a", help="Defaults too.")] = False,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Values and where they come from; those that are not defaults, unless named."""
    wanted = _resource(resource)
    with admin_of(bootstrap, sets) as admin:
        found = admin.describe_configs([wanted])[wanted]
    unknown = [name for name in names or () if name not in found]
    if unknown:
        raise Failed(f"{resource} has no config {unknown[0]}", f"`odradek config get {resource} --all` shows them")
    rows = [found[name] for name in names] if names else [
        entry for _, entry in sorted(found.items()) if all_ or not entry.is_default
    ]  # fmt: skip
    if as_json:
        document([{"name": entry.name, "value": entry.value, "source": _source(entry.source),
                   "read_only": entry.is_read_only} for entry in rows])  # fmt: skip
    else:
        table(("KEY", "VALUE", "FROM"), [
            (entry.name, "(hidden)" if entry.is_sensitive else entry.value, _source(entry.source)) for entry in rows
        ])  # fmt: skip


def set_(
    resource: Of,
    settings: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...")] = None,
    unset: Annotated[list[str], typer.Option("--unset", metavar="KEY", help="Back to the default.")] = NOTHING,
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP,
    sets: Sets = NOTHING,
    as_json: Json = False,
) -> None:
    """Change what is named, leave the rest."""
    changes: dict[str, str | None] = {**pairs(settings or [], ""), **dict.fromkeys(unset)}
    if not changes:
        raise Mistake("nothing to set", "give key=value or --unset key")
    with admin_of(bootstrap, sets) as admin:
        admin.alter_configs({_resource(resource): changes})
    if as_json:
        document({"resource": resource, "changed": changes})
    else:
        for name, value in changes.items():
            print(f"{resource} {name}: {'default' if value is None else value}")


def _resource(text: str) -> Resource:
    from clients.admin_types import BROKER, TOPIC, Resource

    kind, _, name = text.partition("/")
    if kind == "topic" and name:
        return Resource(TOPIC, name)
    if kind == "broker" and name.isdecimal():
        return Resource(BROKER, name)
    if text == "brokers":
        return Resource(BROKER, "")
    raise Mistake(f"{text} has no configs", "write topic/NAME, broker/ID or brokers")


def _source(number: int) -> str:
    return _SOURCES.get(number, str(number))


COMMANDS: dict[str, Callable[..., Any]] = {"get": get, "set": set_}
