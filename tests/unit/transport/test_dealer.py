"""The client's end of the ZeroMQ door: it must hear of a broker's end, which ZeroMQ by itself keeps quiet about."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop
import zmq

from transport.client_connection import Buffer
from transport.dealer import Dealer


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(asyncio.wait_for(scenario(), 20))


class Router:
    """The broker's side, polled by the test's loop."""

    def __init__(self, endpoint: str = "tcp://127.0.0.1:*") -> None:
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.ROUTER)
        self.socket.set(zmq.LINGER, 0)
        self.socket.bind(endpoint)
        self.endpoint = self.socket.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()

    async def request(self) -> list[bytes]:
        while True:
            try:
                return self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                await asyncio.sleep(0.001)

    def close(self) -> None:
        self._context.destroy(linger=0)


class Ears:
    """What the dealer told."""

    def __init__(self) -> None:
        self.responses: list[bytes] = []
        self.ends: list[str] = []

    def hear(self, response: Buffer) -> None:
        self.responses.append(bytes(response))

    async def until(self, claim: Callable[[], object]) -> None:
        while not claim():
            await asyncio.sleep(0.001)


def a_dealer(endpoint: str) -> tuple[Dealer, Ears]:
    ears = Ears()
    return Dealer(endpoint, ears.hear, ears.ends.append), ears


@pytest.mark.parametrize("scheme", ["tcp", "ipc"])
def test_requests_leave_joined_and_answers_come_joined(tmp_path: Path, scheme: str) -> None:
    async def scenario() -> None:
        router = Router(f"ipc://{tmp_path}/r" if scheme == "ipc" else "tcp://127.0.0.1:*")
        dealer, ears = a_dealer(router.endpoint)
        await dealer.connect()
        assert dealer.send([b"one ", b"request"]) and dealer.send([b"x" * 100_000])
        identity, first = await router.request()
        assert first == b"one request" and (await router.request())[1] == b"x" * 100_000
        router.socket.send_multipart([identity, b"in ", b"three ", b"parts"])
        router.socket.send_multipart([identity, b"and one"])
        await ears.until(lambda: len(ears.responses) == 2)
        assert ears.responses == [b"in three parts", b"and one"] and not ears.ends
        dealer.close()
        router.close()

    run(scenario)


def test_nobody_there_is_refused() -> None:
    async def scenario() -> None:
        router = Router()
        router.close()
        dealer, ears = a_dealer(router.endpoint)
        with pytest.raises(ConnectionRefusedError):
            await dealer.connect()
        dealer.close()
        assert not ears.ends

    run(scenario)


def test_a_path_that_can_not_be_a_socket_is_refused() -> None:
    async def scenario() -> None:
        dealer, _ = a_dealer(f"ipc:///{'x' * 200}")
        with pytest.raises(ConnectionRefusedError):
            await dealer.connect()
        dealer.close()

    run(scenario)


def test_a_broker_that_goes_is_heard_of_once() -> None:
    async def scenario() -> None:
        router = Router()
        dealer, ears = a_dealer(router.endpoint)
        await dealer.connect()
        router.close()
        await ears.until(lambda: ears.ends)
        await asyncio.sleep(0.01)
        assert ears.ends == ["the broker is gone"]

    run(scenario)


def test_an_empty_message_is_the_end() -> None:
    async def scenario() -> None:
        router = Router()
        dealer, ears = a_dealer(router.endpoint)
        await dealer.connect()
        dealer.send([b"hello"])
        identity, _ = await router.request()
        router.socket.send_multipart([identity, b""])
        await ears.until(lambda: ears.ends)
        assert ears.ends == ["the broker closed the connection"] and not ears.responses
        router.close()

    run(scenario)


def test_what_was_sent_before_close_still_leaves() -> None:
    async def scenario() -> None:
        router = Router()
        dealer, ears = a_dealer(router.endpoint)
        await dealer.connect()
        for number in range(100):
            dealer.send([b"%d" % number])
        dealer.close()
        dealer.close()
        assert [int((await router.request())[1]) for _ in range(100)] == list(range(100))
        assert not ears.ends  # who closes knows
        router.close()

    run(scenario)
