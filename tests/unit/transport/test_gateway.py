"""The ZeroMQ door: order per identity, limits, clients that vanish."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
import zmq

from model.errors import ConfigError, OdradekError
from transport.client_connection import Answer, ClientConnection
from transport.gateway import Gateway
from transport.listener import ListenerLimits


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(scenario(), 20))


async def a_gateway(endpoint: str, dispatch: Any, **limits: Any) -> Gateway:
    gateway = Gateway(endpoint, dispatch, ListenerLimits(**limits))
    await gateway.start()
    return gateway


class Client:
    """A DEALER that the test's loop polls."""

    def __init__(self, endpoint: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.set(zmq.LINGER, 0)
        self._socket.set(zmq.SNDHWM, 0)
        self._socket.connect(endpoint)

    def send(self, *parts: bytes) -> None:
        self._socket.send_multipart(parts)

    async def parts(self) -> list[bytes]:
        while True:
            try:
                return self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                await asyncio.sleep(0.001)

    async def response(self) -> bytes:
        return b"".join(await self.parts())

    def close(self) -> None:
        self._context.destroy(linger=0)


def echo(connection: ClientConnection, frame: memoryview) -> Answer:
    return [b"<", frame, b">"]


class Handler:
    """Leaves every answer to the test."""

    def __init__(self) -> None:
        self.answers: list[tuple[bytes, asyncio.Future[Answer]]] = []

    def __call__(self, connection: ClientConnection, frame: memoryview) -> Awaitable[Answer]:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.answers.append((bytes(frame), answer))
        return answer

    async def has(self, count: int) -> None:
        while len(self.answers) < count:
            await asyncio.sleep(0.001)


@pytest.fixture
def endpoint(tmp_path):
    return f"ipc://{tmp_path}/gateway"


@pytest.mark.parametrize("is_tcp", [False, True])
def test_requests_are_answered_however_large(endpoint, is_tcp):
    async def scenario() -> None:
        gateway = await a_gateway("tcp://127.0.0.1:*" if is_tcp else endpoint, echo)
        client = Client(gateway.endpoint)
        for payload in (b"ping", b"x" * 100_000, b"y" * 2_000_000):
            client.send(payload)
            assert await client.response() == b"<" + payload + b">"
        (connection,) = gateway.connections.values()
        assert connection.peer.startswith("zmq:127.0.0.1/" if is_tcp else "zmq:")
        client.close()
        await gateway.close()

    run(scenario)


def test_each_client_gets_its_responses_in_the_order_of_its_requests(endpoint):
    async def scenario() -> None:
        handler = Handler()
        gateway = await a_gateway(endpoint, handler)
        one, two = Client(endpoint), Client(endpoint)
        for n in range(3):
            one.send(b"one %d" % n)
        await handler.has(3)
        two.send(b"two")
        await handler.has(4)
        handler.answers[3][1].set_result([b"two"])
        assert await two.response() == b"two"
        handler.answers[2][1].set_result([b"third"])
        handler.answers[0][1].set_result([b"first"])
        handler.answers[1][1].set_result(None)
        assert [await one.response(), await one.response()] == [b"first", b"third"]
        one.close()
        two.close()
        await gateway.close()

    run(scenario)


def test_many_pipelined_requests_are_all_answered_late_or_at_once(endpoint):
    async def scenario() -> None:
        def dispatch(connection: ClientConnection, frame: memoryview) -> Any:
            if frame[-1] % 2:
                return [bytes(frame)]
            answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(answer.set_result, [bytes(frame)])
            return answer

        gateway = await a_gateway(endpoint, dispatch, queued_max_requests=5, open_request_bytes=2_000)
        client = Client(endpoint)
        requests = [b"%d" % n for n in range(3_000)]
        for request in requests:
            client.send(request)
        assert [await client.response() for _ in requests] == requests
        client.close()
        await gateway.close()

    run(scenario)


def test_reading_pauses_while_too_much_waits(endpoint):
    async def scenario() -> None:
        handler = Handler()
        gateway = await a_gateway(endpoint, handler, queued_max_requests=2, open_request_bytes=1_000)
        client = Client(endpoint)
        for n in range(40):
            client.send(b"%02d" % n * 50)
        await handler.has(2)
        for _ in range(50):
            await asyncio.sleep(0)
        assert len(handler.answers) == 2 and gateway.frames < 20
        for n in range(40):
            await handler.has(n + 1)
            frame, answer = handler.answers[n]
            answer.set_result([frame])
            assert await client.response() == b"%02d" % n * 50
        client.close()
        await gateway.close()

    run(scenario)


def test_a_client_that_does_not_read_is_blocked_and_gets_everything_later(endpoint):
    async def scenario() -> None:
        served = 0

        def dispatch(connection: ClientConnection, frame: memoryview) -> Answer:
            nonlocal served
            served += frame != b"still served"
            return [frame]

        gateway = await a_gateway(endpoint, dispatch)
        client, other = Client(endpoint), Client(endpoint)
        before = -1
        for n in range(6_000):  # more than both sides' high-water marks
            client.send(b"%d" % n)
        while before != served or not served:
            before = served
            other.send(b"still served")
            assert await other.response() == b"still served"
            await asyncio.sleep(0.02)
        assert served < 6_000
        assert [await client.response() for _ in range(6_000)] == [b"%d" % n for n in range(6_000)]
        client.close()
        other.close()
        await gateway.close()

    run(scenario)


def test_a_failing_request_closes_its_client_only_and_says_so(endpoint, caplog):
    async def scenario() -> None:
        def dispatch(connection: ClientConnection, frame: memoryview) -> Answer:
            if frame == b"bad":
                raise OdradekError("malformed request")
            return [b"%d" % connection.id]

        gateway = await a_gateway(endpoint, dispatch)
        client, other = Client(endpoint), Client(endpoint)
        client.send(b"good")
        assert await client.response() == b"1"
        other.send(b"good")
        assert await other.response() == b"2"
        client.send(b"bad")
        assert await client.parts() == [b""]
        client.send(b"good")
        assert await client.response() == b"3"  # a new connection
        client.send(b"several", b"parts")
        other.send(b"good")
        assert await other.response() == b"2"
        while not gateway.bad_frames:
            await asyncio.sleep(0.001)
        client.close()
        other.close()
        await gateway.close()

    run(scenario)
    assert "malformed request" in caplog.text


def test_clients_beyond_the_limit_are_turned_away_until_one_falls_idle(endpoint):
    async def scenario() -> None:
        gateway = await a_gateway(endpoint, echo, max_connections=1, connections_max_idle_ms=40)
        one, two = Client(endpoint), Client(endpoint)
        one.send(b"1")
        assert await one.response() == b"<1>"
        two.send(b"2")
        assert await two.response() == b""
        assert await one.response() == b""  # idle
        two.send(b"3")
        assert await two.response() == b"<3>"
        one.close()
        two.close()
        await gateway.close()

    run(scenario)


def test_a_client_that_vanished_is_forgotten_at_its_next_response(endpoint):
    async def scenario() -> None:
        closed: list[int] = []
        handler = Handler()
        gateway = Gateway(endpoint, handler, on_close=lambda connection: closed.append(connection.id))
        await gateway.start()
        client = Client(endpoint)
        client.send(b"wait")
        client.send(b"wait more")
        await handler.has(2)
        client.close()
        while not closed:
            await asyncio.sleep(0.001)
            if not handler.answers[0][1].done():
                handler.answers[0][1].set_result([b"x"])
            if not closed and gateway.connections:
                connection = next(iter(gateway.connections.values()))
                connection._send([b"until ZeroMQ has noticed"])
        handler.answers[1][1].set_result([b"too late"])
        await asyncio.sleep(0)
        assert closed == [1] and not gateway.connections
        await gateway.close()
        await gateway.close()

    run(scenario)


def test_an_endpoint_that_cannot_be_bound_is_refused_in_one_line(tmp_path):
    async def scenario() -> None:
        with pytest.raises(ConfigError, match="can't be bound"):
            await a_gateway(f"ipc://{tmp_path}/no/such/folder", echo)

    run(scenario)
