"""Producer ids for this broker's clients, from blocks that the controller hands out (KIP-730)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from model.errors import ErrorCode, RequestTimedOut
from protocol.cluster_control import AllocateProducerIds

if TYPE_CHECKING:
    from actors.broker import Broker


class ProducerIds:
    """Never gives the same id twice; an unused rest of a block is lost with the process."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._next = 0
        self._end = 0
        self._lock = asyncio.Lock()

    async def next(self) -> int:
        """A fresh id. Raises RequestTimedOut when there is no controller to ask for a block."""
        async with self._lock:
            if self._next == self._end:
                spec = self._broker.spec
                reply = await self._broker.link.ask(
                    lambda number: AllocateProducerIds(number, spec.broker_id, spec.incarnation)
                )
                if reply.error != ErrorCode.NONE:
                    raise RequestTimedOut(f"no producer ids: {ErrorCode(reply.error).name}")
                self._next = reply.first_producer_id
                self._end = reply.first_producer_id + reply.count
            self._next += 1
            return self._next - 1
