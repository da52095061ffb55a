"""What SET may set, under the names of Kafka Streams; ksqlDB's `ksql.streams.` in front is understood."""

from __future__ import annotations

from typing import Any

from streams.sql.errors import SqlError, near
from streams.sql.statements import SetProperty

_CHOICES = {
    "auto.offset.reset": ("earliest", "latest"),
    "processing.guarantee": ("at_least_once", "exactly_once_v2"),
}
"""Default first."""
_NUMBERS = ("commit.interval.ms", "max.task.idle.ms", "num.standby.replicas", "replication.factor", "task.timeout.ms")
"""Of the apps that run queries, which have defaults of their own for them."""
_NEEDLESS = {
    "cache.max.bytes.buffering": "every change is an answer here, as with a cache of 0",
    "statestore.cache.max.bytes": "every change is an answer here, as with a cache of 0",
    "ksql.query.pull.table.scan.enabled": "a SELECT may scan a table here, always",
    "ksql.query.push.v2.enabled": "there is one kind of push query here",
}
"""What scripts for ksqlDB set, and what to say to it."""
_NAMES = (*_CHOICES, *_NUMBERS, *_NEEDLESS)


def defaults() -> dict[str, str]:
    return {name: choices[0] for name, choices in _CHOICES.items()}


def change(properties: dict[str, str], statement: SetProperty) -> str:
    """Carry out a SET or UNSET; gives what to say. Raises SqlError."""
    name, value = statement.name.lower(), statement.value
    name = name if name in _NAMES else name.removeprefix("ksql.").removeprefix("streams.")
    if name in _NEEDLESS:
        return f"{name} changes nothing: {_NEEDLESS[name]}"
    if name in _CHOICES:
        chosen = _CHOICES[name][0] if value is None else value.lower()
        if chosen not in _CHOICES[name]:
            hint = near(chosen, _CHOICES[name])
            raise SqlError(f"{name} is {' or '.join(_CHOICES[name])}", statement.at, hint)
        properties[name] = chosen
        return f"{name} is {chosen}"
    if name not in _NUMBERS:
        raise SqlError(f"no property {name}", statement.at, near(name, _NAMES) or f"there are {', '.join(_NAMES)}")
    if value is None:
        properties.pop(name, None)
        return f"{name} is what it was"
    if not value.lstrip("-").isdecimal():
        raise SqlError(f"{name} is a number", statement.at)
    properties[name] = value
    return f"{name} is {value}"


def app_settings(properties: Any) -> dict[str, int]:
    """Those of a query's app, under the names that Streams gives them."""
    return {name.replace(".", "_"): int(properties[name]) for name in _NUMBERS if name in properties}
