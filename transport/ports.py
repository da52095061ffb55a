"""TCP ports that stay ours while a broker is down.

The supervisor reserves each port with a bound socket that doesn't listen; the broker process binds the same port again
(SO_REUSEPORT) and listens. No other program can slip in between two lives of a broker, and while it is down its clients
get "connection refused" at once.

Why the flags differ: a reservation has SO_REUSEPORT only, so that the test bind of another cluster's supervisor, which
has SO_REUSEADDR only, fails on it. Listening sockets have both, and the connections they accept inherit them, so that
their TIME_WAIT remains never keep a stopped cluster from starting again.
"""

import errno
import socket
from typing import Any, TypeAlias

from model.errors import ConfigError

_Address: TypeAlias = tuple[Any, ...]


def reserve(host: str, port: int) -> socket.socket:
    """A bound socket that doesn't listen and keeps the port until it is closed; port 0 takes any free one.

    Raises ConfigError (one line, with a remedy) when the port is taken, forbidden, or the host isn't this machine.
    """
    family, address = _resolve(host, port)
    if port != 0:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _bind(probe, address, host, port)
    try:
        return _bound(family, address, host, port, reuse_address=False)
    except ConfigError:
        # Nobody has it, so these are TIME_WAIT remains of a program that knew SO_REUSEADDR only.
        return _bound(family, address, host, port, reuse_address=True)


def bind_socket(host: str, port: int) -> socket.socket:
    """A bound, non-blocking socket on a reserved port that does not listen yet: clients are refused until it does.

    Raises ConfigError.
    """
    family, address = _resolve(host, port)
    bound = _bound(family, address, host, port, reuse_address=True)
    bound.setblocking(False)
    return bound


def listen_socket(host: str, port: int, backlog: int = 1024) -> socket.socket:
    """A listening, non-blocking socket on a port that this or the parent process has reserved. Raises ConfigError."""
    listener = bind_socket(host, port)
    try:
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise _config_error(host, port, error) from error
    return listener


def port_of(bound: socket.socket) -> int:
    """The port a reservation got."""
    return int(bound.getsockname()[1])


def _bound(
    family: socket.AddressFamily, address: _Address, host: str, port: int, *, reuse_address: bool
) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if reuse_address:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(bound, address, host, port)
    except BaseException:
        bound.close()
        raise
    return bound


def _bind(unbound: socket.socket, address: _Address, host: str, port: int) -> None:
    try:
        unbound.bind(address)
    except OSError as error:
        raise _config_error(host, port, error) from error


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, _Address]:
    if not 0 <= port <= 65_535:
        raise ConfigError(f"port {port} does not exist; choose one in 1..65535, or 0 for any free one")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ConfigError(f"host {host!r} can't be resolved ({error.strerror}); choose another with --host") from error
    return family, address


def _config_error(host: str, port: int, error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError(f"port {port} on {host} is in use; choose another with --port, or 0 for any free one")
    if error.errno == errno.EACCES:
        return ConfigError(f"port {port} on {host} needs privileges; choose one above 1023 with --port")
    if error.errno == errno.EADDRNOTAVAIL:
        return ConfigError(f"{host} is not an address of this machine; choose another with --host")
    return ConfigError(f"port {port} on {host} can't be bound: {error.strerror}")
