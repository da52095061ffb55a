"""Whom to tell when this broker begins or ends to lead a partition of an internal topic: its coordinators."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.replica import Replica

OnRole = Callable[["Replica", bool], None]


class Coordinators:
    """Topic → whoever coordinates by it."""

    def __init__(self) -> None:
        self._on_role: dict[str, OnRole] = {}

    def register(self, topic: str, on_role: OnRole) -> None:
        """`on_role(replica, leads)` is called when the role of one of the topic's partitions begins (True) or ends."""
        self._on_role[topic] = on_role

    def on_role(self, replica: Replica, leads: bool) -> None:
        """`leads`: the partition's leader actor runs here, in a new epoch. Else: whatever role there was has ended."""
        on_role = self._on_role.get(replica.partition.topic)
        if on_role is not None:
            on_role(replica, leads)
