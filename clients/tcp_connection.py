"""A connection over TCP, with TLS if asked for."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Final, cast

from clients.addresses import Address
from clients.connection import Connection
from protocol.codec import Buffer
from transport.frame_cutter import SCRATCH_BYTES, BadFrameLength, FrameCutter

_MAX_FRAME_BYTES: Final = 1 << 30
_WRITE_HIGH: Final = 64 * 1024 * 1024  # the producer bounds itself by requests in flight


class TcpConnection(Connection, asyncio.BufferedProtocol):
    """Made by `open_tcp`."""

    def __init__(self, address: Address, client_id: str, request_timeout_s: float) -> None:
        super().__init__(address, client_id, request_timeout_s)
        self._cutter = FrameCutter(_MAX_FRAME_BYTES, bytearray(SCRATCH_BYTES))
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=_WRITE_HIGH)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._cutter.room()

    def buffer_updated(self, nbytes: int) -> None:
        try:
            frames = self._cutter.received(nbytes)
        except BadFrameLength as error:
            self.close(f"{error}; is this a Kafka broker?")
            return
        for frame in frames:
            self._take(frame)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.close(str(exc) if exc is not None else "the broker closed the connection")

    def _write(self, chunks: list[Buffer]) -> None:
        assert self._transport is not None
        self._transport.writelines(chunks)

    def _shut(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()


async def open_tcp(
    address: Address,
    client_id: str,
    request_timeout_s: float,
    *,
    send_buffer: int = -1,
    receive_buffer: int = -1,
    tls: ssl.SSLContext | None = None,
) -> TcpConnection:
    """Connected, not greeted. Raises OSError."""
    loop = asyncio.get_running_loop()
    transport, connection = await loop.create_connection(
        lambda: TcpConnection(address, client_id, request_timeout_s), address.host, address.port, ssl=tls
    )
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option, size in ((socket.SO_SNDBUF, send_buffer), (socket.SO_RCVBUF, receive_buffer)):
            if size > 0:
                raw.setsockopt(socket.SOL_SOCKET, option, size)
    return connection
