"""CURVE, ZeroMQ's own encryption, for gateways and the clients that come to them.

All brokers of a cluster have the same key pair. A client that was given its public half can be sure whom it talks to;
which clients may come is decided by a list of their public keys, or, without one, left open. Keys are Z85 text of 40
characters, as `zmq.curve_keypair()` makes them.
"""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final, NamedTuple

import zmq
from zmq.utils import z85

from model.errors import ConfigError
from transport.zmq_reader import ZmqReader

log = logging.getLogger(__name__)

_KEY_CHARACTERS: Final = 40
_ZAP_ENDPOINT: Final = "inproc://zeromq.zap.01"  # where libzmq asks (RFC 27)
_ZAP_DOMAIN: Final = b"odradek"
_ZAP_PARTS: Final = 7


class ServerKeys(NamedTuple):
    """`clients` are the public keys that are let in; empty: all."""

    secret: bytes
    clients: frozenset[bytes]


class ClientKeys(NamedTuple):
    """`secret` is the client's own; None takes a new one, which a gateway with a list of clients refuses."""

    server: bytes
    secret: bytes | None


def server_keys(secret: str, clients: Iterable[str]) -> ServerKeys | None:
    """From broker configs; None without a secret. Raises ConfigError."""
    allowed = frozenset(_key("zmq.curve.client.keys", client) for client in clients)
    if not secret:
        if allowed:
            raise ConfigError("zmq.curve.client.keys needs zmq.curve.secret.key: without it nothing is encrypted")
        return None
    return ServerKeys(_key("zmq.curve.secret.key", secret), allowed)


def client_keys(server: str, secret: str) -> ClientKeys | None:
    """From client configs; None without the server's key. Raises ConfigError."""
    if not server:
        if secret:
            raise ConfigError("zmq.curve.secret.key needs zmq.curve.server.key: whom else should it be shown to?")
        return None
    return ClientKeys(_key("zmq.curve.server.key", server), _key("zmq.curve.secret.key", secret) if secret else None)


def arm_server(socket: "zmq.Socket[bytes]", keys: ServerKeys) -> None:
    """Before it is bound."""
    socket.set(zmq.CURVE_SERVER, 1)
    if keys.clients:
        socket.set(zmq.ZAP_DOMAIN, _ZAP_DOMAIN)
        socket.set(zmq.ZAP_ENFORCE_DOMAIN, 1)  # without an answer nobody comes in
    socket.set(zmq.CURVE_SECRETKEY, keys.secret)


def arm_client(socket: "zmq.Socket[bytes]", keys: ClientKeys) -> None:
    """Before it connects."""
    public, secret = (zmq.curve_public(keys.secret), keys.secret) if keys.secret else zmq.curve_keypair()
    socket.set(zmq.CURVE_SERVERKEY, keys.server)
    socket.set(zmq.CURVE_PUBLICKEY, public)
    socket.set(zmq.CURVE_SECRETKEY, secret)


class Doorkeeper:
    """Tells libzmq, which asks once for each connection, whether a client's key is on the list (ZAP)."""

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", clients: frozenset[bytes], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._clients = clients
        self._socket = context.socket(zmq.REP)
        self._socket.set(zmq.LINGER, 0)
        self._socket.bind(_ZAP_ENDPOINT)
        self._reader = ZmqReader(self._socket, self._receive, loop)

    def close(self) -> None:
        self._reader.stop()
        self._socket.close(linger=0)

    def _receive(self) -> int:
        parts = self._socket.recv_multipart(zmq.NOBLOCK)
        is_known = len(parts) == _ZAP_PARTS and parts[5] == b"CURVE" and z85.encode(parts[6]) in self._clients
        if not is_known:
            log.warning("a zmq client at %s is refused: its key is not in zmq.curve.client.keys", parts[3].decode())
        status = (b"200", b"OK") if is_known else (b"400", b"unknown key")
        self._socket.send_multipart([parts[0], parts[1], *status, b"", b""], zmq.NOBLOCK)
        self._reader.look_again()
        return 1


def _key(name: str, text: str) -> bytes:
    try:
        key = text.strip().encode("ascii")
        if len(key) == _KEY_CHARACTERS and len(z85.decode(key)) == 32:
            return key
    except (ValueError, KeyError):
        pass
    raise ConfigError(f"{name}: a key is 40 characters of Z85, as zmq.curve_keypair() makes them")
