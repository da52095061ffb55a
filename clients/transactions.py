"""A transactional producer's identity: its coordinator, its epoch, and what belongs to the open transaction.

Two protocols. The older: every partition is announced to the coordinator (AddPartitionsToTxn) before its first batch,
and offsets of a group by AddOffsetsToTxn. The newer (transaction.version 2, KIP-890): batches enrol their partition by
themselves, and every EndTxn gives the producer a new epoch, so that nothing late can fall into the next transaction.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from clients.cluster import TRANSACTION_KEY
from clients.errors import IllegalUse
from clients.identity import Identity
from clients.txn_offsets import send_offsets
from model.coordinator_errors import TransactionAbortable
from model.errors import ErrorCode, KafkaError, OdradekError, ProducerFenced, kafka_error

if TYPE_CHECKING:
    from clients.accumulator import PartitionQueue
    from clients.batch import Batch
    from clients.cluster import ClusterClient
    from clients.committed import OffsetAndMetadata
    from clients.group_metadata import GroupMetadata
    from model.ids import TopicPartition

log = logging.getLogger(__name__)

State: TypeAlias = Literal["new", "ready", "in transaction", "abortable", "ending", "fatal"]
_FATAL: Final = frozenset(
    {
        ErrorCode.PRODUCER_FENCED,
        ErrorCode.INVALID_PRODUCER_ID_MAPPING,
        ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        ErrorCode.INVALID_TXN_STATE,
        ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
        ErrorCode.UNSUPPORTED_VERSION,
    }
)
_FENCED: Final = frozenset({ErrorCode.INVALID_PRODUCER_EPOCH, ErrorCode.PRODUCER_FENCED})
_NEWER: Final = 2
_PRODUCE_ENROLS_FROM: Final = 12
_END_BUMPS_FROM: Final = 5
_KEEPS_EPOCH_FROM: Final = 3


class TransactionalIdentity(Identity):
    """On the loop. `error` says why a transaction can only be aborted, or why the producer is at its end."""

    is_needed = True

    def __init__(self, cluster: ClusterClient) -> None:
        super().__init__(cluster)
        self.transactional_id: str = cluster.config.get_str("transactional.id")
        self.state: State = "new"
        self.error: BaseException | None = None
        self.is_newer = False  # which protocol
        self._timeout_ms = cluster.config.get_int("transaction.timeout.ms")
        self._patience_s = cluster.config.seconds("max.block.ms")
        self._enrolled: set[TopicPartition] = set()
        self._to_enrol: set[TopicPartition] = set()
        self._enrolling: asyncio.Task[None] | None = None
        self._has_offsets = False

    # -- what the application asks for -----------------------------------------------------------------------------

    async def begin_session(self) -> None:
        """InitProducerId: fences whoever had the id before, and ends what it left open. Once, before all else."""
        if self.state != "new":
            raise IllegalUse("init_transactions was called before")
        await self._init()
        self.state = "ready"

    def begin(self) -> None:
        if self.state != "ready":
            raise self._refusal("begin a transaction")
        self._enrolled.clear()
        self._to_enrol.clear()
        self._has_offsets = False
        self.state = "in transaction"

    async def send_offsets(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], group: GroupMetadata) -> None:
        """Have a group's offsets committed with the transaction."""
        self.check_may_append()
        self._has_offsets = True
        try:
            await send_offsets(self, offsets, group)
        except KafkaError as error:
            self.note(error)
            raise

    async def end(self, *, is_commit: bool) -> None:
        """EndTxn. The caller has flushed before a commit, and dropped the batches before an abort."""
        if is_commit and self.state != "in transaction":
            raise self._refusal("commit")
        if not is_commit and self.state not in ("in transaction", "abortable"):
            raise self._refusal("abort")
        was_abortable = self.state == "abortable"
        self.state = "ending"
        try:
            if self._enrolled or self._has_offsets:
                await self._end(is_commit=is_commit)
            if was_abortable and not self.is_newer:
                await self._init()  # what is still on its way must not fall into the next transaction
        except OdradekError as error:
            if isinstance(error, KafkaError) and error.code is ErrorCode.TRANSACTION_ABORTABLE:
                self.state, self.error = "abortable", error
            elif isinstance(error, KafkaError) and error.code in _FENCED | _FATAL:
                self._fail(error)
            else:
                self.state = "abortable" if not is_commit else "in transaction"
            raise
        self.state, self.error = "ready", None

    # -- what the sender asks --------------------------------------------------------------------------------------

    @property
    def is_known(self) -> bool:
        return self.stamp[0] >= 0

    def check_may_append(self) -> None:
        if self.state != "in transaction":
            raise self._refusal("send")

    def may_send(self, queue: PartitionQueue, batch: Batch) -> bool:
        if self.state not in ("in transaction", "ending"):
            return False
        from model.ids import TopicPartition

        place = TopicPartition(queue.topic, queue.partition)
        if place in self._enrolled:
            return True
        if self.is_newer:
            self._enrolled.add(place)
            return True
        self._to_enrol.add(place)
        if self._enrolling is None:
            self._enrolling = asyncio.ensure_future(self._enrol())
        return False

    def may_retry(self, error: KafkaError) -> bool:
        if error.code in _FENCED and not self.is_newer:
            return False
        return error.code not in _FATAL

    def on_lost(self, queue: PartitionQueue, batch: Batch, error: BaseException) -> None:
        if self.state in ("in transaction", "ending"):
            self.note(error)

    def produce_version(self, version: int) -> int:
        return version if self.is_newer else min(version, _PRODUCE_ENROLS_FROM - 1)

    def note(self, error: BaseException) -> None:
        """Something failed: the transaction can't be committed any more, or the producer is at its end."""
        code = error.code if isinstance(error, KafkaError) else ErrorCode.UNKNOWN_SERVER_ERROR
        if code in _FATAL:
            self._fail(error)
        elif self.state in ("in transaction", "ending"):
            self.state, self.error = "abortable", error

    # -- requests --------------------------------------------------------------------------------------------------

    async def ask(self, make: Any, what: str) -> Any:
        """`make(connection)` gives request and version; retried at the coordinator until `max.block.ms`."""

        async def attempt() -> Any:
            try:
                node = await self.cluster.coordinator(TRANSACTION_KEY, self.transactional_id)
                connection = await self.cluster.connection(node)
                request, version = make(connection)
                answer = await connection.send(request, version)
                code = _first_error(answer)
                if code:
                    raise kafka_error(code, what)
                return answer
            except KafkaError as error:
                self.cluster.forget_coordinator(TRANSACTION_KEY, self.transactional_id, error)
                raise

        return await self.cluster.retrying(attempt, self._patience_s, what)

    async def _init(self) -> None:
        from protocol.k22_init_producer_id import InitProducerIdRequest

        def make(connection: Any) -> tuple[InitProducerIdRequest, int]:
            version = connection.version_of(InitProducerIdRequest)
            request = InitProducerIdRequest(
                transactional_id=self.transactional_id, transaction_timeout_ms=self._timeout_ms
            )
            if version >= _KEEPS_EPOCH_FROM:
                request.producer_id, request.producer_epoch = self.stamp
            return request, version

        try:
            answer = await self.ask(make, "InitProducerId")
        except KafkaError as error:
            if error.code in _FENCED | _FATAL:
                self._fail(error)
                raise self.error or error from None
            raise
        self.stamp = (answer.producer_id, answer.producer_epoch)
        self.is_newer = self.cluster.features.get("transaction.version", 0) >= _NEWER

    async def _end(self, *, is_commit: bool) -> None:
        from protocol.k26_end_txn import EndTxnRequest

        def make(connection: Any) -> tuple[EndTxnRequest, int]:
            version = connection.version_of(EndTxnRequest)
            request = EndTxnRequest(
                transactional_id=self.transactional_id,
                producer_id=self.stamp[0],
                producer_epoch=self.stamp[1],
                committed=is_commit,
            )
            return request, version if self.is_newer else min(version, _END_BUMPS_FROM - 1)

        answer = await self.ask(make, "EndTxn")
        if self.is_newer and answer.producer_id >= 0:
            self.stamp = (answer.producer_id, answer.producer_epoch)

    async def _enrol(self) -> None:
        """AddPartitionsToTxn for everything that waits for it (older protocol)."""
        from protocol.k24_add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnTopic

        try:
            while self._to_enrol:
                these, self._to_enrol = self._to_enrol, set()
                topics: dict[str, list[int]] = {}
                for topic, partition in these:
                    topics.setdefault(topic, []).append(partition)

                def make(connection: Any, topics: dict[str, list[int]] = topics) -> tuple[Any, int]:
                    request = AddPartitionsToTxnRequest(
                        v3_and_below_transactional_id=self.transactional_id,
                        v3_and_below_producer_id=self.stamp[0],
                        v3_and_below_producer_epoch=self.stamp[1],
                        v3_and_below_topics=[
                            AddPartitionsToTxnTopic(name=name, partitions=numbers) for name, numbers in topics.items()
                        ],
                    )
                    return request, min(connection.version_of(AddPartitionsToTxnRequest), 3)

                await self.ask(make, "AddPartitionsToTxn")
                self._enrolled |= these
        except OdradekError as error:
            self.note(error)
            self.sender.drop_all(error)
        finally:
            self._enrolling = None
        self.sender.pump()

    # -- states ----------------------------------------------------------------------------------------------------

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, KafkaError) and error.code in _FENCED:
            error = ProducerFenced(f"another producer has taken over {self.transactional_id}: {error}")
        self.state, self.error = "fatal", error
        self.sender.fail_all(error)

    def _refusal(self, what: str) -> BaseException:
        if self.state == "fatal" and self.error is not None:
            return self.error
        if self.state == "abortable":
            return TransactionAbortable(f"the transaction can only be aborted: {self.error}")
        words = {
            "new": "call init_transactions first",
            "ready": "begin a transaction first",
            "in transaction": "a transaction is open",
            "ending": "the transaction is being ended",
        }
        return IllegalUse(f"can't {what} now: {words.get(self.state, self.state)}")


def _first_error(answer: Any) -> int:
    """Of an answer to any of the transaction requests."""
    code: int = getattr(answer, "error_code", 0)
    for topic in () if code else getattr(answer, "results_by_topic_v3_and_below", ()):
        for row in topic.results_by_partition:
            if row.partition_error_code:
                return int(row.partition_error_code)
    return code
