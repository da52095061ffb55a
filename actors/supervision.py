"""Who is restarted, when, and when to give up: OTP's supervision as a pure machine.

One `Supervision` per supervisor. Its events say what happened to a child, its effects say what to do, in order.
The actor system performs them on actors, the supervisor process performs them on broker processes.

- `one_for_one` restarts the child that ended; `rest_for_one` also those started after it; `one_for_all` all of them.
- A `permanent` child is always restarted, a `transient` one only after a failure, a `temporary` one never.
- More than `intensity` restarts within `period_ms`: the supervisor gives up and escalates.
- Each further failure of a child doubles its delay, from `backoff_first_ms` to `backoff_max_ms`; a child that has lived
  for `period_ms` starts over.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

Strategy: TypeAlias = Literal["one_for_one", "rest_for_one", "one_for_all"]
Restart: TypeAlias = Literal["permanent", "transient", "temporary"]


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    strategy: Strategy = "one_for_one"
    intensity: int = 10
    period_ms: int = 10_000
    backoff_first_ms: int = 50
    backoff_max_ms: int = 2_000


@dataclass(frozen=True, slots=True)
class ChildStarted:
    """A child runs. Its first start fixes its place in the order; later ones keep it."""

    child: str
    restart: Restart = "permanent"


@dataclass(frozen=True, slots=True)
class ChildReady:
    """A child got so far that its next restart need not wait longer than its first."""

    child: str


@dataclass(frozen=True, slots=True)
class ChildEnded:
    """A child ended by itself: by a failure, or by a normal stop nobody asked the supervisor for."""

    child: str
    is_failure: bool


@dataclass(frozen=True, slots=True)
class ChildRemoved:
    """Somebody stopped a child on purpose: it is forgotten."""

    child: str


Event: TypeAlias = ChildStarted | ChildReady | ChildEnded | ChildRemoved


@dataclass(frozen=True, slots=True)
class StopChild:
    child: str


@dataclass(frozen=True, slots=True)
class StartChild:
    child: str
    delay_ms: int


@dataclass(frozen=True, slots=True)
class ForgetChild:
    child: str


@dataclass(frozen=True, slots=True)
class Escalate:
    """The supervisor itself fails, because of this child."""

    child: str


Effect: TypeAlias = StopChild | StartChild | ForgetChild | Escalate


class _Child:
    __slots__ = ("failures", "restart", "started_ms")

    def __init__(self, restart: Restart, started_ms: int) -> None:
        self.restart = restart
        self.started_ms = started_ms
        self.failures = 0


class Supervision:
    """The restart decisions of one supervisor; `children` keeps start order."""

    __slots__ = ("_children", "_restarts_ms", "policy")

    def __init__(self, policy: RestartPolicy | None = None) -> None:
        self.policy = policy or RestartPolicy()
        self._children: dict[str, _Child] = {}
        self._restarts_ms: deque[int] = deque()

    @property
    def children(self) -> tuple[str, ...]:
        return tuple(self._children)

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        match event:
            case ChildStarted(name, restart):
                child = self._children.get(name)
                if child is None:
                    self._children[name] = _Child(restart, now_ms)
                else:
                    child.restart, child.started_ms = restart, now_ms
                return []
            case ChildReady(name):
                if name in self._children:
                    self._children[name].failures = 0
                return []
            case ChildRemoved(name):
                self._children.pop(name, None)
                return []
            case ChildEnded(name, is_failure):
                return self._ended(name, is_failure, now_ms)

    def _ended(self, name: str, is_failure: bool, now_ms: int) -> list[Effect]:
        child = self._children.get(name)
        if child is None:
            return []
        if child.restart == "temporary" or (child.restart == "transient" and not is_failure):
            del self._children[name]
            return [ForgetChild(name)]
        if self._is_too_intense(now_ms):
            return [Escalate(name)]
        delay_ms = self._backoff_ms(child, now_ms)
        affected = self._affected_by(name)
        stops: list[Effect] = [StopChild(other) for other in reversed(affected) if other != name]
        starts: list[Effect] = [StartChild(other, delay_ms) for other in affected]
        return stops + starts

    def _is_too_intense(self, now_ms: int) -> bool:
        recent = self._restarts_ms
        recent.append(now_ms)
        while recent[0] <= now_ms - self.policy.period_ms:
            recent.popleft()
        return len(recent) > self.policy.intensity

    def _backoff_ms(self, child: _Child, now_ms: int) -> int:
        if now_ms - child.started_ms >= self.policy.period_ms:
            child.failures = 0
        # 16 doublings exceed any sane maximum; the cap keeps the shift small
        delay_ms = self.policy.backoff_first_ms << min(child.failures, 16)
        child.failures += 1
        return min(delay_ms, self.policy.backoff_max_ms)

    def _affected_by(self, name: str) -> list[str]:
        names = list(self._children)
        match self.policy.strategy:
            case "one_for_one":
                return [name]
            case "rest_for_one":
                # temporary siblings are stopped with the rest but must not come back: they are simply left running
                names = names[names.index(name) :]
            case "one_for_all":
                pass
        return [other for other in names if self._children[other].restart != "temporary"]

    def check(self) -> None:
        """Assert the invariants: bounded history, sane delays."""
        assert len(self._restarts_ms) <= self.policy.intensity + 1
        assert all(child.failures >= 0 for child in self._children.values())
