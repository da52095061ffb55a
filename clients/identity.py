"""Who a producer is to the brokers: nobody, an idempotent producer, or (`transactions.py`) a transactional one."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, ClassVar

from model.errors import KafkaError, kafka_error

if TYPE_CHECKING:
    from clients.accumulator import PartitionQueue
    from clients.batch import Batch
    from clients.cluster import ClusterClient
    from clients.sender import Sender

log = logging.getLogger(__name__)


class Identity:
    """Nobody: batches carry no producer id; this is acks=0 or 1, or `enable.idempotence=false`."""

    is_needed: ClassVar[bool] = False
    transactional_id: str | None = None

    def __init__(self, cluster: ClusterClient) -> None:
        self.cluster = cluster
        self.sender: Sender
        self.stamp = (-1, -1)  # producer id, epoch

    @property
    def is_known(self) -> bool:
        return True

    @property
    def may_bump(self) -> bool:
        """Whether a new epoch can be had without anybody's leave."""
        return False

    def seek(self) -> None:
        """Ask for an id, unless that is under way."""

    def bump(self) -> None:
        """Ask for a new epoch, unless that is under way."""

    def check_may_append(self) -> None:
        """Raises when a record may not even be buffered now."""

    def may_send(self, queue: PartitionQueue, batch: Batch) -> bool:
        """Whether the first batch of this queue may leave now."""
        return True

    def may_retry(self, error: KafkaError) -> bool:
        """False for errors that end the producer, or its transaction."""
        return True

    def on_lost(self, queue: PartitionQueue, batch: Batch, error: BaseException) -> None:
        """A batch failed for good."""

    def produce_version(self, version: int) -> int:
        """The version of Produce to use, given the best one."""
        return version


class IdempotentIdentity(Identity):
    """An id from InitProducerId; every partition's batches are numbered, so that a retry is never written twice."""

    is_needed = True

    def __init__(self, cluster: ClusterClient) -> None:
        super().__init__(cluster)
        self._seeking: asyncio.Task[None] | None = None

    @property
    def is_known(self) -> bool:
        return self.stamp[0] >= 0

    @property
    def may_bump(self) -> bool:
        return True

    def seek(self) -> None:
        if self._seeking is None:
            self._seeking = asyncio.ensure_future(self._seek())

    def bump(self) -> None:
        self.seek()

    async def _seek(self) -> None:
        from protocol.k22_init_producer_id import InitProducerIdRequest

        backoff = self.cluster.backoff()
        while True:
            try:
                connection = await self.cluster.connection(await self.cluster.any_node())
                version = connection.version_of(InitProducerIdRequest)
                request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=0x7FFFFFFF)
                if version >= 3:
                    request.producer_id, request.producer_epoch = self.stamp
                answer = await connection.send(request, version)
                if not answer.error_code:
                    break
                error = kafka_error(answer.error_code)
                if not error.code.retriable:
                    self.stamp = (-1, -1)  # the id is worth nothing any more: a new one
            except KafkaError as failure:
                error = failure
            self.cluster.last_failure = str(error)
            log.debug("no producer id yet: %s", error)
            await asyncio.sleep(backoff.next_s())
        self.stamp = (answer.producer_id, answer.producer_epoch)
        self._seeking = None
        self.sender.pump()
