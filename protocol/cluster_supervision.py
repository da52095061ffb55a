"""What brokers and the supervisor (node 0) say to each other over the bus; all of it on the control socket."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from protocol.cluster_chaos import Suffer, Suffered

SUPERVISOR_NODE = 0
SUPERVISOR_ADDRESS = "/supervisor"
BROKER_ADDRESS = "/broker"

BrokerState: TypeAlias = Literal["starting", "running", "stopping", "down", "failed"]


class BrokerView(msgspec.Struct, tag="BrokerView", array_like=True, frozen=True, gc=False):
    """One broker as the supervisor sees it. Endpoints are "" until this incarnation's bus is up; pid 0: no process."""

    broker_id: int
    incarnation: int
    state: BrokerState
    host: str
    port: int
    data_endpoint: str = ""
    control_endpoint: str = ""
    pid: int = 0


class ClusterView(msgspec.Struct, tag="ClusterView", array_like=True, frozen=True):
    """Supervisor → every broker, at each change. A view with a lower version than one seen before is stale."""

    version: int
    controller_id: int
    brokers: tuple[BrokerView, ...]


class BrokerDown(msgspec.Struct, tag="BrokerDown", array_like=True, frozen=True, gc=False):
    """Supervisor → every broker: this process is dead for certain (reaped), not merely silent."""

    broker_id: int
    incarnation: int
    reason: str


class Stop(msgspec.Struct, tag="Stop", array_like=True, frozen=True, gc=False):
    """Supervisor → broker: hand over what you lead, flush, and exit before `deadline_ms` have passed."""

    deadline_ms: int


class BrokerHello(msgspec.Struct, tag="BrokerHello", array_like=True, frozen=True, gc=False):
    """Broker → supervisor: my bus is up and can be connected to."""

    broker_id: int
    incarnation: int
    pid: int
    data_endpoint: str
    control_endpoint: str


class BrokerReady(msgspec.Struct, tag="BrokerReady", array_like=True, frozen=True, gc=False):
    """Broker → supervisor: I accept clients and am registered with the controller."""

    broker_id: int
    incarnation: int
    port: int


class Heartbeat(msgspec.Struct, tag="Heartbeat", array_like=True, frozen=True, gc=False):
    """Broker → supervisor, every 100 ms from the broker's own loop: a loop that hangs falls silent."""

    broker_id: int
    incarnation: int


class ControllerElected(msgspec.Struct, tag="ControllerElected", array_like=True, frozen=True, gc=False):
    """Broker → supervisor: I hold the controller's lease."""

    broker_id: int
    epoch: int


SupervisionMessage: TypeAlias = (
    ClusterView | BrokerDown | Stop | BrokerHello | BrokerReady | Heartbeat | ControllerElected | Suffer | Suffered
)
