"""The TCP server that Kafka clients talk to.

`Listener(dispatch, limits)` cuts frames, calls `dispatch(connection, frame)` in arrival order and sends what it
answers: a list of chunks, None, or an awaitable of either (see ClientConnection). Reading from a client stops while too
many of its requests are open or while it doesn't read its responses: a slow client can't fill the broker's memory.
"""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from struct import Struct
from typing import Final, cast

from transport.client_connection import Buffer, ClientConnection, Dispatch
from transport.frame_cutter import SCRATCH_BYTES, BadFrameLength, FrameCutter

log = logging.getLogger(__name__)

_WRITE_HIGH: Final = 1024 * 1024
_WRITE_LOW: Final = 256 * 1024
_IDLE_ROUNDS: Final = 4
_UNLIMITED: Final = 2**31 - 1
_length_prefix = Struct(">i").pack


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """Named after the broker configs they come from; `open_request_bytes` bounds what one client may hold."""

    socket_request_max_bytes: int = 104_857_600
    max_connections: int = _UNLIMITED
    max_connections_per_ip: int = _UNLIMITED
    queued_max_requests: int = 500
    open_request_bytes: int = 64 * 1024 * 1024
    connections_max_idle_ms: int = 600_000


class TcpConnection(ClientConnection, asyncio.BufferedProtocol):
    """One client's socket. Made by Listener only."""

    def __init__(self, listener: "Listener", connection_id: int) -> None:
        limits = listener.limits
        super().__init__(connection_id, listener.dispatch, limits.queued_max_requests, limits.open_request_bytes)
        self.quiet_rounds = 0
        self._listener = listener
        self._cutter = FrameCutter(limits.socket_request_max_bytes, listener.scratch)
        self._transport: asyncio.Transport | None = None
        self._out: list[Buffer] = []
        self._out_bytes = 0
        self._is_reading = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)  # uvloop's only quack like one
        address = transport.get_extra_info("peername") or ("?", 0)
        self.peer_host, self.peer = str(address[0]), f"{address[0]}:{address[1]}"
        self._transport = transport
        if refusal := self._listener.admit(self):
            log.warning("refusing %s: %s", self.peer, refusal)
            self.is_closed = True
            transport.abort()
            return
        transport.set_write_buffer_limits(high=_WRITE_HIGH, low=_WRITE_LOW)
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._cutter.room()

    def buffer_updated(self, nbytes: int) -> None:
        if self.is_closed:
            return
        self.quiet_rounds = 0
        try:
            frames = self._cutter.received(nbytes)
        except BadFrameLength as error:
            self._listener.bad_frames += 1
            self.close(str(error), at_once=True)
            return
        if frames:
            self._listener.frames += len(frames)
            for frame in frames:
                self._take(frame)
            self._serve()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._is_write_blocked = True

    def resume_writing(self) -> None:
        self._is_write_blocked = False
        if not self.is_closed:
            self._serve()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self._forget_requests()
        self._out.clear()
        self._transport = None
        self._listener.forget(self)

    def close(self, reason: str = "", *, at_once: bool = False) -> None:
        """See ClientConnection. What was answered so far is still sent, unless `at_once`."""
        if reason and not self.is_closed:
            log.warning("closing %s (client %s): %s", self.peer, self.client_id, reason)
        transport = self._transport
        if transport is None:
            return
        if not self.is_closed:
            self._write()
            self.is_closed = True
            self._forget_requests()
        if at_once:
            transport.abort()
        else:
            transport.close()

    def _send(self, answer: list[Buffer]) -> None:
        length = 0
        for chunk in answer:
            length += len(chunk)
        out = self._out
        out.append(_length_prefix(length))
        out += answer
        self._out_bytes += length
        if self._out_bytes > _WRITE_HIGH:
            self._write()

    def _write(self) -> None:
        if self._out and self._transport is not None:
            self._transport.writelines(self._out)
            self._out = []
            self._out_bytes = 0

    def _flush(self) -> None:
        self._write()
        transport = self._transport
        if transport is None or self.is_closed:
            return
        if self._is_reading:
            if self._waiting or self._is_blocked():
                self._is_reading = False
                transport.pause_reading()
        elif not self._waiting and not self._is_blocked():
            self._is_reading = True
            transport.resume_reading()


class Listener:
    """Accepts clients on one socket of the running loop.

    `on_open` and `on_close` are told of every admitted connection, once each.
    """

    def __init__(
        self,
        dispatch: Dispatch,
        limits: ListenerLimits | None = None,
        *,
        on_open: Callable[[TcpConnection], None] | None = None,
        on_close: Callable[[TcpConnection], None] | None = None,
    ) -> None:
        self.dispatch = dispatch
        self.limits = limits or ListenerLimits()
        self.scratch = bytearray(SCRATCH_BYTES)
        self.connections: dict[int, TcpConnection] = {}
        self.frames = self.bad_frames = self.refused = 0
        self._per_host: Counter[str] = Counter()
        self._ids = count(1)
        self._on_open, self._on_close = on_open, on_close
        self._server: asyncio.Server | None = None
        self._idle_timer: asyncio.TimerHandle | None = None

    async def start(self, bound: socket.socket, backlog: int = 1024) -> None:
        """Serve `bound` (see transport.ports), which belongs to the listener from here on."""
        loop = asyncio.get_running_loop()
        bound.setblocking(False)
        self._server = await loop.create_server(
            lambda: TcpConnection(self, next(self._ids)), sock=bound, backlog=backlog
        )
        self._watch_idle(loop)

    @property
    def port(self) -> int:
        assert self._server is not None, "not started"
        return int(self._server.sockets[0].getsockname()[1])

    def statistics(self) -> dict[str, int]:
        """Counters since the start, and the connections open now."""
        return {
            "connections": len(self.connections),
            "frames": self.frames,
            "bad_frames": self.bad_frames,
            "refused": self.refused,
        }

    def stop_accepting(self) -> None:
        """New clients get "connection refused"; the ones that are here are served on."""
        if self._server is not None:
            self._server.close()

    async def close(self, grace_s: float = 0.0) -> None:
        """Stop accepting, give open requests `grace_s` to be answered, then close every connection."""
        self.stop_accepting()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace_s
        # Rare and short: not worth an event that every answered request would have to set.
        while loop.time() < deadline and any(c.open_requests for c in self.connections.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        for connection in list(self.connections.values()):
            connection.close()
        await asyncio.sleep(0)  # a turn of the loop for the last writes
        for connection in list(self.connections.values()):
            connection.close(at_once=True)

    def admit(self, connection: TcpConnection) -> str:
        """Called by a new connection: why it may not stay, or "" once it is counted."""
        host, limits = connection.peer_host, self.limits
        refusal = ""
        if len(self.connections) >= limits.max_connections:
            refusal = f"max.connections={limits.max_connections} reached"
        elif self._per_host[host] >= limits.max_connections_per_ip:
            refusal = f"max.connections.per.ip={limits.max_connections_per_ip} reached"
        if refusal:
            self.refused += 1
            return refusal
        self.connections[connection.id] = connection
        self._per_host[host] += 1
        if self._on_open is not None:
            self._on_open(connection)
        return ""

    def forget(self, connection: TcpConnection) -> None:
        """Called by a connection that is lost."""
        if self.connections.pop(connection.id, None) is None:
            return  # never admitted
        self._per_host[connection.peer_host] -= 1
        if not self._per_host[connection.peer_host]:
            del self._per_host[connection.peer_host]
        if self._on_close is not None:
            self._on_close(connection)

    def _watch_idle(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close who was quiet for `connections.max.idle.ms`; counted in rounds, so that a frame costs no clock call."""
        if self.limits.connections_max_idle_ms <= 0:
            return
        for connection in list(self.connections.values()):
            if connection.open_requests:
                continue
            connection.quiet_rounds += 1
            if connection.quiet_rounds > _IDLE_ROUNDS:
                connection.close()
        self._idle_timer = loop.call_later(
            self.limits.connections_max_idle_ms / 1000 / _IDLE_ROUNDS, self._watch_idle, loop
        )
