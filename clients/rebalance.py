"""What a rebalance asks of the thread that polls, and what the application may do then."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from model.ids import TopicPartition

Kind: TypeAlias = Literal["assigned", "revoked", "lost"]


class RebalanceListener:
    """Called from within `poll`. Override what you need; with AsyncConsumer the methods may be coroutines."""

    def on_partitions_assigned(self, partitions: Sequence[TopicPartition]) -> Any:
        """They are this consumer's now; `seek` here overrides the committed offsets."""

    def on_partitions_revoked(self, partitions: Sequence[TopicPartition]) -> Any:
        """They are about to go to somebody else; it is the last moment to commit."""

    def on_partitions_lost(self, partitions: Sequence[TopicPartition]) -> Any:
        """They are somebody else's already: nothing can be committed. Does what `revoked` does unless overridden."""
        return self.on_partitions_revoked(partitions)


class RebalanceCall:
    """One step of a rebalance, waiting for the next poll; `done` is a future of the client's loop."""

    __slots__ = ("done", "kind", "partitions")

    def __init__(self, kind: Kind, partitions: Sequence[TopicPartition]) -> None:
        self.kind = kind
        self.partitions = list(partitions)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def finish(self) -> None:
        """Thread-safe."""

        def tell() -> None:
            if not self.done.done():
                self.done.set_result(None)

        try:
            self.done.get_loop().call_soon_threadsafe(tell)
        except RuntimeError:
            pass  # closed meanwhile
