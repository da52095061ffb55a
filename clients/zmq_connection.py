"""A connection over ZeroMQ, to the gateway of one of our brokers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clients.addresses import Address
from clients.connection import Connection
from protocol.codec import Buffer

if TYPE_CHECKING:
    from transport.curve import ClientKeys
    from transport.dealer import Dealer

_LENGTH_PREFIX: Final = 4


class ZmqConnection(Connection):
    """Made by `open_zmq`."""

    dealer: Dealer

    def _write(self, chunks: list[Buffer]) -> None:
        chunks[0] = chunks[0][_LENGTH_PREFIX:]  # ZeroMQ frames by itself
        self.dealer.send(chunks)

    def _shut(self) -> None:
        self.dealer.close()

    def on_response(self, frame: Buffer) -> None:
        self._take(frame)


async def open_zmq(
    address: Address, client_id: str, request_timeout_s: float, keys: ClientKeys | None = None
) -> ZmqConnection:
    """Connected, not greeted. Raises OSError."""
    from transport.dealer import Dealer

    connection = ZmqConnection(address, client_id, request_timeout_s)
    connection.dealer = dealer = Dealer(address.endpoint, connection.on_response, connection.close, keys)
    try:
        await dealer.connect()
    except BaseException:
        connection.close("it could not be opened")
        raise
    return connection
