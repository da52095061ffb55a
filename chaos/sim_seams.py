"""What the simulator puts in place of the machine under the brokers, while it runs and no longer.

    time, os.urandom, os.getpid                   virtual clocks, seeded bytes
    Listener, Gateway, MemoryReturn               in actors.broker: no sockets, no C library
    Lifelines                                     in actors.peers
    LocalMetadataStore                            in actors.broker: one for all, in memory
    Thread                                        in actors.controller
    ThreadPoolExecutor, OsDisk, current_boot_id   wherever actors use them
    Log                                           in actors.log_directory: the real one, watched

Everything else that runs is what runs in production.
"""

from __future__ import annotations

import importlib
import logging
import os
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import actors.broker
import actors.broker_process
import actors.controller
import actors.log_cleaner
import actors.log_directory
import actors.log_upkeep
import actors.peers
import actors.replicas
from actors.api.dispatch import HANDLERS
from chaos.sim_disk import ForgetfulDisk
from chaos.sim_lease import VirtualMetadataStore, VirtualThread
from chaos.sim_log import WatchedLog
from chaos.sim_world import VirtualExecutor
from transport.gateway import Gateway
from transport.listener import Listener

if TYPE_CHECKING:
    from chaos.sim_cluster import Cluster
    from chaos.sim_process import Process


for _name in ("aiokafka.record.default_records", *(f"actors.api.{name}" for name in HANDLERS.values())):
    importlib.import_module(_name)  # now and not when first needed: some modules keep the time.time they see


class QuietListener(Listener):
    """No sockets: clients are simulated."""

    async def start(self, *_: object) -> None:
        pass

    def stop_accepting(self) -> None:
        pass

    async def close(self, *_: object) -> None:
        pass


class QuietGateway(Gateway):
    """No ZeroMQ either."""

    async def start(self) -> None:
        pass

    async def close(self, *_: object) -> None:
        pass


class VirtualLifelines:
    """The end of a process is felt by those that watch it, a little before the supervisor says so."""

    def __init__(self, node_id: int, incarnation: int, directory: Path, on_lost: Callable[[int, int], None]) -> None:
        self.on_lost = on_lost
        self.watched: dict[int, int] = {}
        process = _current()
        process.cluster.lifelines[process.broker_id] = (process, self)

    def start(self) -> None:
        pass

    def watch(self, node_id: int, incarnation: int) -> None:
        if self.watched.get(node_id, -1) < incarnation:
            self.watched[node_id] = incarnation

    def ended(self, node_id: int, incarnation: int) -> None:
        if self.watched.get(node_id) == incarnation:
            self.on_lost(node_id, incarnation)

    def forget(self, node_id: int, incarnation: int) -> None:
        if self.watched.get(node_id) == incarnation:
            del self.watched[node_id]

    def close(self) -> None:
        self.watched.clear()


def _current() -> Process:
    process = actors_world.current
    assert process is not None
    return process


def _disk(*_: object, **__: object) -> ForgetfulDisk:
    return _current().disk


class _Current:
    """The cluster of the simulation that runs; there is one at a time in a process."""

    cluster: Cluster | None = None

    @property
    def current(self) -> Process | None:
        return self.cluster.world.current if self.cluster is not None else None


actors_world = _Current()


def _clocks(cluster: Cluster) -> dict[str, Callable[[], Any]]:
    world = cluster.world

    def monotonic() -> float:
        return world.current.clock.time() if world.current is not None else world.now_s

    def wall() -> float:
        process = world.current
        return process.clock.time() + process.clock.wall_ahead_s if process is not None else world.now_s

    return {
        "monotonic": monotonic,
        "perf_counter": monotonic,
        "monotonic_ns": lambda: int(monotonic() * 1e9),
        "time": wall,
        "time_ns": lambda: int(wall() * 1e9),
    }


@contextmanager
def in_place_of_the_machine(cluster: Cluster) -> Iterator[None]:
    """Everything the brokers do in here is simulated."""
    chance = cluster.world.chance("bytes")
    VirtualThread.shared = cluster.metadata
    names: list[tuple[Any, str, Any]] = [(time, name, clock) for name, clock in _clocks(cluster).items()]
    names += [
        (os, "urandom", chance.randbytes),
        (os, "getpid", lambda: _current().incarnation),
        (actors.broker, "Listener", QuietListener),
        (actors.broker, "Gateway", QuietGateway),
        (actors.peers, "Lifelines", VirtualLifelines),
        (actors.broker, "LocalMetadataStore", lambda _: VirtualMetadataStore(cluster.metadata, _current())),
        (actors.broker, "MemoryReturn", lambda traffic: types.SimpleNamespace(round=lambda: False)),
        (actors.broker_process, "gc", types.SimpleNamespace(collect=lambda: 0, freeze=lambda: None)),
        (actors.controller, "threading", types.SimpleNamespace(Thread=VirtualThread)),
        (actors.log_directory, "current_boot_id", lambda: cluster.boot_ids[_current().broker_id]),
        (actors.log_directory, "Log", WatchedLog),
    ]
    names += [(module, "OsDisk", _disk) for module in (actors.broker, actors.log_directory, actors.replicas)]
    threaded = (actors.controller, actors.log_cleaner, actors.log_directory, actors.log_upkeep)
    names += [(module, "ThreadPoolExecutor", VirtualExecutor) for module in threaded]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in names]
    level = logging.root.manager.disable
    actors_world.cluster = cluster
    try:
        logging.disable(logging.CRITICAL)
        for owner, name, replacement in names:
            setattr(owner, name, replacement)
        yield
    finally:
        for owner, name, original in before:
            setattr(owner, name, original)
        logging.disable(level)
        actors_world.cluster = None
