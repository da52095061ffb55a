"""Encrypted ZeroMQ: who has the right keys comes in, everybody else is told why not."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
import zmq

from model.errors import ConfigError
from transport.client_connection import Answer, Buffer, ClientConnection
from transport.curve import ClientKeys, client_keys, server_keys
from transport.dealer import Dealer
from transport.gateway import Gateway

SERVER_PUBLIC, SERVER_SECRET = (key.decode() for key in zmq.curve_keypair())
OUR_PUBLIC, OUR_SECRET = (key.decode() for key in zmq.curve_keypair())
OTHER_PUBLIC, OTHER_SECRET = (key.decode() for key in zmq.curve_keypair())


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(scenario(), 20))


def echo(connection: ClientConnection, frame: memoryview) -> Answer:
    return [b"<", frame, b">"]


async def a_gateway(secret: str, clients: tuple[str, ...] = ()) -> Gateway:
    gateway = Gateway("tcp://127.0.0.1:*", echo, keys=server_keys(secret, clients))
    await gateway.start()
    return gateway


async def ask(gateway: Gateway, keys: ClientKeys | None) -> bytes:
    answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def hear(frame: Buffer) -> None:
        answered.set_result(bytes(frame))

    dealer = Dealer(gateway.endpoint, hear, lambda why: answered.set_exception(ConnectionResetError(why)), keys)
    try:
        await dealer.connect()
        dealer.send([b"hello"])
        return await answered
    finally:
        dealer.close(linger_ms=0)


@pytest.mark.parametrize("own", ["", OUR_SECRET], ids=["a new key", "its own key"])
def test_who_knows_the_brokers_key_comes_in(own: str) -> None:
    async def scenario() -> None:
        gateway = await a_gateway(SERVER_SECRET)
        assert await ask(gateway, client_keys(SERVER_PUBLIC, own)) == b"<hello>"
        await gateway.close()

    run(scenario)


def test_with_a_list_of_clients_only_these_come_in() -> None:
    async def scenario() -> None:
        gateway = await a_gateway(SERVER_SECRET, (OUR_PUBLIC,))
        assert await ask(gateway, client_keys(SERVER_PUBLIC, OUR_SECRET)) == b"<hello>"
        for stranger in (OTHER_SECRET, ""):
            with pytest.raises(ConnectionRefusedError, match=r"refuses this client's key \(zmq.curve.secret.key\)"):
                await ask(gateway, client_keys(SERVER_PUBLIC, stranger))
        assert await ask(gateway, client_keys(SERVER_PUBLIC, OUR_SECRET)) == b"<hello>"
        await gateway.close()

    run(scenario)


@pytest.mark.parametrize(
    "keys", [None, client_keys(OTHER_PUBLIC, "")], ids=["plain", "another broker's key"]
)
def test_an_encrypting_gateway_refuses_everybody_else(keys: Any) -> None:
    async def scenario() -> None:
        gateway = await a_gateway(SERVER_SECRET)
        with pytest.raises(ConnectionRefusedError):
            await ask(gateway, keys)
        await gateway.close()

    run(scenario)


def test_a_client_that_wants_encryption_does_not_do_without() -> None:
    async def scenario() -> None:
        gateway = await a_gateway("")
        with pytest.raises(ConnectionRefusedError):
            await ask(gateway, client_keys(SERVER_PUBLIC, ""))
        await gateway.close()

    run(scenario)


def test_nothing_can_be_read_on_the_way() -> None:
    async def scenario() -> None:
        gateway = await a_gateway(SERVER_SECRET)
        host, port = gateway.endpoint.removeprefix("tcp://").split(":")
        seen = bytearray()

        async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65_536):
                seen.extend(data)
                writer.write(data)
            writer.close()

        async def wiretap(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            up_reader, up_writer = await asyncio.open_connection(host, int(port))
            await asyncio.gather(pass_on(reader, up_writer), pass_on(up_reader, writer), return_exceptions=True)

        tap = await asyncio.start_server(wiretap, "127.0.0.1", 0)
        real, gateway.endpoint = gateway.endpoint, f"tcp://127.0.0.1:{tap.sockets[0].getsockname()[1]}"
        assert await ask(gateway, client_keys(SERVER_PUBLIC, "")) == b"<hello>"
        assert b"CURVE" in seen and b"hello" not in seen
        gateway.endpoint = real
        tap.close()
        await gateway.close()

    run(scenario)


@pytest.mark.parametrize("text", ["short", "~" * 40, "é" * 40])
def test_what_is_no_key_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"zmq.curve.secret.key: a key is 40 characters of Z85"):
        server_keys(text, ())
    with pytest.raises(ConfigError, match=r"zmq.curve.server.key: a key is 40 characters of Z85"):
        client_keys(text, "")


def test_keys_that_would_do_nothing_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"needs zmq.curve.secret.key"):
        server_keys("", (OUR_PUBLIC,))
    with pytest.raises(ConfigError, match=r"needs zmq.curve.server.key"):
        client_keys("", OUR_SECRET)
