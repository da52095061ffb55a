"""A client's end of the ZeroMQ gateway: a DEALER that tells when its broker is gone.

ZeroMQ connects again by itself and says nothing; a client must know, for what it had under way is lost. So reconnecting
is off, and the socket's monitor is listened to: one Dealer is one connection, as with TCP.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import zmq
from zmq.utils.monitor import parse_monitor_message

from transport.client_connection import Buffer
from transport.curve import ClientKeys, arm_client
from transport.zmq_reader import ZmqReader

_ZERO_COPY_BYTES: Final = 64 * 1024
_HEARTBEAT_MS: Final = 5_000
_SILENCE_MS: Final = 15_000
LINGER_MS: Final = 1_000
_LOST: Final = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_CONNECT_RETRIED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_REFUSALS: Final[dict[int, str]] = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "it refuses this client's key (zmq.curve.secret.key)",
    **dict.fromkeys(
        (zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL, zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_DISCONNECTED),
        "it ends the handshake; has one side CURVE and the other not, or the wrong key (zmq.curve.server.key)?",
    ),
}


class Dealer:
    """`on_response(frame)` for each answer, `on_closed(why)` once at the end; both on the running loop."""

    def __init__(
        self,
        endpoint: str,
        on_response: Callable[[Buffer], None],
        on_closed: Callable[[str], None],
        keys: ClientKeys | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._on_response, self._on_closed = on_response, on_closed
        self._loop = asyncio.get_running_loop()
        self._is_closed = False
        self._connected: asyncio.Future[None] = self._loop.create_future()
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._socket = context.socket(zmq.DEALER)
        for option, value in (
            (zmq.LINGER, 0),
            (zmq.SNDHWM, 0),  # whoever sends bounds what is under way
            (zmq.RCVHWM, 0),
            (zmq.RECONNECT_IVL, -1),
            (zmq.HEARTBEAT_IVL, _HEARTBEAT_MS),
            (zmq.HEARTBEAT_TIMEOUT, _SILENCE_MS),
        ):
            self._socket.set(option, value)
        if endpoint.startswith("tcp://["):
            self._socket.set(zmq.IPV6, 1)
        if keys is not None:
            arm_client(self._socket, keys)
        self._monitor = self._socket.get_monitor_socket(_LOST | zmq.EVENT_HANDSHAKE_SUCCEEDED)
        self._reader = ZmqReader(self._socket, self._receive, self._loop)
        self._monitor_reader = ZmqReader(self._monitor, self._hear, self._loop)

    async def connect(self) -> None:
        """Raises ConnectionRefusedError when nobody is there; waits for ever for somebody who doesn't answer."""
        try:
            self._socket.connect(self.endpoint)
        except zmq.ZMQError as error:
            raise ConnectionRefusedError(error.errno, f"{self.endpoint}: {error.strerror}") from error
        await self._connected

    def send(self, chunks: list[Buffer]) -> bool:
        """One request frame, without length prefix. False: the broker is gone, and `on_closed` will say so."""
        frame = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        try:
            self._socket.send(frame, zmq.NOBLOCK, copy=len(frame) < _ZERO_COPY_BYTES)
        except zmq.Again:  # there is no queue without a connection
            self._lost("the broker is gone")
            return False
        self._reader.look_again()
        return True

    def close(self, linger_ms: int = LINGER_MS) -> None:
        """Idempotent; `on_closed` is not called for it. What was sent still leaves: nobody waits for acks=0."""
        if self._is_closed:
            return
        self._is_closed = True
        self._reader.stop()
        self._monitor_reader.stop()
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=linger_ms)
        if not self._connected.done():
            self._connected.cancel()

    def _receive(self) -> int:
        part = self._socket.recv(zmq.NOBLOCK, copy=False)
        if not part.more:
            frame: Buffer = part.buffer
        else:
            parts = [part.buffer]
            while part.more:
                part = self._socket.recv(zmq.NOBLOCK, copy=False)
                parts.append(part.buffer)
            frame = b"".join(parts)
        if len(frame):
            self._on_response(frame)
        else:
            self._lost("the broker closed the connection")
        return len(frame)

    def _hear(self) -> int:
        event = parse_monitor_message(self._monitor.recv_multipart(zmq.NOBLOCK))["event"]
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            if not self._connected.done():
                self._connected.set_result(None)
        elif not self._connected.done():
            self._connected.set_exception(ConnectionRefusedError(0, _REFUSALS.get(event, "nobody answers there")))
        else:
            self._lost("the broker is gone")
        return 1

    def _lost(self, why: str) -> None:
        if not self._is_closed:
            self._loop.call_soon(self._tell, why)

    def _tell(self, why: str) -> None:
        if not self._is_closed:
            self.close(linger_ms=0)
            self._on_closed(why)
