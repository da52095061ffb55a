"""A broker that only lives, for tests of the supervisor. What it sees goes to `seen.txt` in its data directory.

`STUB_BROKER_FAILS=N` in the environment makes broker N fail at its start, `STUB_BROKER_HANGS=N` never stop.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from typing import Any

from actors.actor_system import ActorSystem
from actors.broker_spec import BrokerSpec
from model.errors import ConfigError
from protocol.cluster_supervision import (
    SUPERVISOR_ADDRESS,
    SUPERVISOR_NODE,
    BrokerDown,
    ClusterView,
    ControllerElected,
)


class StubBroker:
    def __init__(self, spec: BrokerSpec, bus: Any, system: ActorSystem) -> None:
        self.spec = spec
        self.bus = bus
        self.server: asyncio.Server | None = None

    async def start(self, listen_socket: socket.socket) -> None:
        if os.environ.get("STUB_BROKER_FAILS") == str(self.spec.broker_id):
            raise ConfigError("the stub was told to fail")
        self.note("start", f"{time.monotonic_ns()}")
        self.server = await asyncio.start_server(self.greet, sock=listen_socket)
        if self.spec.broker_id == 1:
            self.bus.tell(
                SUPERVISOR_NODE, SUPERVISOR_ADDRESS, ControllerElected(1, self.spec.incarnation), control=True
            )

    async def greet(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"broker {self.spec.broker_id} incarnation {self.spec.incarnation}\n".encode())
        await writer.drain()
        writer.close()

    def on_cluster_view(self, view: ClusterView) -> None:
        states = ",".join(f"{peer.broker_id}:{peer.state}" for peer in view.brokers)
        self.note("view", f"{view.version} {states}")

    def on_envelope(self, envelope: Any) -> None:
        message = envelope.message
        if isinstance(message, BrokerDown):
            self.note("down", f"{message.broker_id} {message.incarnation} {time.monotonic_ns()} {message.reason}")

    async def stop(self) -> None:
        if os.environ.get("STUB_BROKER_HANGS") == str(self.spec.broker_id):
            time.sleep(60)  # noqa: ASYNC251  # a hung loop is what this is about
        self.note("stop", f"{time.monotonic_ns()}")

    def note(self, what: str, details: str) -> None:
        with open(self.spec.data_dir / "seen.txt", "a") as file:
            file.write(f"{what} {details}\n")
