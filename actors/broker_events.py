"""What happens to broker processes, and what the supervisor does about it: the events and effects of `BrokerWatch`.

The brokers' own messages (`protocol/cluster_supervision.py`) are events as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from protocol.cluster_supervision import (
    BrokerDown,
    BrokerHello,
    BrokerReady,
    ClusterView,
    ControllerElected,
    Heartbeat,
)


@dataclass(frozen=True, slots=True)
class Spawned:
    broker_id: int
    incarnation: int
    pid: int


@dataclass(frozen=True, slots=True)
class ProcessEnded:
    """The process is reaped. `reason` is for people, e.g. "killed by SIGKILL"."""

    broker_id: int
    incarnation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Looked:
    """The answer to `LookAt`: is the process stopped (SIGSTOP, a debugger)?"""

    broker_id: int
    incarnation: int
    is_stopped: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """Every TICK_MS."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    pass


Event: TypeAlias = (
    Spawned | ProcessEnded | Looked | Tick | StopRequested | BrokerHello | BrokerReady | Heartbeat | ControllerElected
)


@dataclass(frozen=True, slots=True)
class Spawn:
    broker_id: int
    incarnation: int
    delay_ms: int


@dataclass(frozen=True, slots=True)
class Kill:
    broker_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class LookAt:
    broker_id: int


@dataclass(frozen=True, slots=True)
class Connect:
    """This incarnation's bus is up."""

    hello: BrokerHello


@dataclass(frozen=True, slots=True)
class Announce:
    """To every broker whose bus is up."""

    message: BrokerDown | ClusterView


@dataclass(frozen=True, slots=True)
class AskToStop:
    broker_id: int


@dataclass(frozen=True, slots=True)
class BrokerIsUp:
    broker_id: int
    is_first_time: bool


@dataclass(frozen=True, slots=True)
class ClusterIsReady:
    """For the first time all brokers run."""


@dataclass(frozen=True, slots=True)
class ClusterCannotStart:
    broker_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class GaveUp:
    broker_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class AllStopped:
    pass


@dataclass(frozen=True, slots=True)
class StateChanged:
    """cluster.json has to be written anew."""


Effect: TypeAlias = (
    Spawn
    | Kill
    | LookAt
    | Connect
    | Announce
    | AskToStop
    | BrokerIsUp
    | ClusterIsReady
    | ClusterCannotStart
    | GaveUp
    | AllStopped
    | StateChanged
)
