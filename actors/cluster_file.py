"""`DATA_DIR/cluster.json`: what runs where, for people, scripts and the next supervisor.

Written whole and renamed into place, so that a reader never sees half of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from model.errors import ConfigError

CLUSTER_FILE = "cluster.json"
ClusterState: TypeAlias = Literal["starting", "ready", "stopping", "stopped"]


class BrokerEntry(msgspec.Struct, frozen=True):
    """`pid` is null while there is no process, `zmq_endpoint` (where ZeroMQ clients connect) until it runs."""

    id: int
    pid: int | None
    host: str
    port: int
    zmq_endpoint: str | None
    state: str
    incarnation: int
    restarts: int


class ClusterFile(msgspec.Struct, frozen=True):
    """`chaos_socket` is where `odradek chaos` reaches the supervisor; null where that is not enabled."""

    cluster_id: str
    state: ClusterState = "starting"
    supervisor_pid: int | None = None
    controller_id: int | None = None
    bootstrap: str = ""
    brokers: tuple[BrokerEntry, ...] = ()
    chaos_socket: str | None = None
    format: int = 1

    def write(self, directory: Path, *, is_durable: bool = False) -> None:
        """`is_durable` also survives a power cut: needed when an incarnation was given out, which must never repeat."""
        path = directory / CLUSTER_FILE
        unfinished = directory / f".{CLUSTER_FILE}.tmp"
        with open(unfinished, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
            if is_durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(unfinished, path)
        if is_durable:
            _fsync_directory(directory)

    @classmethod
    def read(cls, directory: Path) -> ClusterFile | None:
        """None: there is none. Raises ConfigError when what is there is not a cluster.json of ours."""
        path = directory / CLUSTER_FILE
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise ConfigError(f"{path} was not written by Odradek ({error}): choose another --data-dir") from error

    def incarnation_of(self, broker_id: int) -> int:
        return next((entry.incarnation for entry in self.brokers if entry.id == broker_id), 0)


def _fsync_directory(directory: Path) -> None:
    # the rename itself is only durable once the directory is
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
