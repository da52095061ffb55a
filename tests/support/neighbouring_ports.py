"""Ports for brokers that count theirs up from the first one (zmq.port)."""

from __future__ import annotations

import socket


def free_ports(count: int) -> int:
    """The first of so many neighbouring ports that nobody has."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            port: int = first.getsockname()[1]
            try:
                for number in range(1, count):
                    socket.create_server(("127.0.0.1", port + number)).close()
            except (OSError, OverflowError):
                continue
            return port
