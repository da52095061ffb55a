"""The settings of a running app beside those that its tasks go by. Names as Kafka Streams', in snake case."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from model.errors import ConfigError
from streams.config import StreamsConfig, with_numbers
from streams.errors import StreamsError

Answer = Literal["replace", "shutdown"]


@dataclass(frozen=True)
class LiveSettings:
    """`consumer` and `producer` are passed on to the clients."""

    bootstrap_servers: str = "localhost:9092"
    processing_guarantee: str = "at_least_once"
    commit_interval_ms: int | None = None
    """None: 30 s, or 100 ms for exactly once, as Kafka Streams."""
    replication_factor: int = -1
    num_standby_replicas: int = 0
    """How many further instances keep a copy of each store, so that one of them takes over at once."""
    instance_id: str | None = None
    """Names this process through restarts: its last life is fenced, and its tasks come back to it."""
    application_server: str | None = "127.0.0.1:0"
    """Where questions about stores are answered; other machines must be able to reach it. None: nowhere."""
    processes: int = 1
    """More than one: this process only looks after so many workers."""
    uncaught_exception_handler: Callable[[BaseException], Answer] | None = None
    """Asked about what ends the app: "replace" starts it anew, "shutdown" (the default) ends it."""
    task_timeout_ms: int = 300_000
    """How long the cluster's trouble is waited out without getting anything done."""
    poll_ms: int = 100
    max_poll_records: int = 5_000
    buffered_records_per_partition: int = 1_000
    consumer: Mapping[str, Any] = field(default_factory=dict)
    producer: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.processing_guarantee not in ("at_least_once", "exactly_once_v2"):
            raise StreamsError("processing_guarantee is at_least_once or exactly_once_v2")
        if self.processes < 1 or self.num_standby_replicas < 0:
            raise ConfigError("processes is at least 1, num_standby_replicas at least 0")

    @property
    def is_exact(self) -> bool:
        return self.processing_guarantee == "exactly_once_v2"

    @property
    def commit_interval_s(self) -> float:
        given = self.commit_interval_ms
        return ((100 if self.is_exact else 30_000) if given is None else given) / 1000

    @property
    def server_address(self) -> tuple[str, int] | None:
        """Host and port. Raises ConfigError."""
        if self.application_server is None:
            return None
        host, colon, port = self.application_server.rpartition(":")
        if not colon or not port.isdigit():
            raise ConfigError(f"application_server is host:port, not {self.application_server!r}")
        return host.strip("[]"), int(port)

    def client(self) -> dict[str, Any]:
        return {"bootstrap.servers": self.bootstrap_servers}

    def reading(self) -> dict[str, Any]:
        """For a consumer: of committed records only, if that is the guarantee."""
        level = "read_committed" if self.is_exact else "read_uncommitted"
        return {**self.client(), "isolation.level": level, "fetch.max.wait.ms": 100, "reconnect.backoff.max.ms": 200}


def split_settings(config: Mapping[str, Any]) -> tuple[StreamsConfig, LiveSettings]:
    """Raises ConfigError for a name that is neither's, with the nearest known one."""
    plain = {name.replace(".", "_"): value for name, value in config.items()}
    names = {each.name for each in fields(LiveSettings)}
    live = {name: plain.pop(name) for name in list(plain) if name in names}
    return StreamsConfig.of(plain), LiveSettings(**with_numbers(LiveSettings, live))


def this_host() -> str:
    """Names this machine, this boot and this process namespace; empty where processes can't be looked up."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as boot:
            return f"{boot.read().strip()}/{os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""
