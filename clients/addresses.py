"""Where brokers are: `host:port`, `tcp://host:port`, `zmq://…`.

zmq://HOST:PORT          a gateway on ZeroMQ over TCP
zmq:///path/to/socket    a gateway's ipc socket
zmq:///path/to/data-dir  all gateways of the cluster whose cluster.json is there
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from model.errors import ConfigError

IPC = "ipc://"


class Address(NamedTuple):
    """One broker's door. `is_zmq` with a host of `ipc://…` and port 0 is an ipc socket."""

    host: str
    port: int
    is_zmq: bool = False

    @property
    def endpoint(self) -> str:
        """What ZeroMQ connects to."""
        if self.host.startswith(IPC):
            return self.host
        return f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"

    def __str__(self) -> str:
        if self.host.startswith(IPC):
            return f"zmq://{self.host.removeprefix(IPC)}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"zmq://{host}:{self.port}" if self.is_zmq else f"{host}:{self.port}"


def parse_bootstrap(entries: tuple[str, ...]) -> list[Address]:
    """All doors that `bootstrap.servers` names. Raises ConfigError; TCP and ZeroMQ can't be mixed."""
    found: list[Address] = []
    for entry in entries:
        scheme, separator, rest = entry.partition("://")
        if not separator:
            found.append(_host_and_port(entry, entry))
        elif scheme == "tcp":
            found.append(_host_and_port(rest, entry))
        elif scheme == "zmq":
            found += _zmq(rest, entry)
        elif scheme.isupper():  # as in listeners: PLAINTEXT://host:port
            found.append(_host_and_port(rest, entry))
        else:
            raise ConfigError(f"bootstrap.servers={entry}: begin it with tcp:// or zmq://, or with the host")
    if len({address.is_zmq for address in found}) > 1:
        raise ConfigError("bootstrap.servers mixes tcp:// and zmq://: a client speaks one of them")
    return found


def _host_and_port(text: str, entry: str, *, is_zmq: bool = False) -> Address:
    host, colon, port = text.rstrip("/").rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ConfigError(f"bootstrap.servers={entry}: write it as host:port")
    return Address(host.strip("[]"), int(port), is_zmq)


def _zmq(rest: str, entry: str) -> list[Address]:
    rest = rest.removeprefix(IPC).removeprefix("tcp://")
    if not rest.startswith(("/", "@", ".")):
        return [_host_and_port(rest, entry, is_zmq=True)]
    path = Path(rest)
    if not path.is_dir():
        return [Address(IPC + rest, 0, True)]
    try:
        brokers = json.loads((path / "cluster.json").read_text(encoding="utf-8"))["brokers"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"bootstrap.servers={entry}: no cluster.json is to be read there ({error})") from error
    found = [endpoint_address(row["zmq_endpoint"]) for row in brokers if row.get("zmq_endpoint")]
    if not found:
        raise ConfigError(f"bootstrap.servers={entry}: its brokers have no ZeroMQ gateway (yet)")
    return found


def endpoint_address(endpoint: str) -> Address:
    """The address of a ZeroMQ endpoint: `ipc://path` or `tcp://host:port`."""
    if endpoint.startswith(IPC):
        return Address(endpoint, 0, True)
    return _host_and_port(endpoint.removeprefix("tcp://"), endpoint, is_zmq=True)
