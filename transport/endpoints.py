"""ZeroMQ endpoints and sockets of the bus: where they are bound and how they are tuned."""

from pathlib import Path
from typing import Final

import zmq

from model.errors import ConfigError
from transport.curve import ServerKeys, arm_server

_MAX_PATH_BYTES: Final = 100  # sun_path holds 104 bytes on macOS, 108 on Linux
_MAX_MESSAGE_BYTES: Final = 1024 * 1024 * 1024
_KERNEL_BUFFER_BYTES: Final = 1024 * 1024


def ipc_endpoint(directory: Path, node_id: int, incarnation: int, suffix: str) -> str:
    """Raises ConfigError when the path is too long for a Unix socket."""
    path = str(directory / f"{node_id}-{incarnation}.{suffix}")
    if len(path.encode()) > _MAX_PATH_BYTES:
        raise ConfigError(f"socket path {path} is longer than {_MAX_PATH_BYTES} bytes; use a shorter run directory")
    return f"ipc://{path}"


def bind_tcp(host: str) -> str:
    """Any free port."""
    return f"tcp://[{host}]:*" if ":" in host else f"tcp://{host}:*"


def endpoint_of(socket: "zmq.Socket[bytes]") -> str:
    """Where a bound socket can be reached."""
    endpoint = socket.get(zmq.LAST_ENDPOINT)
    assert isinstance(endpoint, bytes)
    return endpoint.rstrip(b"\0").decode()


def forget_ipc(directory: Path, node_id: int) -> None:
    """Remove the socket files of a node's lives, which a SIGKILL leaves behind. Not while one of them is running."""
    for suffix in ("d", "c"):
        for path in directory.glob(f"{node_id}-*.{suffix}"):
            path.unlink(missing_ok=True)


def unlink_ipc(endpoint: str) -> None:
    """Remove the socket file of an endpoint of our own; tcp endpoints have none."""
    if endpoint.startswith("ipc://"):
        Path(endpoint.removeprefix("ipc://")).unlink(missing_ok=True)


def pull_socket(context: "zmq.Context[zmq.Socket[bytes]]") -> "zmq.Socket[bytes]":
    """Not bound yet. What it may queue is bounded by the senders' credits."""
    socket = context.socket(zmq.PULL)
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.RCVHWM, 0)
    socket.set(zmq.MAXMSGSIZE, _MAX_MESSAGE_BYTES)
    socket.set(zmq.RCVBUF, _KERNEL_BUFFER_BYTES)
    return socket


def push_socket(context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, max_messages: int) -> "zmq.Socket[bytes]":
    """Connecting in the background, again and again until closed."""
    socket = context.socket(zmq.PUSH)
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.SNDHWM, max_messages)
    socket.set(zmq.SNDBUF, _KERNEL_BUFFER_BYTES)
    socket.set(zmq.RECONNECT_IVL, 20)
    socket.set(zmq.RECONNECT_IVL_MAX, 500)
    if endpoint.startswith("tcp://["):
        socket.set(zmq.IPV6, 1)
    socket.connect(endpoint)
    return socket


def router_socket(
    context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, max_message_bytes: int, keys: ServerKeys | None = None
) -> "zmq.Socket[bytes]":
    """Bound, for clients we don't trust; with `keys` it speaks CURVE only.

    Raises ConfigError (one line) when the endpoint can't be bound.
    """
    socket = context.socket(zmq.ROUTER)
    socket.set(zmq.LINGER, 0)
    socket.set(zmq.ROUTER_MANDATORY, 1)  # a client that is gone is an error, not silence
    socket.set(zmq.MAXMSGSIZE, max_message_bytes)
    socket.set(zmq.HEARTBEAT_IVL, 10_000)
    socket.set(zmq.HEARTBEAT_TIMEOUT, 30_000)
    if keys is not None:
        arm_server(socket, keys)
    if endpoint.startswith("tcp://["):
        socket.set(zmq.IPV6, 1)
    try:
        socket.bind(endpoint)
    except zmq.ZMQError as error:
        socket.close(linger=0)
        raise ConfigError(f"ZeroMQ endpoint {endpoint} can't be bound ({error.strerror}); choose another") from error
    return socket
