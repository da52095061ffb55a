"""The brokers' ZeroMQ doors: where each one is, and which address a client is told of.

As Kafka does with its listeners: a client that came through a ZeroMQ gateway is told the gateways of the other brokers,
one that came over TCP their TCP ports. An ipc gateway is told as host `ipc://path` and port 0. The place follows from
the broker's number alone, so no broker needs to be told another one's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from actors.api.dispatch import RequestContext
    from machines.metadata import BrokerInfo

IPC_PORT = 0


def gateway_address(first_port: int, run_dir: Path, host: str, broker_id: int) -> tuple[str, int]:
    """Host and port. `first_port` is the config zmq.port; below zero: an ipc socket in the run directory."""
    if first_port < 0:
        return f"ipc://{run_dir / f'{broker_id}.k'}", IPC_PORT
    return host, first_port + broker_id - 1


def gateway_endpoint(first_port: int, run_dir: Path, host: str, broker_id: int) -> str:
    """The same as ZeroMQ writes it."""
    where, port = gateway_address(first_port, run_dir, host, broker_id)
    if port == IPC_PORT:
        return where
    return f"tcp://[{where}]:{port}" if ":" in where else f"tcp://{where}:{port}"


def address_for(context: RequestContext, broker: BrokerInfo) -> tuple[str, int]:
    """Where this request's client reaches that broker."""
    if not context.connection.is_zmq:
        return broker.host, broker.port
    ours = context.broker
    return gateway_address(ours.zmq_port, ours.spec.run_dir, broker.host, broker.broker_id)
