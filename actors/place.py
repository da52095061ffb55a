"""A place in the tree of actors, and what is told about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.supervision import Restart, RestartPolicy, Supervision
from model.errors import OdradekError

if TYPE_CHECKING:
    from actors.actor import Actor


class MailboxFull(OdradekError):
    """Raised by `ref.tell` and `ask` when the inbox is at its capacity; `ActorSystem.tell` answers False instead."""


@dataclass(frozen=True, slots=True)
class Down:
    """Told to a monitor when an instance at `path` has ended. `reason`: "stopped", "failed: …" or "not running"."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class ActorStatistics:
    """Counts over all instances at one path; `rejected` messages found the inbox full."""

    is_running: bool
    inbox_depth: int
    inbox_depth_max: int
    handled: int
    failures: int
    restarts: int
    rejected: int


class Cell:
    """One place in the tree, kept over the restarts of the actor that lives there."""

    __slots__ = (
        "actor",
        "children",
        "depth_max",
        "factory",
        "failures",
        "handled",
        "parent",
        "path",
        "rejected",
        "restart",
        "restarts",
        "supervision",
        "timer",
        "watchers",
    )

    def __init__(
        self,
        path: str,
        factory: Callable[[], Actor] | None,
        parent: Cell | None,
        restart: Restart,
        policy: RestartPolicy,
    ) -> None:
        self.path = path
        self.factory = factory
        self.parent = parent
        self.restart: Restart = restart
        self.supervision = Supervision(policy)
        self.children: dict[str, Cell] = {}
        self.watchers: dict[str, None] = {}
        self.actor: Actor | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.handled = self.failures = self.restarts = self.rejected = self.depth_max = 0

    def statistics(self) -> ActorStatistics:
        depth = len(self.actor._queue) if self.actor is not None else 0
        return ActorStatistics(
            self.actor is not None, depth, self.depth_max, self.handled, self.failures, self.restarts, self.rejected
        )
