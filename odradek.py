"""The front door for outside programs.

    from odradek import Cluster

    with Cluster(brokers=3) as cluster:
        producer = confluent_kafka.Producer({"bootstrap.servers": cluster.bootstrap})
        cluster.kill(1)      # SIGKILL; the supervisor brings broker 1 back

A `Cluster` is the same `run_cluster.py` a person starts in a shell, run as a child process and watched through
its `cluster.json`. Nothing here reaches into the brokers: what a test does, an operator can do by hand.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clients.admin import Admin, AsyncAdmin
    from clients.admin_types import NewTopic
    from clients.async_consumer import AsyncConsumer
    from clients.async_producer import AsyncProducer
    from clients.committed import OffsetAndMetadata
    from clients.consumer import Consumer
    from clients.producer import Producer
    from clients.rebalance import RebalanceListener
    from model.ids import TopicPartition

__all__ = [
    "Admin",
    "AsyncAdmin",
    "AsyncConsumer",
    "AsyncProducer",
    "Cluster",
    "ClusterFailed",
    "Consumer",
    "NewTopic",
    "OffsetAndMetadata",
    "Producer",
    "RebalanceListener",
    "TopicPartition",
    "wait_until",
]

# imported when first asked for: a test that only wants a Cluster doesn't pay for the clients
_LAZY = {
    "Admin": "clients.admin",
    "AsyncAdmin": "clients.admin",
    "AsyncConsumer": "clients.async_consumer",
    "AsyncProducer": "clients.async_producer",
    "Consumer": "clients.consumer",
    "NewTopic": "clients.admin_types",
    "OffsetAndMetadata": "clients.committed",
    "Producer": "clients.producer",
    "RebalanceListener": "clients.rebalance",
    "TopicPartition": "model.ids",
}

RUN_CLUSTER = Path(__file__).resolve().with_name("run_cluster.py")


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(module), name)
    return found


class ClusterFailed(Exception):
    """The cluster did not start, or did not reach the awaited state in time. The message ends with its last output."""


def wait_until(claim: Callable[[], Any], *, timeout_s: float = 30.0, what: str = "", every_s: float = 0.02) -> Any:
    """Ask `claim` again and again until it answers something true, and return that. Raises ClusterFailed in the end."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = claim()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise ClusterFailed(f"waited {timeout_s:g} s in vain for {what or claim.__name__}")
        time.sleep(every_s)


class Cluster:
    """A cluster of real broker processes on this machine, for as long as the `with` block lasts.

    `configs` are broker configs (`--set`); `data_dir` is kept when given and otherwise temporary. `port` is the first
    broker's, the others follow; 0 takes any free ones. `start` may be called again after the supervisor was killed:
    with the same `data_dir` and ports, as an operator would. Unless it `outlives_caller`, the cluster also ends when
    the calling process does, however that ends.
    """

    def __init__(
        self,
        brokers: int = 3,
        *,
        port: int = 0,
        data_dir: Path | str | None = None,
        configs: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        start_timeout_s: float = 30.0,
        outlives_caller: bool = False,
    ) -> None:
        self.size = brokers
        self.port = port
        self.configs = dict(configs or {})
        self.options = list(options)
        self.start_timeout_s = start_timeout_s
        self.outlives_caller = outlives_caller
        self.bootstrap = ""
        self._is_temporary = data_dir is None
        self.data_dir = Path(data_dir) if data_dir is not None else Path(tempfile.mkdtemp(prefix="odradek-"))
        self.log_path = Path(tempfile.mkstemp(prefix="odradek-", suffix=".out")[1])
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Cluster:
        """Start the supervisor and wait for its `ready` line. Raises ClusterFailed with what it printed instead."""
        self.port = self.port or _free_ports(self.size)  # chosen here, so that a second start finds the same ones
        command = [sys.executable, str(RUN_CLUSTER), "--brokers", str(self.size), "--port", str(self.port)]
        command += ["--data-dir", str(self.data_dir)]
        for name, value in self.configs.items():
            command += ["--set", f"{name}={value}"]
        log: IO[str]
        with open(self.log_path, "a", encoding="utf-8") as log:
            seen = log.tell()
            # Its own session: a Ctrl-C meant for the caller must not reach the brokers first.
            self._process = subprocess.Popen(
                command + self.options, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, text=True,
                start_new_session=True, preexec_fn=None if self.outlives_caller else _die_with_the_caller(),
            )  # fmt: skip
        process = self._process

        def ready_line() -> str:
            for line in self.output()[seen:].splitlines():
                if line.startswith("ready bootstrap="):
                    return line
            if process.poll() is not None:
                raise ClusterFailed(f"run_cluster.py ended with {process.returncode}:\n{self.output()[seen:][-3000:]}")
            return ""

        try:
            line = wait_until(ready_line, timeout_s=self.start_timeout_s, what="the cluster's ready line")
        except ClusterFailed:
            self.stop()
            raise
        self.bootstrap = line.split("bootstrap=", 1)[1].split()[0]
        return self

    def stop(self, timeout_s: float = 15.0) -> None:
        """Stop everything in order, as Ctrl-C does; SIGKILL what has not ended in time."""
        process = self._process
        if process is None:
            return
        orphans = self.pids()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._process = None
        try:
            wait_until(lambda: not any(map(_is_alive, orphans.values())), timeout_s=3.0)
        except ClusterFailed:
            for pid in orphans.values():
                _signal_quietly(pid, signal.SIGKILL)

    def close(self) -> None:
        """`stop`, then remove the temporary data folder and the output."""
        self.stop()
        if self._is_temporary:
            shutil.rmtree(self.data_dir, ignore_errors=True)
        self.log_path.unlink(missing_ok=True)

    def __enter__(self) -> Cluster:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What it is doing

    @property
    def is_running(self) -> bool:
        """Whether the supervisor lives."""
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        """All that the supervisor and the brokers printed so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def state(self) -> dict[str, Any]:
        """What `cluster.json` says now; an empty dict before the supervisor has written it."""
        try:
            document: dict[str, Any] = json.loads((self.data_dir / "cluster.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return document

    def brokers(self) -> dict[int, dict[str, Any]]:
        """Broker id → its row in `cluster.json` (pid, host, port, state, incarnation, restarts)."""
        return {int(row["id"]): row for row in self.state().get("brokers", [])}

    def pids(self) -> dict[int, int]:
        """Broker id → pid, of those that have a process."""
        return {broker: row["pid"] for broker, row in self.brokers().items() if row.get("pid")}

    def root_pids(self) -> list[int]:
        """The processes whose trees make up the whole cluster: the supervisor."""
        return [self.supervisor_pid]

    @property
    def supervisor_pid(self) -> int:
        if self._process is None:
            raise ClusterFailed("the cluster is not running")
        return self._process.pid

    @property
    def controller_id(self) -> int | None:
        """The broker that holds the lease; None between a controller's death and the next election."""
        holder = self.state().get("controller_id")
        return int(holder) if holder is not None and int(holder) > 0 else None

    def wait_until_all_run(self, timeout_s: float = 30.0) -> None:
        """Return once every broker runs and a controller is known."""
        wait_until(
            lambda: len(self.pids()) == self.size
            and all(row["state"] == "running" for row in self.brokers().values())
            and self.controller_id in self.brokers(),
            timeout_s=timeout_s,
            what=f"all {self.size} brokers to run",
        )

    # What can be done to it

    def signal(self, broker_id: int, number: signal.Signals) -> int:
        """Send a signal to one broker; returns the pid it went to."""
        pid = int(self.brokers()[broker_id]["pid"])
        os.kill(pid, number)
        return pid

    def kill(self, broker_id: int) -> int:
        """SIGKILL one broker, as a power cut would end it. The supervisor restarts it with a new incarnation."""
        return self.signal(broker_id, signal.SIGKILL)

    def kill_supervisor(self) -> None:
        """SIGKILL the supervisor. Its brokers end by themselves within 2 s; returns once they have."""
        brokers = self.pids()
        process = self._process
        if process is None:
            return
        process.kill()
        process.wait()
        self._process = None
        wait_until(lambda: not any(map(_is_alive, brokers.values())), timeout_s=5.0, what="the orphaned brokers to end")


def _die_with_the_caller() -> Callable[[], None] | None:
    """Has the kernel send SIGTERM to the child when we die by any means; then a killed test run leaves nothing behind.

    The kernel looks at the thread that started the child, so this is for the main thread only.
    """
    if threading.current_thread() is not threading.main_thread() or not sys.platform.startswith("linux"):
        return None
    prctl, pr_set_pdeathsig = ctypes.CDLL(None).prctl, 1
    return lambda: prctl(pr_set_pdeathsig, int(signal.SIGTERM))


def _free_ports(count: int) -> int:
    """The first of `count` neighbouring free ports, below those that the kernel hands out to clients."""
    for first in random.sample(range(15_000, 32_000 - count), 200):
        try:
            for port in range(first, first + count):
                socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return first
    raise ClusterFailed(f"no {count} neighbouring free ports were found")


def _is_alive(pid: int) -> bool:
    """Whether `pid` still runs. A zombie that waits to be reaped has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _signal_quietly(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
