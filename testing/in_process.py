"""One broker on a thread of this process, for unit tests: the same Broker, no supervisor, no process to spawn.

A kill ends its loop where it stands, closes its sockets and starts the next incarnation on the same files: like a
SIGKILL, except that its memory lasts until the garbage is collected. A pause keeps the loop from turning.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testing.in_process_life import InProcessLife
from testing.waiting import ClusterFailed

if TYPE_CHECKING:
    import socket

    from actors.cluster_directory import ClusterDirectory, RunDirectory
    from actors.cluster_file import ClusterFile

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
        self._life: InProcessLife | None = None
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
        life = InProcessLife(spec, self._events)
        life.begin(self.start_timeout_s)
        self._life = life
        self._file().write(directory.path)
        self._events.append(f"broker 1 is up{' again' if self.restarts else ''} at {HOST}:{self.port}")
