"""The ZeroMQ door for clients: the same Kafka frames as over TCP, without the length prefix.

A client is a DEALER. It sends one part, a request frame; it gets one response per request, in the order of its
requests, whose parts are to be concatenated (large record batches travel as parts of their own, uncopied). An empty
response means "closed": the client's requests under way are forgotten, as if a TCP connection had been closed, and its
next frame opens a new connection. Let ZeroMQ choose the identities; `state` belongs to an identity, and that
proves nothing about who sends.

ZeroMQ doesn't tell that a client is gone: a send that can't be routed does, and silence for `connections.max.idle.ms`.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from itertools import count
from typing import Final

import zmq

from transport.client_connection import Buffer, ClientConnection, Dispatch
from transport.curve import Doorkeeper, ServerKeys
from transport.endpoints import endpoint_of, router_socket
from transport.listener import ListenerLimits
from transport.zmq_reader import ZmqReader

log = logging.getLogger(__name__)

_JOIN_BYTES: Final = 64 * 1024
_ZERO_COPY_BYTES: Final = 128 * 1024
_IDLE_ROUNDS: Final = 4
_RETRY_S: Final = 0.002


class GatewayConnection(ClientConnection):
    """One identity. Made by Gateway only."""

    is_zmq = True

    def __init__(self, gateway: "Gateway", connection_id: int, identity: bytes, peer_host: str) -> None:
        limits = gateway.limits
        super().__init__(connection_id, gateway.dispatch, limits.queued_max_requests, limits.open_request_bytes)
        self.identity = identity
        self.peer_host, self.peer = peer_host, f"zmq:{peer_host}/{identity.hex()}"
        self.quiet_rounds = 0
        self.counted_bytes = 0  # of the waiting frames, as the gateway knows them
        self._gateway = gateway
        self._unsent: deque[list[Buffer]] = deque()  # what ZeroMQ's queue to this client had no room for

    def take(self, frame: memoryview) -> None:
        """The next request."""
        self.quiet_rounds = 0
        self._take(frame)
        if self._is_write_blocked and self._waiting_bytes >= self._max_open_bytes // 2:
            self.close("it sends requests and does not read its responses")  # or all the others would have to wait
            return
        self._serve()

    def close(self, reason: str = "") -> None:
        """See ClientConnection; what was answered so far is sent if ZeroMQ takes it now."""
        if self.is_closed:
            return
        if reason:
            log.warning("closing %s (client %s): %s", self.peer, self.client_id, reason)
        if self.send_unsent():
            self._gateway.send(self.identity, [b""])
        self.vanish()

    def vanish(self) -> None:
        """The client is gone, or is to be forgotten."""
        self.is_closed = True
        self._forget_requests()
        self._unsent.clear()
        self._gateway.forget(self)

    def send_unsent(self) -> bool:
        """True when nothing is left."""
        while self._unsent:
            is_sent = self._gateway.send(self.identity, self._unsent[0])
            if is_sent is None:
                self.vanish()
                return False
            if not is_sent:
                return False
            self._unsent.popleft()
        return True

    def go_on(self) -> bool:
        """After ZeroMQ had no room: True when it took everything, and requests are served again."""
        if self.is_closed or not self.send_unsent():
            return self.is_closed
        self._is_write_blocked = False
        self._serve()
        return not self._is_write_blocked

    def _send(self, answer: list[Buffer]) -> None:
        self._unsent.append(answer)
        if not self._is_write_blocked and not self.send_unsent() and not self.is_closed:
            self._is_write_blocked = True
            self._gateway.retry(self)

    def _flush(self) -> None:
        change = self._waiting_bytes - self.counted_bytes
        self.counted_bytes = self._waiting_bytes
        self._gateway.after_serving(change)


class Gateway:
    """Serves clients on one ZeroMQ endpoint (`ipc://path`, `tcp://host:port`, `tcp://host:*`) of the running loop.

    The same `dispatch` and limits as Listener's; `keys` for CURVE. Reading pauses for all clients while those with too
    many open requests have `open_request_bytes` waiting; ZeroMQ's own queues then hold the senders back.
    """

    def __init__(
        self,
        endpoint: str,
        dispatch: Dispatch,
        limits: ListenerLimits | None = None,
        *,
        on_open: Callable[[GatewayConnection], None] | None = None,
        on_close: Callable[[GatewayConnection], None] | None = None,
        keys: ServerKeys | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.dispatch = dispatch
        self.limits = limits or ListenerLimits()
        self.connections: dict[bytes, GatewayConnection] = {}
        self.frames = self.bad_frames = self.refused = 0
        self._on_open, self._on_close = on_open, on_close
        self._keys = keys
        self._doorkeeper: Doorkeeper | None = None
        self._ids = count(1)
        self._waiting_bytes = 0
        self._blocked: set[GatewayConnection] = set()
        self._retry_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._is_receiving = False
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._socket: zmq.Socket[bytes]
        self._reader: ZmqReader
        self._loop: asyncio.AbstractEventLoop

    async def start(self) -> None:
        """Bind, then serve. `endpoint` is the real one from here on. Raises ConfigError when it can't be bound."""
        self._loop = asyncio.get_running_loop()
        self._context = zmq.Context()
        try:
            if self._keys is not None and self._keys.clients:
                self._doorkeeper = Doorkeeper(self._context, self._keys.clients, self._loop)
            limit = self.limits.socket_request_max_bytes
            self._socket = router_socket(self._context, self.endpoint, limit, self._keys)
        except BaseException:
            if self._doorkeeper is not None:
                self._doorkeeper.close()
            self._context.destroy(linger=0)
            self._context = None
            raise
        self.endpoint = endpoint_of(self._socket)
        self._reader = ZmqReader(self._socket, self._receive, self._loop)
        self._watch_idle()

    async def close(self, grace_s: float = 0.0) -> None:
        """Give open requests `grace_s` to be answered, tell every client, and go. Idempotent."""
        if self._context is None:
            return
        deadline = self._loop.time() + grace_s
        while self._loop.time() < deadline and any(c.open_requests for c in self.connections.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        for timer in (self._idle_timer, self._retry_timer):
            if timer is not None:
                timer.cancel()
        for connection in list(self.connections.values()):
            connection.close()
        self._reader.stop()
        if self._doorkeeper is not None:
            self._doorkeeper.close()
        context, self._context = self._context, None
        # A short linger lets the last responses leave; it blocks the loop, but only while a client doesn't read.
        context.destroy(linger=20)

    def statistics(self) -> dict[str, int]:
        """Like Listener's."""
        return {
            "connections": len(self.connections),
            "frames": self.frames,
            "bad_frames": self.bad_frames,
            "refused": self.refused,
        }

    def send(self, identity: bytes, answer: list[Buffer]) -> bool | None:
        """Called by connections: False when there is no room now, None when the client is gone."""
        if self._context is None:
            return None
        if len(answer) != 1 and sum(map(len, answer)) < _JOIN_BYTES:
            answer = [b"".join(answer)]
        send, last = self._socket.send, len(answer) - 1
        try:
            # ZeroMQ decides at the identity whether it takes the whole message.
            send(identity, zmq.NOBLOCK | zmq.SNDMORE)
            for index, chunk in enumerate(answer):
                flags = zmq.NOBLOCK if index == last else zmq.NOBLOCK | zmq.SNDMORE
                send(chunk, flags, copy=len(chunk) < _ZERO_COPY_BYTES)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            if error.errno == zmq.EHOSTUNREACH:
                return None
            raise
        return True

    def retry(self, connection: GatewayConnection) -> None:
        """Called by a connection whose client's queue is full."""
        self._blocked.add(connection)
        if self._retry_timer is None:
            self._retry_timer = self._loop.call_later(_RETRY_S, self._retry)

    def after_serving(self, waiting_change: int) -> None:
        """Called by a connection that has sent, or has more or less bytes waiting than before."""
        self._waiting_bytes += waiting_change
        if self._context is None:
            return
        if self._waiting_bytes >= self.limits.open_request_bytes:
            self._reader.pause()
        elif waiting_change < 0:
            self._reader.resume()
        if not self._is_receiving:
            self._reader.look_again()

    def forget(self, connection: GatewayConnection) -> None:
        """Called by a connection that is closed."""
        if self.connections.get(connection.identity) is not connection:
            return
        del self.connections[connection.identity]
        self._blocked.discard(connection)
        self.after_serving(-connection.counted_bytes)
        connection.counted_bytes = 0
        if self._on_close is not None:
            self._on_close(connection)

    def _receive(self) -> int:
        receive = self._socket.recv
        identity: bytes = receive(zmq.NOBLOCK)
        part = receive(zmq.NOBLOCK, copy=False)
        if part.more:
            while part.more:
                part = receive(zmq.NOBLOCK, copy=False)
            self.bad_frames += 1
            log.warning("dropping a request of several parts from zmq client %s", identity.hex())
            return 0
        connection = self.connections.get(identity) or self._admit(identity, part)
        if connection is not None:
            self.frames += 1
            self._is_receiving = True
            try:
                connection.take(memoryview(bytearray(part.buffer)))
            finally:
                self._is_receiving = False
        return len(part.buffer)

    def _admit(self, identity: bytes, part: zmq.Frame) -> GatewayConnection | None:
        if len(self.connections) >= self.limits.max_connections:
            self.refused += 1
            log.warning(
                "refusing zmq client %s: max.connections=%d reached", identity.hex(), self.limits.max_connections
            )
            self.send(identity, [b""])
            return None
        try:
            peer_host = str(part.get("Peer-Address")) or "local"
        except zmq.ZMQError:
            peer_host = "local"
        connection = GatewayConnection(self, next(self._ids), identity, peer_host)
        self.connections[identity] = connection
        if self._on_open is not None:
            self._on_open(connection)
        return connection

    def _retry(self) -> None:
        self._retry_timer = None
        for connection in list(self._blocked):
            if connection.go_on():
                self._blocked.discard(connection)
        if self._blocked and self._retry_timer is None:
            self._retry_timer = self._loop.call_later(_RETRY_S, self._retry)

    def _watch_idle(self) -> None:
        if self.limits.connections_max_idle_ms <= 0:
            return
        for connection in list(self.connections.values()):
            if not connection.open_requests:
                connection.quiet_rounds += 1
                if connection.quiet_rounds > _IDLE_ROUNDS:
                    connection.close()
        self._idle_timer = self._loop.call_later(
            self.limits.connections_max_idle_ms / 1000 / _IDLE_ROUNDS, self._watch_idle
        )
