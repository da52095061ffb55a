"""The listener over real sockets on uvloop: order, limits, and clients that behave badly."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from struct import pack
from typing import Any

import pytest
import uvloop

from model.errors import OdradekError
from transport.client_connection import Answer, ClientConnection
from transport.listener import Listener, ListenerLimits
from transport.pending import Pending
from transport.ports import listen_socket

HOST = "127.0.0.1"


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(scenario(), 20))


def framed(payload: bytes) -> bytes:
    return pack(">i", len(payload)) + payload


async def a_listener(dispatch: Any, **options: Any) -> Listener:
    hooks = {name: options.pop(name) for name in ("on_open", "on_close") if name in options}
    listener = Listener(dispatch, ListenerLimits(**options), **hooks)
    await listener.start(listen_socket(HOST, 0))
    return listener


async def a_client(listener: Listener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(HOST, listener.port)


async def next_frame(reader: asyncio.StreamReader) -> bytes:
    length = int.from_bytes(await reader.readexactly(4), "big")
    return await reader.readexactly(length)


def echo(connection: ClientConnection, frame: memoryview) -> Answer:
    return [b"<", frame, b">"]


class Handler:
    """Leaves every answer to the test."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.answers: list[asyncio.Future[Answer]] = []
        self.connections: list[ClientConnection] = []
        self._seen = asyncio.Condition()

    def __call__(self, connection: ClientConnection, frame: memoryview) -> Awaitable[Answer]:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.frames.append(bytes(frame))
        self.answers.append(answer)
        self.connections.append(connection)
        return answer

    async def has(self, count: int) -> None:
        while len(self.frames) < count:
            await asyncio.sleep(0)


def test_frames_are_answered_whole_however_large():
    async def scenario() -> None:
        listener = await a_listener(echo)
        reader, writer = await a_client(listener)
        for payload in (b"", b"ping", b"x" * 70_000, b"y" * 5_000_000):
            writer.write(framed(payload))
            assert await next_frame(reader) == b"<" + payload + b">"
        await listener.close()

    run(scenario)


def test_responses_leave_in_the_order_of_requests():
    async def scenario() -> None:
        handler = Handler()

        def dispatch(connection: ClientConnection, frame: memoryview) -> Any:
            return [b"now"] if frame == b"at once" else handler(connection, frame)

        listener = await a_listener(dispatch)
        reader, writer = await a_client(listener)
        writer.write(framed(b"slow") + framed(b"at once") + framed(b"slower") + framed(b"no answer"))
        await handler.has(3)
        assert handler.connections[0].open_requests == 4
        handler.answers[2].set_result(None)
        handler.answers[1].set_result([b"2"])
        handler.answers[0].set_result([b"1"])
        assert [await next_frame(reader) for _ in range(3)] == [b"1", b"now", b"2"]
        assert handler.connections[0].open_requests == 0
        await listener.close()

    run(scenario)


def test_pending_answers_keep_the_order_among_all_others():
    async def scenario() -> None:
        pending: dict[bytes, Any] = {}

        def dispatch(connection: ClientConnection, frame: memoryview) -> Any:
            name = bytes(frame)
            if name == b"now":
                return [b"now"]
            pending[name] = Pending() if name != b"future" else asyncio.get_running_loop().create_future()
            return pending[name]

        listener = await a_listener(dispatch)
        reader, writer = await a_client(listener)
        writer.write(b"".join(map(framed, (b"first", b"now", b"future", b"silent", b"shaped"))))
        while len(pending) < 4:
            await asyncio.sleep(0)
        pending[b"shaped"].shape = lambda text: [text.upper()]
        pending[b"shaped"].resolve(b"last")
        pending[b"silent"].resolve(None)
        pending[b"first"].resolve([b"first"])
        assert [await next_frame(reader), await next_frame(reader)] == [b"first", b"now"]
        pending[b"future"].set_result([b"future"])
        assert [await next_frame(reader), await next_frame(reader)] == [b"future", b"LAST"]
        await listener.close()

    run(scenario)


def test_a_pending_answer_that_takes_no_shape_costs_its_client_the_connection(caplog):
    async def scenario() -> None:
        answer: Pending[int] = Pending()
        answer.shape = lambda number: [number // 0]
        listener = await a_listener(lambda connection, frame: answer)
        reader, writer = await a_client(listener)
        writer.write(framed(b"x"))
        while not listener.frames:
            await asyncio.sleep(0)
        answer.resolve(1)
        assert await reader.read() == b""
        await listener.close()

    with caplog.at_level(logging.ERROR):
        run(scenario)
    assert "its request failed" in caplog.text


def test_a_request_without_answer_sends_nothing():
    async def scenario() -> None:
        listener = await a_listener(lambda connection, frame: None if frame == b"acks=0" else [frame])
        reader, writer = await a_client(listener)
        writer.write(framed(b"acks=0") + framed(b"acks=1"))
        assert await next_frame(reader) == b"acks=1"
        await listener.close()

    run(scenario)


def test_a_coroutine_may_answer_too():
    async def scenario() -> None:
        async def dispatch(connection: ClientConnection, frame: memoryview) -> Answer:
            await asyncio.sleep(0)
            return [frame]

        listener = await a_listener(dispatch)
        reader, writer = await a_client(listener)
        writer.write(framed(b"hello"))
        assert await next_frame(reader) == b"hello"
        await listener.close()

    run(scenario)


def test_no_more_requests_are_dispatched_than_may_be_queued():
    async def scenario() -> None:
        handler = Handler()
        listener = await a_listener(handler, queued_max_requests=3)
        reader, writer = await a_client(listener)
        writer.write(b"".join(framed(b"%d" % n) for n in range(50)))
        await handler.has(3)
        for n in range(50):
            for _ in range(3):
                await asyncio.sleep(0)
            assert len(handler.frames) <= n + 3
            await handler.has(n + 1)
            handler.answers[n].set_result([b"%d" % n])
            assert await next_frame(reader) == b"%d" % n
        await listener.close()

    run(scenario)


def test_the_bytes_of_open_requests_are_bounded():
    async def scenario() -> None:
        handler = Handler()
        listener = await a_listener(handler, open_request_bytes=1_000)
        reader, writer = await a_client(listener)
        writer.write(framed(b"x" * 600) * 4)
        await handler.has(2)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(handler.frames) == 2
        handler.answers[0].set_result([b"1"])
        assert await next_frame(reader) == b"1"
        await handler.has(3)
        await listener.close()

    run(scenario)


def test_a_client_that_reads_no_responses_is_not_served_on():
    async def scenario() -> None:
        served = 0

        def dispatch(connection: ClientConnection, frame: memoryview) -> Answer:
            nonlocal served
            served += 1
            return [bytes(1_000_000)]

        listener = await a_listener(dispatch)
        reader, writer = await a_client(listener)
        writer.transport.pause_reading()
        writer.write(framed(b"more") * 300)
        before = -1
        while before != served or not served:
            before = served
            await asyncio.sleep(0.02)
        assert served < 50
        writer.transport.resume_reading()
        for _ in range(300):
            assert len(await next_frame(reader)) == 1_000_000
        await listener.close()

    run(scenario)


@pytest.mark.parametrize("start", [pack(">i", -1), pack(">i", 2**31 - 1), b"GET / HTTP/1.1\r\n\r\n", pack(">i", 1_001)])
def test_a_bad_frame_length_closes_that_connection_with_a_log_line(start, caplog):
    async def scenario() -> None:
        listener = await a_listener(echo, socket_request_max_bytes=1_000)
        other_reader, other_writer = await a_client(listener)
        reader, writer = await a_client(listener)
        writer.write(start)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await next_frame(reader)
        assert listener.statistics()["bad_frames"] == 1
        other_writer.write(framed(b"still here"))
        assert await next_frame(other_reader) == b"<still here>"
        await listener.close()

    run(scenario)
    assert "allowed" in caplog.text


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), OdradekError("malformed request")])
def test_a_failing_request_costs_its_client_the_connection(is_late, error, caplog):
    async def scenario() -> None:
        def dispatch(connection: ClientConnection, frame: memoryview) -> Any:
            if frame == b"good":
                return [frame]
            if not is_late:
                raise error
            answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            answer.set_exception(error)
            return answer

        listener = await a_listener(dispatch)
        reader, writer = await a_client(listener)
        writer.write(framed(b"good") + framed(b"bad") + framed(b"good"))
        assert await next_frame(reader) == b"good"
        assert await reader.read() == b""
        reader, writer = await a_client(listener)
        writer.write(framed(b"good"))
        assert await next_frame(reader) == b"good"
        await listener.close()

    with caplog.at_level(logging.WARNING):
        run(scenario)
    assert str(error) in caplog.text
    assert ("Traceback" in caplog.text) == isinstance(error, ZeroDivisionError)


def test_connections_beyond_the_limit_are_closed_and_the_others_stay(caplog):
    async def scenario() -> None:
        listener = await a_listener(echo, max_connections=2)
        clients = [await a_client(listener) for _ in range(2)]
        for reader, writer in clients:
            writer.write(framed(b"1"))
            assert await next_frame(reader) == b"<1>"
        reader, writer = await a_client(listener)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await next_frame(reader)
        clients[0][1].write(framed(b"2"))
        assert await next_frame(clients[0][0]) == b"<2>"
        clients[0][1].close()
        while len(listener.connections) > 1:
            await asyncio.sleep(0)
        reader, writer = await a_client(listener)
        writer.write(framed(b"3"))
        assert await next_frame(reader) == b"<3>"
        await listener.close()

    run(scenario)
    assert "max.connections=2" in caplog.text


def test_the_limit_per_address_holds_too():
    async def scenario() -> None:
        listener = await a_listener(echo, max_connections_per_ip=1)
        _, writer = await a_client(listener)
        reader, _ = await a_client(listener)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await next_frame(reader)
        assert listener.statistics()["refused"] == 1
        writer.close()
        await listener.close()

    run(scenario)


def test_idle_connections_are_closed_and_waiting_ones_are_not():
    async def scenario() -> None:
        handler = Handler()
        listener = await a_listener(handler, connections_max_idle_ms=40)
        idle_reader, _ = await a_client(listener)
        reader, writer = await a_client(listener)
        writer.write(framed(b"a long fetch"))
        await handler.has(1)
        assert await idle_reader.read() == b""
        handler.answers[0].set_result([b"done"])
        assert await next_frame(reader) == b"done"
        await listener.close()

    run(scenario)


def test_hooks_hear_of_every_connection_once():
    async def scenario() -> None:
        opened: list[int] = []
        closed: list[int] = []
        handler = Handler()
        listener = await a_listener(
            handler, on_open=lambda c: opened.append(c.id), on_close=lambda c: closed.append(c.id)
        )
        _, writer = await a_client(listener)
        writer.write(framed(b"hello"))
        await handler.has(1)
        connection = handler.connections[0]
        assert opened == [connection.id] and connection.peer.startswith(HOST + ":") and connection.peer_host == HOST
        writer.transport.abort()
        while not closed:
            await asyncio.sleep(0)
        assert closed == opened and connection.is_closed
        handler.answers[0].set_result([b"too late"])  # nobody is there: no harm
        await asyncio.sleep(0)
        await listener.close()
        assert closed == opened

    run(scenario)


def test_a_handler_may_close_and_what_it_answered_before_is_still_sent():
    async def scenario() -> None:
        def dispatch(connection: ClientConnection, frame: memoryview) -> Answer:
            if frame == b"bye":
                connection.close("it said bye")
            return [frame]

        listener = await a_listener(dispatch)
        reader, writer = await a_client(listener)
        writer.write(framed(b"1") + framed(b"bye") + framed(b"2"))
        assert await reader.read() == framed(b"1")
        await listener.close()

    run(scenario)


def test_closing_waits_for_open_requests_and_then_refuses():
    async def scenario() -> None:
        handler = Handler()
        listener = await a_listener(handler)
        port = listener.port
        reader, writer = await a_client(listener)
        writer.write(framed(b"last"))
        await handler.has(1)
        closing = asyncio.ensure_future(listener.close(grace_s=5))
        await asyncio.sleep(0)
        handler.answers[0].set_result([b"answered"])
        assert await next_frame(reader) == b"answered"
        await closing
        assert await reader.read() == b""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port), timeout=2)

    run(scenario)
