"""The connections of one client: made when first needed, shared, and paced after failures.

A lane is a connection of its own beside the others to the same broker, for requests whose answers take long: a fetch
that waits for records must not hold up a commit. Everything here runs on the client's loop.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, Literal, TypeAlias

from clients.addresses import Address
from clients.backoff import Backoff
from clients.configs import ClientConfig
from clients.connection import Connection
from clients.errors import CertificateRefused, ClientClosed, Disconnected
from clients.security import Security
from model.errors import OdradekError

Lane: TypeAlias = Literal["main", "fetch", "group"]
MAIN: Final = "main"
FETCH: Final = "fetch"
GROUP: Final = "group"


class Connections:
    """Keyed by address and lane, so that the connection a client began with serves on."""

    def __init__(self, config: ClientConfig) -> None:
        self._config = config
        self._security = Security(config)
        self._open: dict[tuple[Address, Lane], Connection] = {}
        self._opening: dict[tuple[Address, Lane], asyncio.Task[Connection]] = {}
        self._backoffs: dict[Address, Backoff] = {}
        self._not_before: dict[Address, float] = {}
        self.is_closed = False

    def at_hand(self, address: Address, lane: Lane = MAIN) -> Connection | None:
        """The connection if there is one right now."""
        found = self._open.get((address, lane))
        return found if found is not None and not found.is_closed else None

    def load_of(self, address: Address) -> float:
        """Less is better: requests in flight, 1,000 without a connection, more while it is left in peace."""
        found = self.at_hand(address)
        if found is not None:
            return found.in_flight
        wait = self._not_before.get(address, 0.0) - asyncio.get_running_loop().time()
        return 1_000 + max(0.0, wait) * 1_000

    async def get(self, address: Address, lane: Lane = MAIN) -> Connection:
        """A greeted connection; waits until one may be made. Raises Disconnected when it can't be."""
        found = self.at_hand(address, lane)
        if found is not None:
            return found
        if self.is_closed:
            raise ClientClosed("the client is closed")
        key = (address, lane)
        task = self._opening.get(key)
        if task is None:
            task = self._opening[key] = asyncio.ensure_future(self._make(address, lane))
            task.add_done_callback(lambda done: self._made(key, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """End them all."""
        self.is_closed = True
        for task in list(self._opening.values()):
            task.cancel()
        for connection in list(self._open.values()):
            connection.close()
        self._open.clear()
        await asyncio.sleep(0)

    def _made(self, key: tuple[Address, Lane], task: asyncio.Task[Connection]) -> None:
        self._opening.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever waits gets it; nobody may

    async def _make(self, address: Address, lane: Lane) -> Connection:
        loop = asyncio.get_running_loop()
        wait = self._not_before.get(address, 0.0) - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        try:
            async with asyncio.timeout(self._config.seconds("socket.connection.setup.timeout.ms")):
                connection = await self._dial(address)
                try:
                    await connection.greet()
                    await self._security.authenticate(connection)
                except BaseException:
                    connection.close("the greeting failed")
                    raise
        except TimeoutError:
            raise self._failed(address, "no answer in time") from None
        except ssl.SSLCertVerificationError as error:
            self._failed(address, error.verify_message)
            raise CertificateRefused(f"{address}: {error.verify_message} (ssl.ca.location)") from None
        except OSError as error:
            raise self._failed(address, error.strerror or str(error)) from None
        except OdradekError as error:
            self._failed(address, str(error))
            raise
        self._backoffs.pop(address, None)
        self._not_before.pop(address, None)
        self._open[address, lane] = connection
        return connection

    async def _dial(self, address: Address) -> Connection:
        config = self._config
        name, timeout_s = config.get_str("client.id"), config.seconds("request.timeout.ms")
        if address.is_zmq:
            from clients.zmq_connection import open_zmq

            return await open_zmq(address, name, timeout_s, self._security.curve())
        from clients.tcp_connection import open_tcp

        return await open_tcp(
            address,
            name,
            timeout_s,
            send_buffer=config.get_int("send.buffer.bytes"),
            receive_buffer=config.get_int("receive.buffer.bytes"),
            tls=self._security.tls(),
        )

    def _failed(self, address: Address, why: str) -> Disconnected:
        backoff = self._backoffs.get(address)
        if backoff is None:
            first, longest = (self._config.seconds(f"reconnect.backoff{part}.ms") for part in ("", ".max"))
            backoff = self._backoffs[address] = Backoff(first, longest)
        self._not_before[address] = asyncio.get_running_loop().time() + backoff.next_s()
        return Disconnected(f"can't connect to {address}: {why}")
