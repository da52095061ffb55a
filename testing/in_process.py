"""One broker on a thread of this process, for unit tests: the same Broker, no supervisor, no process to spawn.

A kill ends its loop where it stands, closes its sockets and starts the next incarnation on the same files: like a
SIGKILL, except that its memory lasts until the garbage is collected. A pause keeps the loop from turning.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testing.waiting import ClusterFailed

if TYPE_CHECKING:
    import socket

    from actors.actor_system import ActorSystem
    from actors.broker import Broker
    from actors.broker_spec import BrokerSpec
    from actors.cluster_directory import ClusterDirectory, RunDirectory
    from actors.cluster_file import ClusterFile
    from transport.bus import Bus
    from transport.envelope import Envelope

logger = logging.getLogger(__name__)
BROKER_ID = 1
HOST = "127.0.0.1"
_END_S = 5.0


class InProcess:
    """What `Cluster` does when it is told `in_process=True`."""

    def __init__(self, *, port: int, data_dir: Path, configs: Mapping[str, str], start_timeout_s: float) -> None:
        self.port = port
        self.data_dir = data_dir
        self.configs = dict(configs)
        self.start_timeout_s = start_timeout_s
        self.restarts = 0
        self._incarnation = 0
        self._events: list[str] = []
        self._life: _Life | None = None
        self._directory: ClusterDirectory | None = None
        self._run: RunDirectory | None = None
        self._reserved: socket.socket | None = None

    def start(self) -> str:
        """Its address, once it serves. Raises ClusterFailed, or what the broker raised."""
        from actors.cluster_directory import ClusterDirectory, RunDirectory
        from model.configs import BrokerConfig
        from transport.ports import port_of, reserve

        BrokerConfig(self.configs)
        try:
            self._directory = ClusterDirectory.open(self.data_dir)
            self._run = RunDirectory()
            self._reserved = reserve(HOST, self.port)
            self.port = port_of(self._reserved)
            self._live()
        except BaseException:
            self.stop()
            raise
        return f"{HOST}:{self.port}"

    def stop(self, timeout_s: float = 15.0, *, is_hurried: bool = False) -> None:
        """Hurried: without order, for files that nobody will read."""
        life, self._life = self._life, None
        if life is not None:
            life.end(timeout_s, is_orderly=not is_hurried)
            self._events.append("broker 1 stopped")
        if self._directory is not None and self._incarnation:
            self._file().write(self._directory.path)
        for taken in (self._reserved, self._run, self._directory):
            if taken is not None:
                taken.close()
        self._reserved = self._run = self._directory = None

    def kill_supervisor(self) -> None:
        """There is none, so this ends the broker in the same way: at once."""
        life, self._life = self._life, None
        if life is not None:
            life.end(_END_S, is_orderly=False)
        self.stop()

    @property
    def is_running(self) -> bool:
        return self._life is not None

    @property
    def supervisor_pid(self) -> int:
        return os.getpid()

    def output(self, since: int = 0) -> str:
        return "\n".join(self._events)[since:]

    def state(self) -> dict[str, Any]:
        """In the form of `cluster.json`."""
        if self._life is None:
            return {}
        import msgspec

        found: dict[str, Any] = msgspec.to_builtins(self._file())
        return found

    def statistics(self) -> dict[str, Any]:
        """Of every actor, by its path."""
        return {} if self._life is None else dict(self._life.system.statistics())

    def pause(self) -> None:
        if self._life is not None:
            self._life.may_turn.clear()
            self._life.loop.call_soon_threadsafe(self._life.may_turn.wait)

    def resume(self) -> bool:
        if self._life is None:
            return False
        self._life.may_turn.set()
        return True

    def kill(self, _broker_id: int) -> int:
        self._again(is_orderly=False)
        return os.getpid()

    def restart(self, _broker_id: int) -> None:
        self._again(is_orderly=True)

    def _file(self) -> ClusterFile:
        """What a supervisor would write: the folder can be taken up again, by a cluster of processes too."""
        from actors.cluster_file import BrokerEntry, ClusterFile

        assert self._directory is not None
        life = self._life
        entry = BrokerEntry(
            id=BROKER_ID, pid=os.getpid() if life else None, host=HOST, port=self.port,
            zmq_endpoint=life.gateway if life else None,
            state="running" if life else "down", incarnation=self._incarnation, restarts=self.restarts,
        )  # fmt: skip
        return ClusterFile(
            cluster_id=self._directory.cluster_id, state="ready" if life else "stopped",
            controller_id=BROKER_ID if life is not None and life.broker.controller.image is not None else None,
            bootstrap=f"{HOST}:{self.port}", brokers=(entry,),
        )  # fmt: skip

    def _again(self, *, is_orderly: bool) -> None:
        life, self._life = self._life, None
        if life is None:
            raise ClusterFailed("the cluster is not running")
        life.end(_END_S, is_orderly=is_orderly)
        self._events.append(f"broker 1 is down: {'restarted' if is_orderly else 'killed'}")
        self.restarts += 1
        self._live()

    def _live(self) -> None:
        from actors.broker_spec import BrokerSpec

        assert self._directory is not None and self._run is not None
        directory = self._directory
        if not self._incarnation and directory.before is not None:
            self._incarnation = directory.before.incarnation_of(BROKER_ID)
        self._incarnation += 1
        self._file().write(directory.path, is_durable=True)
        spec = BrokerSpec(
            broker_id=BROKER_ID, incarnation=self._incarnation, cluster_id=directory.cluster_id,
            cluster_dir=directory.path, data_dir=directory.broker_directory(BROKER_ID), run_dir=self._run.path,
            log_dir=directory.path / "logs", host=HOST, port=self.port, overrides=self.configs, log_level="warning",
            supervisor_pid=os.getpid(), supervisor_incarnation=0, supervisor_data_endpoint="",
            supervisor_control_endpoint="",
        )  # fmt: skip
        life = _Life(spec, self._events)
        life.begin(self.start_timeout_s)
        self._life = life
        self._file().write(directory.path)
        self._events.append(f"broker 1 is up{' again' if self.restarts else ''} at {HOST}:{self.port}")


class _Life:
    """One incarnation: a thread, its loop, its broker."""

    broker: Broker
    bus: Bus
    system: ActorSystem
    loop: asyncio.AbstractEventLoop

    def __init__(self, spec: BrokerSpec, events: list[str]) -> None:
        self.spec = spec
        self.may_turn = threading.Event()
        self.may_turn.set()
        self._events = events
        self._has_begun = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="odradek-broker-1", daemon=True)

    def begin(self, timeout_s: float) -> None:
        self._thread.start()
        if not self._has_begun.wait(timeout_s):
            raise ClusterFailed(f"the broker in this process did not start within {timeout_s:g} s")
        if self._failure is not None:
            raise self._failure

    def end(self, timeout_s: float, *, is_orderly: bool) -> None:
        self.may_turn.set()
        work = asyncio.run_coroutine_threadsafe(self._stop() if is_orderly else self._drop(), self.loop)
        try:
            work.result(timeout_s)
        except TimeoutError:
            logger.warning("the broker in this process did not end within %g s", timeout_s)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        import uvloop

        self.loop = loop = uvloop.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._start())
        except BaseException as failure:
            self._failure = failure
            self._has_begun.set()
        else:
            self._has_begun.set()
            loop.run_forever()
        finally:
            loop.run_until_complete(_end_all_tasks())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    async def _start(self) -> None:
        from actors.actor_system import ActorSystem
        from actors.broker import Broker
        from actors.event_log import EventLog
        from protocol.cluster_supervision import BrokerView, ClusterView
        from protocol.events import birth
        from transport.bus import Bus
        from transport.ports import bind_socket

        spec = self.spec
        os.makedirs(spec.data_dir, exist_ok=True)
        self.system = ActorSystem(on_escalation=self._gave_up)
        self.system.events = EventLog(spec.cluster_dir, "broker-1", spec.broker_id, spec.incarnation)
        self.system.events.tell(
            "broker-started",
            "broker 1",
            own_id=birth(BROKER_ID, spec.incarnation),
            incarnation=spec.incarnation,
            pid=os.getpid(),
        )
        self.bus = Bus(
            spec.broker_id, spec.incarnation, directory=spec.run_dir, host=None, message_type=Broker.message_type,
            deliver=self._deliver,
        )  # fmt: skip
        await self.bus.start()
        self.broker = Broker(spec, self.bus, self.system)
        listener = bind_socket(spec.host, spec.port)
        ends = self.bus.data_endpoint, self.bus.control_endpoint
        view = BrokerView(spec.broker_id, spec.incarnation, "running", spec.host, spec.port, *ends, os.getpid())
        self.broker.on_cluster_view(ClusterView(1, -1, (view,)))
        await self.broker.start(listener)

    @property
    def gateway(self) -> str:
        """Where ZeroMQ clients connect."""
        from actors.gateways import gateway_endpoint

        return gateway_endpoint(self.broker.zmq_port, self.spec.run_dir, self.spec.host, self.spec.broker_id)

    async def _stop(self) -> None:
        await self.broker.stop()
        self.system.stop_all()
        await self._let_go()

    async def _drop(self) -> None:
        """Only what the kernel would do at a process's end: sockets, files and locks go, nothing is written."""
        broker = self.broker
        broker._is_stopping = True
        for timer in broker._timers:
            timer.cancel()
        await broker.controller.stop()
        await broker.listener.close()
        await broker.gateway.close()
        broker.peers.close()
        await self._let_go()

    async def _let_go(self) -> None:
        """What would otherwise stay open, or in pykka's registry, for as long as this process lives."""
        await self.bus.close()
        self.system.events.close()
        self.broker.replicas.disk.close_all()
        self.system.abandon()

    def _deliver(self, envelope: Envelope) -> None:
        self.broker.on_envelope(envelope)

    def _gave_up(self, path: str, reason: str) -> None:
        self._events.append(f"broker 1 failed: {path}: {reason}")


async def _end_all_tasks() -> None:
    """As asyncio.run does at its end; a killed broker leaves its actors' tasks behind."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
