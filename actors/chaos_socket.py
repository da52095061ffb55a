"""Where `odradek chaos` and tests reach the supervisor: a unix socket of the owner's, one JSON line each way.

An `Order` goes on to the brokers it names; the `Outcome` comes once all of them have answered, or ANSWER_S is over. An
order that stays is repeated to each new incarnation of those brokers, until they are healed.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from protocol.cluster_chaos import (
    HealAll,
    Order,
    Outcome,
    RequestFault,
    Suffer,
    Suffered,
    decode_order,
    encode_line,
)
from protocol.events import parse_id

ANSWER_S = 2.0


class ChaosSocket:
    """`connected()` are the brokers that can be told; `tell(broker_id, message)` tells one."""

    def __init__(
        self, directory: Path, connected: Callable[[], Collection[int]], tell: Callable[[int, Suffer], None]
    ) -> None:
        self.path: str | None = None
        self._directory = directory
        self._connected = connected
        self._tell = tell
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Suffered]] = {}
        self._staying: dict[tuple[int, str], Order] = {}  # (broker, kind of fault) -> order
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        path = str(self._directory / "chaos")
        self._server = await asyncio.start_unix_server(self._serve, path)
        os.chmod(path, 0o600)
        self.path = path

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def on_suffered(self, answer: Suffered) -> None:
        waiting = self._waiting.get(answer.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def on_connected(self, broker_id: int) -> None:
        """A new incarnation can be told: repeat what stays."""
        for (of, _), order in self._staying.items():
            if of in (0, broker_id):
                self._tell(broker_id, Suffer(0, order.fault, parse_id(order.event)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                try:
                    outcome = await self._perform(decode_order(line))
                except (msgspec.DecodeError, ValueError) as error:
                    outcome = Outcome(errors={"supervisor": f"not an order: {error}"})
                writer.write(encode_line(outcome))
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def _perform(self, order: Order) -> Outcome:
        event = parse_id(order.event)
        self._remember(order)
        wanted = sorted(self._connected()) if order.broker_id == 0 else [order.broker_id]
        answers = await asyncio.gather(*(self._ask(broker, order, event) for broker in wanted))
        said = {str(answer.broker_id): answer.said for answer in answers if not answer.error}
        errors = {str(answer.broker_id): answer.error for answer in answers if answer.error}
        return Outcome(said, errors)

    def _remember(self, order: Order) -> None:
        if isinstance(order.fault, HealAll):
            for of, kind in list(self._staying):
                if order.broker_id in (0, of):
                    del self._staying[of, kind]
        elif order.stays and not isinstance(order.fault, RequestFault):
            # the last word counts for the newborn as it does for the living: behind all earlier ones of its kind, and
            # instead of those that it overrules
            kind = type(order.fault).__name__
            for of, other in list(self._staying):
                if other == kind and order.broker_id in (0, of):
                    del self._staying[of, other]
            self._staying[order.broker_id, kind] = order

    async def _ask(self, broker_id: int, order: Order, event: int) -> Suffered:
        if broker_id not in self._connected():
            return Suffered(0, broker_id, error="" if order.stays else "it does not run now")
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._tell(broker_id, Suffer(number, order.fault, event))
        try:
            return await asyncio.wait_for(waiting, ANSWER_S)
        except TimeoutError:
            return Suffered(0, broker_id, error="it did not answer")
        finally:
            del self._waiting[number]
