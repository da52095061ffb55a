"""The transactional half of `Producer`.

producer.init_transactions()
with producer.transaction():
    producer.send("payments", b"...")
    producer.send_offsets_to_transaction(consumer.positions(), consumer.group_metadata())
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clients.positions import as_offsets

if TYPE_CHECKING:
    from clients.background import BackgroundLoop
    from clients.committed import OffsetAndMetadata
    from clients.group_metadata import GroupMetadata
    from clients.producer_core import ProducerCore
    from model.ids import TopicPartition


class SyncTransactions:
    """Mixed into Producer.

    Its methods raise IllegalUse without a `transactional.id`, ProducerFenced when another producer has taken that over.
    """

    _core: ProducerCore
    _background: BackgroundLoop

    def init_transactions(self) -> None:
        """Once, before the first transaction: fences the producer that had this id, aborts what it left open."""
        self._background.call(self._core.begin_session())

    def begin_transaction(self) -> None:
        """What is sent from now on belongs to it."""
        self._background.call(self._core.begin_transaction())

    def send_offsets_to_transaction(
        self, offsets: Mapping[TopicPartition, OffsetAndMetadata | int], group: GroupMetadata
    ) -> None:
        """Commit these offsets of a consumer's group if, and only if, the transaction commits."""
        self._background.call(self._core.send_offsets(as_offsets(offsets), group))

    def commit_transaction(self) -> None:
        """Flush, then make it all visible. Raises TransactionAbortable when it can only be aborted."""
        self._background.call(self._core.commit_transaction())

    def abort_transaction(self) -> None:
        """Forget what wasn't sent, have readers skip what was."""
        self._background.call(self._core.abort_transaction())

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Begins; commits at the end of the block, or aborts when it raises."""
        self.begin_transaction()
        try:
            yield
            self.commit_transaction()
        except BaseException as failure:
            self._background.call(self._core.abort_after_failure(failure))
            raise
