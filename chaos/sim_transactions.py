"""Simulated transactional producers of both protocols: AddPartitionsToTxn, or KIP-890's epoch for each transaction.

They do what Kafka's clients do: ask for an id, write, commit or abort, abort what failed, ask for a new epoch when they
can't know. Some hang in the middle until their transaction times out; some have a twin of the same transactional id,
which makes them zombies that don't know it yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from actors.api.k10_find_coordinator import partition_for
from chaos.sim_ledger import ABORT, COMMIT, Ledger
from chaos.sim_log import DECISIONS, Batch
from chaos.sim_requests import Caller
from chaos.sim_world import Violation
from model.errors import ErrorCode
from model.ids import TopicPartition
from protocol.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from protocol.k22_init_producer_id import InitProducerIdRequest
from protocol.k24_add_partitions_to_txn import AddPartitionsToTxnRequest, AddPartitionsToTxnTopic
from protocol.k26_end_txn import EndTxnRequest
from protocol.records import Record, encode_batch, parse_header

if TYPE_CHECKING:
    from chaos.sim_cluster import Cluster
    from chaos.sim_invariants import Checker

PRODUCE, INIT, ADD, END = 0, 22, 24, 26
TIMEOUT_MS = 1_500
PAUSE_S = 0.06
_TRY_AGAIN = {
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.CONCURRENT_TRANSACTIONS,
    ErrorCode.NOT_LEADER_OR_FOLLOWER,
}


class Aborted(Exception):
    """The transaction can only be aborted, or has been."""


class Fenced(Exception):
    """Somebody else has this producer's place, or its transaction timed out: it needs a new epoch."""


@dataclass(slots=True)
class Tenure:
    """Who holds a transactional id: the epoch of the one that was let in last. Zombies compare theirs."""

    epoch: int = -1


@dataclass(slots=True)
class Open:
    """The transaction under way."""

    tag: str
    partitions: set[TopicPartition] = field(default_factory=set)  # in it, as far as this client has seen to it
    is_uncertain: bool = False  # something was sent and not answered


class TransactionalProducer(Caller):
    """One instance of a transactional id. `speaks` is its transaction.version: 0 or 2."""

    def __init__(
        self,
        cluster: Cluster,
        checker: Checker,
        number: int,
        transactional_id: str,
        partitions: list[TopicPartition],
        *,
        speaks: int,
        tenure: Tenure,
    ) -> None:
        super().__init__(cluster, checker, number, f"producer {number} of {transactional_id}")
        self.ledger: Ledger = checker.ledger
        self.transactional_id = transactional_id
        self.partitions = partitions
        self.speaks = speaks
        self.tenure = tenure
        self.is_twin = False  # ends when it is fenced, and does not fight back; asked to stop, it leaves all as it is
        self.hangs = True  # now and then
        self.timeout_ms = TIMEOUT_MS
        self._my_tenure = -1
        self._producer: tuple[int, int] = (-1, -1)
        self._sequences: dict[TopicPartition, int] = {}
        self._count = self._written = 0

    # -- life ----------------------------------------------------------------------------------------------------------

    async def life(self) -> None:
        """Transactions, one after the other, until asked to stop."""
        while not self.is_stopped:
            try:
                await self.obtain()
                while not self.is_stopped:
                    await self.sleep(self.chance.expovariate(1 / (2 * PAUSE_S)))
                    await self._transaction()
            except Fenced:
                self.say("was fenced")
                if self.is_twin or self.is_replaced:
                    return

    @property
    def is_replaced(self) -> bool:
        """A successor was let in, though this one may not know it."""
        return self._my_tenure < self.tenure.epoch

    @property
    def identity(self) -> tuple[int, int]:
        """Its producer id and epoch."""
        return self._producer

    async def _transaction(self) -> None:
        opened = self.open()
        try:
            for _ in range(self.chance.choice((1, 2, 3))):
                partition = self.chance.choice(self.partitions)
                await self.write(opened, partition, b"")
                await self.sleep(self.chance.random() * PAUSE_S)
                if self.hangs and self.chance.random() < 0.04:
                    self.say("hangs in its transaction")
                    await self.sleep(self.chance.choice((1.0, 2.5)))
            if self.is_stopped and self.is_twin:
                self.say(f"is gone, {opened.tag} stays open")
                return
            await self.end(opened, COMMIT if self.chance.random() < 0.75 else ABORT)
        except Aborted:
            await self.abort(opened)

    # -- the protocol --------------------------------------------------------------------------------------------------

    @property
    def coordinator(self) -> TopicPartition:
        count = len(self.cluster.metadata.truth.topics[DECISIONS].partitions)
        return TopicPartition(DECISIONS, partition_for(self.transactional_id, count))

    async def obtain(self, *, keeps: bool = False) -> None:
        """An id and an epoch; with `keeps` the next epoch of the same producer. Raises Fenced."""
        held = self._producer if keeps else (-1, -1)
        while True:
            request = InitProducerIdRequest(
                transactional_id=self.transactional_id,
                transaction_timeout_ms=self.timeout_ms,
                producer_id=held[0],
                producer_epoch=held[1],
            )
            answer = await self.ask(self.coordinator, INIT, 5, request)
            error = await self.judge("InitProducerId", None if answer is None else answer.error_code)
            if error is ErrorCode.NONE:
                self._take(answer.producer_id, answer.producer_epoch)
                self.say(f"is producer {answer.producer_id} in epoch {answer.producer_epoch}")
                if not keeps:
                    self._my_tenure = answer.producer_epoch
                    self.tenure.epoch = max(self.tenure.epoch, answer.producer_epoch)
                return
            if error is not None:
                raise Fenced

    def _take(self, producer_id: int, producer_epoch: int) -> None:
        self._producer = producer_id, producer_epoch
        self._sequences = {}

    async def judge(self, what: str, code: int | None) -> ErrorCode | None:
        """The answer's error; None, after a pause, when it is to be asked again (`code` None: there was no answer)."""
        if code is None:
            return None
        error = ErrorCode(code)
        if error is not ErrorCode.NONE:
            self.say(f"{what}: {error.name}")
        if error in _TRY_AGAIN:
            self.refresh(self.coordinator)
            await self.sleep(PAUSE_S)
            return None
        return error

    def open(self) -> Open:
        """Begin: only the client knows of it yet."""
        self._count += 1
        opened = Open(f"{self.transactional_id}/{self.number}/{self._count}")
        self.ledger.transaction(opened.tag).is_zombies = self.is_replaced
        return opened

    async def write(self, opened: Open, partition: TopicPartition, payload: bytes) -> None:
        """One batch, until it is acknowledged. Raises Aborted, Fenced."""
        if self.speaks < 2 and partition not in opened.partitions:
            await self._add(opened, partition)
        self._written += 1
        value = f"{opened.tag} {self._written} ".encode() + payload
        timestamp = int((1_700_000_000 + self.world.now_s) * 1000)
        sequence = self._sequences.get(partition, 0)
        producer_id, producer_epoch = self._producer
        records = [Record(-1, timestamp, None, value)]
        batch = bytes(
            encode_batch(
                records,
                producer_id=producer_id,
                producer_epoch=producer_epoch,
                base_sequence=sequence,
                transactional=True,
            )
        )
        self._sequences[partition] = sequence + 1
        while True:
            data = PartitionProduceData(index=partition.partition, records=bytearray(batch))
            request = ProduceRequest(
                transactional_id=self.transactional_id,
                acks=-1,
                timeout_ms=1_000,
                topic_data=[TopicProduceData(name=partition.topic, partition_data=[data])],
            )
            answer = await self.ask(partition, PRODUCE, 12 if self.speaks >= 2 else 11, request)
            if answer is None:
                opened.is_uncertain = True
                continue
            opened.partitions.add(partition)
            row = answer.responses[0].partition_responses[0]
            error = ErrorCode(row.error_code)
            if error is ErrorCode.NONE:
                header = parse_header(batch)
                base = row.base_offset
                self.checker.on_ack(
                    partition, Batch(base, base + 1, -1, header.crc, producer_id, producer_epoch, sequence)
                )
                self.ledger.transaction(opened.tag).written.append((partition, base))
                return
            self.say(f"{partition} of {opened.tag}: {error.name}")
            if not error.retriable and error is not ErrorCode.NOT_LEADER_OR_FOLLOWER:
                opened.is_uncertain = True
                raise Aborted
            self.refresh(partition)
            await self.sleep(PAUSE_S)

    async def _add(self, opened: Open, partition: TopicPartition) -> None:
        while True:
            request = AddPartitionsToTxnRequest(
                v3_and_below_transactional_id=self.transactional_id,
                v3_and_below_producer_id=self._producer[0],
                v3_and_below_producer_epoch=self._producer[1],
                v3_and_below_topics=[AddPartitionsToTxnTopic(name=partition.topic, partitions=[partition.partition])],
            )
            answer = await self.ask(self.coordinator, ADD, 3, request)
            code = None
            if answer is not None:
                code = answer.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code
            error = await self.judge("AddPartitionsToTxn", code)
            if error is ErrorCode.NONE:
                opened.partitions.add(partition)
                return
            if error is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION:
                await self.sleep(PAUSE_S)
            elif error is not None:
                raise Fenced if error in (ErrorCode.PRODUCER_FENCED, ErrorCode.INVALID_PRODUCER_EPOCH) else Aborted

    async def end(self, opened: Open, outcome: bool) -> None:
        """Commit or abort, until it is answered. Raises Fenced when that can't be known any more."""
        if not opened.partitions:
            return  # the coordinator has not heard of it
        if outcome is COMMIT and self.is_replaced:
            self.ledger.transaction(opened.tag).is_zombies = True
        self.say(f"{'commits' if outcome else 'aborts'} {opened.tag}")
        while True:
            request = EndTxnRequest(
                transactional_id=self.transactional_id,
                producer_id=self._producer[0],
                producer_epoch=self._producer[1],
                committed=outcome,
            )
            answer = await self.ask(self.coordinator, END, 5 if self.speaks >= 2 else 4, request)
            error = await self.judge("EndTxn", None if answer is None else answer.error_code)
            if error is ErrorCode.NONE:
                self.ledger.on_told(opened.tag, outcome)
                if outcome is COMMIT and self.ledger.transaction(opened.tag).is_zombies:
                    raise Violation("ZombiesFenced", f"{self.name} was allowed to commit {opened.tag}")
                if self.speaks >= 2:
                    self._take(answer.producer_id, answer.producer_epoch)
                return
            if error is not None:
                raise Fenced

    async def abort(self, opened: Open) -> None:
        """Give up; what may still be on its way must not get into the next transaction."""
        await self.end(opened, ABORT)
        if opened.is_uncertain and self.speaks < 2:
            await self.obtain(keeps=True)
