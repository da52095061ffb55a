"""What the topologies of the golden files are registered with, and small functions that several of them use.

A case is a function that builds on the builder it is given; its name is the recorded one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from streams import LONG, STRING, ConsumedRecord, JoinWindows, Stores, StreamsBuilder, TimeWindows

S, L = STRING, LONG
SERDES = {"key": S, "value": S}
JOINED = {"key": S, "value": S, "other_value": S}
SIX_AND_FIVE = JoinWindows.of_time_difference_and_grace(6, 5)
TEN_AND_FIVE = TimeWindows.of_size_and_grace(10, 5)
Case = Callable[[StreamsBuilder], object]
CASES: dict[str, Case] = {}
EXTRA_CASES: dict[str, Case] = {}


def case(build: Case) -> Case:
    """One of streams_golden.json."""
    CASES[build.__name__] = build
    return build


def extra(build: Case, name: str | None = None) -> Case:
    """One of streams_extra_golden.json: what the first file leaves unchecked."""
    EXTRA_CASES[name or build.__name__] = build
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


def concat(_key: Any, value: str | None, aggregate: str) -> str:
    return f"{aggregate}{shown(value)}."


def embedded_timestamp(record: ConsumedRecord, _partition_time: int) -> int:
    _, marker, embedded = str(record.value).partition("@")
    return int(embedded) if marker else record.timestamp


def versioned(b: StreamsBuilder, topic: str, history_ms: int) -> Any:
    return b.table(topic, store=Stores.persistent_versioned_key_value_store(f"v{topic}", history_ms))


def last(value: str) -> str:
    return value[-1]


def user(order: str) -> str | None:
    first = order.split("|")[0]
    return None if first == "-" else first


def joined_values(left: str | None, right: str | None) -> str:
    return shown(left) + shown(right)
