"""Clients that live a life: coroutines over virtual time, whose requests go through the brokers' real handlers.

A life is an `async def` without an event loop: it awaits answers and sleeps, and goes on when the world says so. A
client that is stopped (a long pause of its own) hears nothing meanwhile and then goes on with what it knew before.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any

from actors.api.dispatch import HANDLERS, RequestContext
from chaos.sim_clients import RETRY_S, TIMEOUT_S, Client
from model.ids import TopicPartition
from protocol.frames import RequestHeader

if TYPE_CHECKING:
    from chaos.sim_process import Process


class Waiting:
    """What a life waits for; settled once."""

    __slots__ = ("is_settled", "then")

    def __init__(self) -> None:
        self.is_settled = False
        self.then: Callable[[Any], None]

    def __await__(self) -> Generator[Waiting, Any, Any]:
        return (yield self)


class SimConnection:
    """A connection as handlers see it: one client's to one process."""

    peer_host = "127.0.0.1"
    is_closed = is_zmq = False
    software = ""

    def __init__(self) -> None:
        self.before_next: list[Callable[[int], None]] = []

    def hear(self, key: int) -> None:
        """Another request: what was held back for it goes out first, as in the dispatcher."""
        waiting, self.before_next = self.before_next, []
        for callback in waiting:
            callback(key)

    def close(self) -> None:
        pass


class Caller(Client):
    """A client with a life. `stopped_until_s` is when it goes on, if it is stopped."""

    stopped_until_s = 0.0
    is_stopped = False  # asked to come to an end
    is_done = False
    _connection: tuple[Process | None, SimConnection] = (None, SimConnection())

    @property
    def parts(self) -> list[Caller]:
        """All that stops when this client stops."""
        return [self]

    def begin(self, life: Coroutine[Waiting, Any, None]) -> None:
        self._go_on(life, None)

    def _go_on(self, life: Coroutine[Waiting, Any, None], value: Any) -> None:
        try:
            waiting = life.send(value)
        except StopIteration:
            self.is_done = True
            return
        waiting.then = lambda answer: self._go_on(life, answer)

    def settle(self, waiting: Waiting, value: Any) -> None:
        """`waiting` has its answer; the life goes on now, or when the client does."""
        if not waiting.is_settled:
            waiting.is_settled = True
            self.world.at(max(self.world.now_s, self.stopped_until_s), self._then, waiting, value)

    @staticmethod
    def _then(waiting: Waiting, value: Any) -> None:
        waiting.then(value)

    def say(self, text: str) -> None:
        if self.world.lines is not None:
            self.world.say(f"{self.name} {text}")

    # -- what a life awaits --------------------------------------------------------------------------------------------

    async def sleep(self, seconds: float) -> None:
        waiting = Waiting()
        self.world.after(seconds, self.settle, waiting, None)
        await waiting

    async def ask(
        self, partition: TopicPartition, key: int, version: int, request: Any, timeout_s: float = TIMEOUT_S
    ) -> Any:
        """The answer of the partition's leader, as far as this client knows who that is; None when there is none."""
        process = self.leader_of(partition)
        if process is None:
            await self.sleep(RETRY_S + self.hop_s())
            return None
        waiting = Waiting()
        if self.reaches(process):
            self.world.after(self.hop_s(), self._arrive, process, waiting, key, version, request, owner=process)
        self.world.after(timeout_s, self.settle, waiting, None)
        answer = await waiting
        if answer is None:
            self.refresh(partition)
        return answer

    # -- in the broker -------------------------------------------------------------------------------------------------

    def _arrive(self, process: Process, waiting: Waiting, key: int, version: int, request: Any) -> None:
        broker = process.broker
        if broker is None:
            return
        if self._connection[0] is not process:
            self._connection = (process, SimConnection())
        connection = self._connection[1]
        connection.hear(key)
        header = RequestHeader(key, version, 0, self.name.replace(" ", "-"), 0)
        handle = importlib.import_module(f"actors.api.{HANDLERS[key]}").handle
        answer = handle(RequestContext(broker, connection, header), request)  # type: ignore[arg-type]
        if hasattr(answer, "encode_chunks"):
            self._answer(process, waiting, answer)
            return
        if not hasattr(answer, "add_done_callback"):
            answer = asyncio.ensure_future(answer, loop=process.loop)
        answer.add_done_callback(lambda done: self._finished(process, waiting, done))

    def _finished(self, process: Process, waiting: Waiting, done: Any) -> None:
        if done.cancelled():
            return
        failure = done.exception()
        if failure is not None:
            process.unhandled(failure)
        else:
            self._answer(process, waiting, done.result())

    def _answer(self, process: Process, waiting: Waiting, response: Any) -> None:
        if not self.cluster.network.link(process.broker_id, self.number).is_blocked:
            self.world.after(self.hop_s(), self.settle, waiting, response)
