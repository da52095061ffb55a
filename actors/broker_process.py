"""A broker's process from its first line to its last: link, logging, loop, bus, heartbeats, the broker, the end.

It lives exactly as long as it is useful: it dies with its supervisor (the link ends; the kernel kills it), and it exits
by itself when its broker can't go on (crash-only). Exit never waits for the interpreter's tear-down.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import importlib
import logging
import os
import resource
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from actors.actor_system import ActorSystem
from actors.broker_spec import BrokerSpec
from actors.event_log import SILENCE, EventLog, Silence
from actors.portrait import answer_requests
from model.errors import OdradekError
from protocol.cluster_supervision import (
    SUPERVISOR_ADDRESS,
    SUPERVISOR_NODE,
    BrokerDown,
    BrokerHello,
    BrokerReady,
    ClusterView,
    Heartbeat,
    Stop,
    SupervisionMessage,
)
from protocol.events import birth

if TYPE_CHECKING:
    from transport.bus import Bus
    from transport.envelope import Envelope

logger = logging.getLogger(__name__)

HEARTBEAT_S = 0.1
STOP_S = 1.5
LOG_FILE_BYTES = 10_000_000
DIRECTORY_LOCK_S = 3.0
EXIT_FAILED = 1
EXIT_ORPHAN = 75


def main(link_fd: int, broker_class: str) -> NoReturn:
    """Entry of the spawned interpreter. Imports the broker while the supervisor still prepares the spec."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    link = socket.socket(fileno=link_fd)
    link.set_inheritable(False)
    _raise_file_limit()
    try:
        _load(broker_class)
        import uvloop

        spec = _receive_spec(link)
        _die_with_supervisor(spec, link)
        _start_logging(spec)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(BrokerProcess(spec, link).live())
    except BaseException as error:
        _fail(link, error)
    _exit(0)


def _raise_file_limit() -> None:
    """Three files for each segment of each partition: the usual soft limit of 1,024 is soon reached."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        pass


def _load(broker_class: str) -> Any:
    module, _, name = broker_class.partition(":")
    return getattr(importlib.import_module(module), name)


def _receive_spec(link: socket.socket) -> BrokerSpec:
    encoded = b""
    while not encoded.endswith(b"\n"):
        part = link.recv(1 << 20)
        if not part:
            _exit(EXIT_ORPHAN)
        encoded += part
    return BrokerSpec.decode(encoded)


def _die_with_supervisor(spec: BrokerSpec, link: socket.socket) -> None:
    """Two ways, since each has a gap: a thread on the link (not while we are stopped), and prctl (Linux only)."""
    threading.Thread(target=_watch_link, args=(link,), name="parent-watch", daemon=True).start()
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != spec.supervisor_pid:
        _exit(EXIT_ORPHAN)


def _watch_link(link: socket.socket) -> None:
    try:
        while link.recv(1):
            pass
    except OSError:
        pass
    os._exit(EXIT_ORPHAN)


def _start_logging(spec: BrokerSpec) -> None:
    """To stderr at the level asked for, to broker-N.log from INFO (the file before is kept once it has grown large)."""
    level = logging.getLevelName(spec.log_level.upper())
    path = spec.log_dir / f"broker-{spec.broker_id}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > LOG_FILE_BYTES:
        path.replace(path.with_suffix(".log.1"))
    form = logging.Formatter(f"%(asctime)s %(levelname)s broker-{spec.broker_id} %(name)s: %(message)s")
    to_stderr, to_file = logging.StreamHandler(), logging.FileHandler(path)
    to_stderr.setLevel(level)
    for handler in (to_stderr, to_file):
        handler.setFormatter(form)
        logging.root.addHandler(handler)
    logging.root.setLevel(min(level, logging.INFO))
    # pykka tells of each actor that comes and goes
    logging.getLogger("pykka").setLevel(logging.WARNING)


def _fail(link: socket.socket, error: BaseException) -> NoReturn:
    """Tell the log everything and the supervisor one line."""
    if not isinstance(error, SystemExit):
        logger.critical("the broker can't go on", exc_info=None if isinstance(error, OdradekError) else error)
        words = str(error) if isinstance(error, OdradekError) else f"{type(error).__name__}: {error}"
        try:
            link.sendall(words.encode()[:4_096])
        except OSError:
            pass
    _exit(EXIT_FAILED)


def _exit(code: int) -> NoReturn:
    logging.shutdown()
    os._exit(code)


class BrokerProcess:
    """The shell around one Broker: routes the supervisor's mail, beats its heart, ends it."""

    def __init__(self, spec: BrokerSpec, link: socket.socket) -> None:
        self.spec = spec
        self.link = link
        self.broker: Any = None
        self.events: Silence = SILENCE
        self.bus: Bus
        self._stop = asyncio.Event()
        self._view_version = -1
        self._is_listed = False
        self._peers: dict[int, int] = {}
        self._early: list[Envelope] = []

    async def live(self) -> None:
        """Runs until the supervisor says Stop (or SIGTERM comes). Raises what makes the broker unable to go on."""
        from transport.bus import Bus
        from transport.ports import bind_socket

        spec, loop = self.spec, asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        os.makedirs(spec.data_dir, exist_ok=True)
        lock = await _lock_directory(spec.data_dir)
        system = ActorSystem(on_escalation=self._give_up)
        answer_requests(system, spec.log_dir, spec.broker_id)
        name = f"broker-{spec.broker_id}"
        self.events = system.events = EventLog(spec.cluster_dir, name, spec.broker_id, spec.incarnation)
        broker_class = _load(spec.broker_class)
        self.bus = Bus(
            spec.broker_id,
            spec.incarnation,
            directory=spec.run_dir,
            host=None,
            message_type=getattr(broker_class, "message_type", SupervisionMessage),
            deliver=self._deliver,
        )
        await self.bus.start()
        self.bus.connect(
            SUPERVISOR_NODE,
            spec.supervisor_incarnation,
            spec.supervisor_data_endpoint,
            spec.supervisor_control_endpoint,
        )
        self.beat()
        try:
            await self._run_broker(broker_class(spec, self.bus, system), bind_socket(spec.host, spec.port))
        finally:
            self.events.close()
            os.close(lock)

    async def _run_broker(self, broker: Any, listener: socket.socket) -> None:
        self.broker = broker
        early, self._early = self._early, []
        for envelope in early:
            self._deliver(envelope)
        port = listener.getsockname()[1]
        starting = asyncio.ensure_future(broker.start(listener))
        stopping = asyncio.ensure_future(self._stop.wait())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            # what is there now stays: the collector need not look at it again
            gc.collect()
            gc.freeze()
            self._tell_supervisor(BrokerReady(self.spec.broker_id, self.spec.incarnation, port))
            await stopping
        else:
            starting.cancel()
        try:
            async with asyncio.timeout(STOP_S):
                await broker.stop()
        except TimeoutError:
            logger.error("the broker did not stop within %.1f s", STOP_S)
        await self.bus.close()

    def _deliver(self, envelope: Envelope) -> None:
        message = envelope.message
        if type(message) is Stop:
            self._stop.set()
        elif self.broker is None:
            self._early.append(envelope)
        elif type(message) is ClusterView:
            self._on_view(message)
        else:
            if type(message) is BrokerDown and self._peers.get(message.broker_id) == message.incarnation:
                del self._peers[message.broker_id]
                self.bus.disconnect(message.broker_id)
            self.broker.on_envelope(envelope)

    def _on_view(self, view: ClusterView) -> None:
        if view.version <= self._view_version:
            return
        self._view_version = view.version
        for peer in view.brokers:
            if peer.broker_id == self.spec.broker_id:
                self._is_listed = peer.incarnation == self.spec.incarnation and bool(peer.data_endpoint)
                continue
            known = self._peers.get(peer.broker_id)
            if not peer.data_endpoint:
                if known is not None:
                    del self._peers[peer.broker_id]
                    self.bus.disconnect(peer.broker_id)
            elif known != peer.incarnation:
                if known is not None:
                    self.bus.disconnect(peer.broker_id)
                self._peers[peer.broker_id] = peer.incarnation
                self.bus.connect(peer.broker_id, peer.incarnation, peer.data_endpoint, peer.control_endpoint)
        self.broker.on_cluster_view(view)

    def beat(self) -> None:
        """Begin to show the supervisor that we live, and say where until it lists us."""
        spec = self.spec
        if not self._is_listed:
            endpoints = self.bus.data_endpoint, self.bus.control_endpoint
            self._tell_supervisor(BrokerHello(spec.broker_id, spec.incarnation, os.getpid(), *endpoints))
        self._tell_supervisor(Heartbeat(spec.broker_id, spec.incarnation))
        asyncio.get_running_loop().call_later(HEARTBEAT_S, self.beat)

    def _tell_supervisor(self, message: SupervisionMessage) -> None:
        self.bus.tell(SUPERVISOR_NODE, SUPERVISOR_ADDRESS, message, control=True)

    def _give_up(self, path: str, reason: str) -> None:
        spec = self.spec
        cause = birth(spec.broker_id, spec.incarnation)
        self.events.tell("broker-gave-up", f"broker {spec.broker_id}", cause=cause, reason=reason)
        self.events.close()
        _fail(self.link, OdradekError(reason))


async def _lock_directory(directory: Path) -> int:
    """Nobody else writes here while we live: an earlier incarnation that is still dying is waited for."""
    descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    deadline = asyncio.get_running_loop().time() + DIRECTORY_LOCK_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if asyncio.get_running_loop().time() > deadline:
                raise OdradekError(f"another process holds {directory}: end it, or choose another --data-dir") from None
            await asyncio.sleep(0.005)


