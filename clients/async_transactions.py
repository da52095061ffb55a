"""The transactional half of `AsyncProducer`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from clients.positions import as_offsets

if TYPE_CHECKING:
    from clients.committed import OffsetAndMetadata
    from clients.group_metadata import GroupMetadata
    from clients.producer_core import ProducerCore
    from model.ids import TopicPartition


class AsyncTransactions:
    """Mixed into AsyncProducer; see SyncTransactions."""

    _core: ProducerCore

    async def init_transactions(self) -> None:
        """Once, before the first transaction: fences the producer that had this id, aborts what it left open."""
        await self._core.begin_session()

    async def begin_transaction(self) -> None:
        """What is sent from now on belongs to it."""
        await self._core.begin_transaction()

    async def send_offsets_to_transaction(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata | int], group: GroupMetadata
    ) -> None:
        """Commit these offsets of a consumer's group if, and only if, the transaction commits."""
        await self._core.send_offsets(as_offsets(offsets), group)

    async def commit_transaction(self) -> None:
        """Flush, then make it all visible. Raises TransactionAbortable when it can only be aborted."""
        await self._core.commit_transaction()

    async def abort_transaction(self) -> None:
        """Forget what wasn't sent, have readers skip what was."""
        await self._core.abort_transaction()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Begins; commits at the end of the block, or aborts when it raises."""
        await self.begin_transaction()
        try:
            yield
            await self.commit_transaction()
        except BaseException as failure:
            await self._core.abort_after_failure(failure)
            raise
