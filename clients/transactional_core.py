"""Transactions in order: flush before a commit, drop before an abort."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

from clients.errors import IllegalUse
from model.coordinator_errors import TransactionAbortable
from model.errors import OdradekError

if TYPE_CHECKING:
    from clients.committed import OffsetAndMetadata
    from clients.group_metadata import GroupMetadata
    from clients.identity import Identity
    from clients.sender import Sender
    from clients.transactions import TransactionalIdentity
    from model.ids import TopicPartition

log = logging.getLogger(__name__)


class TransactionalCore(ABC):
    """Mixed into ProducerCore. On the loop."""

    identity: Identity
    sender: Sender

    @abstractmethod
    async def flush(self) -> None:
        """ProducerCore's."""

    @property
    def _transactions(self) -> TransactionalIdentity:
        from clients.transactions import TransactionalIdentity

        if not isinstance(self.identity, TransactionalIdentity):
            raise IllegalUse("this producer has no transactional.id")
        return self.identity

    async def begin_session(self) -> None:
        await self._transactions.begin_session()

    async def begin_transaction(self) -> None:
        self._transactions.begin()

    async def send_offsets(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group: GroupMetadata) -> None:
        await self._transactions.send_offsets(offsets, group)

    async def commit_transaction(self) -> None:
        transactions = self._transactions
        await self.flush()
        if transactions.state == "abortable":
            raise TransactionAbortable(f"the transaction can only be aborted: {transactions.error}")
        await transactions.end(is_commit=True)

    async def abort_transaction(self) -> None:
        transactions = self._transactions
        self.sender.drop_all(TransactionAbortable("the transaction was aborted before the record was sent"))
        await self.sender.quiet()
        await transactions.end(is_commit=False)

    async def abort_after_failure(self, failure: BaseException) -> None:
        """The block failed, and its own error is the one to see; unless it only showed that the producer was fenced."""
        transactions = self._transactions
        try:
            if transactions.state in ("in transaction", "abortable"):
                await self.abort_transaction()
        except OdradekError as error:
            log.warning("%s: the transaction could not be aborted: %s", transactions.transactional_id, error)
        if transactions.state == "fatal" and isinstance(failure, TransactionAbortable):
            raise transactions.error or failure from failure
