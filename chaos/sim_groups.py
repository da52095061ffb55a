"""Simulated members of consumer groups, of the classic protocol and of KIP-848's; with and without transactions.

A member joins, owns partitions, reads them, and commits how far it got; one with a producer writes what it read to
another topic and commits both in one transaction. What differs between the protocols is how it comes to own anything:
`ClassicMember` and `ConsumerMember` in `sim_members.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from actors.api.k10_find_coordinator import partition_for
from chaos.sim_ledger import COMMIT, Ledger
from chaos.sim_log import OFFSETS
from chaos.sim_offsets import commit_in_transaction_request, commit_request, fetch_request
from chaos.sim_readers import CommittedReader
from chaos.sim_requests import Caller
from chaos.sim_transactions import Aborted, Fenced, Open, TransactionalProducer
from chaos.sim_world import Violation
from model.errors import ErrorCode
from model.ids import TopicPartition
from protocol.k25_add_offsets_to_txn import AddOffsetsToTxnRequest
from protocol.records import BatchHeader

if TYPE_CHECKING:
    from chaos.sim_cluster import Cluster
    from chaos.sim_invariants import Checker

COMMIT_OFFSETS, FETCH_OFFSETS, ADD_OFFSETS, COMMIT_IN_TRANSACTION = 8, 9, 25, 28
BEAT_S = 0.4
HANG_S, HANGING_TIMEOUT_MS = 3.0, 4_000  # longer than a session, but in time for the transaction
_ELSEWHERE = {
    ErrorCode.NOT_COORDINATOR,
    ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
    ErrorCode.CONCURRENT_TRANSACTIONS,
    ErrorCode.UNSTABLE_OFFSET_COMMIT,
    ErrorCode.REQUEST_TIMED_OUT,
}


class Rejoin(Exception):
    """The group has moved on."""


class Member(Caller, ABC):
    """One member. `generation` is its generation or member epoch, `positions` is what it owns and how far it is."""

    is_classic = True

    def __init__(
        self,
        cluster: Cluster,
        checker: Checker,
        number: int,
        group: str,
        partitions: list[TopicPartition],
        producer: TransactionalProducer | None = None,
        output: TopicPartition | None = None,
    ) -> None:
        super().__init__(cluster, checker, number, f"member {number} of {group}")
        self.ledger: Ledger = checker.ledger
        self.group = group
        self.partitions = partitions
        self.producer = producer
        self.output = output
        self.hangs = producer is not None and cluster.world.chance("hanging members").random() < 0.5
        if producer is not None and self.hangs:
            producer.timeout_ms = HANGING_TIMEOUT_MS
        self.reader = CommittedReader(cluster, checker, number, partitions, 1.0)
        self.member_id = ""
        self.generation = -1
        self.positions: dict[TopicPartition, int] = {}
        self.unknown: set[TopicPartition] = set()  # owned, and where to begin must be asked first
        self._former: tuple[int, dict[TopicPartition, int]] = (-1, {})  # a generation that is over, and how far it was

    @property
    def coordinator(self) -> TopicPartition:
        count = len(self.cluster.metadata.truth.topics[OFFSETS].partitions)
        return TopicPartition(OFFSETS, partition_for(self.group, count))

    @property
    def parts(self) -> list[Caller]:
        """All that stops when this member stops."""
        return [self, self.reader, *([self.producer] if self.producer is not None else [])]

    @abstractmethod
    async def life(self) -> None:
        """Join, work, leave, until stopped: as the group's protocol has it."""

    async def judge(self, what: str, code: int | None) -> ErrorCode | None:
        """The error; None, after a pause, when it is to be asked again. Raises Rejoin when that is no use."""
        if code is None:
            return None
        error = ErrorCode(code)
        if error is ErrorCode.NONE:
            return error
        self.say(f"{what}: {error.name}")
        if error in _ELSEWHERE:
            self.refresh(self.coordinator)
            await self.sleep(0.05)
            return None
        return error

    # -- owning --------------------------------------------------------------------------------------------------------

    def own(self, partitions: list[TopicPartition]) -> None:
        """From now on these and no others."""
        self.positions = {known: position for known, position in self.positions.items() if known in partitions}
        self.unknown = {partition for partition in partitions if partition not in self.positions}
        self.ledger.on_assigned(self.group, self.generation, self.member_id, partitions)
        names = ", ".join(map(str, partitions)) or "nothing"
        self.say(f"owns {names} in {'generation' if self.is_classic else 'epoch'} {self.generation}")

    def lose_all(self) -> None:
        self.remember()
        self.positions, self.unknown = {}, set()

    def remember(self) -> None:
        """What a commit that is late would say."""
        if self.positions and self.producer is None:
            self._former = self.generation, dict(self.positions)

    async def commit_late(self) -> None:
        """A commit of a generation that is over, as one that was on its way for long; it must be refused."""
        former, offsets = self._former
        self._former = -1, {}
        if not offsets or former >= self.generation:
            return
        request = commit_request(self.group, self.member_id, former, offsets)
        answer = await self.ask(self.coordinator, COMMIT_OFFSETS, 9, request)
        if answer is not None:
            codes = [ErrorCode(row.error_code) for topic in answer.topics for row in topic.partitions]
            self.say(f"commits late, for {former} in {self.generation}: {codes[0].name}")
            if ErrorCode.NONE in codes:
                raise Violation("OldGenerationsFenced", f"{self.name} in {self.generation} could commit for {former}")

    async def find_positions(self) -> None:
        """Ask where to begin."""
        asked = sorted(self.unknown)
        if not asked:
            return
        floors = {partition: self.ledger.floors.get((self.group, partition), -1) for partition in asked}
        as_member = None if self.is_classic else (self.member_id, self.generation)
        request = fetch_request(self.group, asked, as_member)
        answer = await self.ask(self.coordinator, FETCH_OFFSETS, 9, request)
        error = await self.judge("OffsetFetch", None if answer is None else answer.groups[0].error_code)
        if error is None:
            return
        if error is not ErrorCode.NONE:
            raise Rejoin
        for row in answer.groups[0].topics[0].partitions:
            partition = TopicPartition(asked[0].topic, row.partition_index)
            if row.error_code:
                await self.judge("OffsetFetch", row.error_code)
            elif partition in self.unknown:
                self.ledger.on_fetched(self.group, partition, row.committed_offset, floors[partition])
                self.positions[partition] = max(row.committed_offset, 0)
                self.unknown.discard(partition)

    # -- working -------------------------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Read a little of what is owned, and commit it. Raises Rejoin."""
        await self.find_positions()
        if not self.positions:
            return
        partition = self.chance.choice(sorted(self.positions))
        position, taken = await self.reader.read(partition, self.positions[partition])
        if position == self.positions[partition]:
            return
        if self.producer is not None and self.producer.identity[0] < 0:
            await self._new_epoch(self.producer)
        elif self.producer is None:
            await self.commit({partition: position})
            self.positions[partition] = position
        else:
            await self._process(self.producer, partition, position, taken)

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Until it is acknowledged. Raises Rejoin."""
        while True:
            asked_s, generation = self.world.now_s, self.generation
            request = commit_request(self.group, self.member_id, generation, offsets)
            answer = await self.ask(self.coordinator, COMMIT_OFFSETS, 9, request)
            code = None if answer is None else answer.topics[0].partitions[0].error_code
            error = await self.judge("OffsetCommit", code)
            if error is ErrorCode.NONE:
                self.ledger.on_group_commit(self.group, generation, asked_s, offsets, is_classic=self.is_classic)
                return
            if error is not None or answer is None:
                raise Rejoin  # what was asked and not answered may be late: let the group say where it stands

    async def _process(
        self, producer: TransactionalProducer, partition: TopicPartition, position: int, taken: list[BatchHeader]
    ) -> None:
        """Write what was read elsewhere, and commit both. Raises Rejoin."""
        assert self.output is not None
        opened = producer.open()
        transaction = self.ledger.transaction(opened.tag)
        transaction.consumed = [(partition, header.base_offset) for header in taken]
        try:
            await producer.write(opened, self.output, f"{partition} {position}".encode())
            asked_s, generation = await self._send_offsets(producer, opened, partition, position)
            if self.hangs and self.chance.random() < 0.05:
                producer.say(f"hangs before the end of {opened.tag}")
                await producer.sleep(HANG_S)
            if self.chance.random() < 0.1:
                self.say(f"thinks better of {opened.tag}")
                raise Aborted
            await producer.end(opened, COMMIT)
        except Fenced:
            producer.say("was fenced")
            self.unknown |= set(self.positions)
            self.positions.clear()
            await self._new_epoch(producer)
        except (Aborted, Rejoin) as given_up:
            self.unknown |= set(self.positions)
            self.positions.clear()
            try:
                await producer.abort(opened)
            except Fenced:
                await self._new_epoch(producer)
            if isinstance(given_up, Rejoin):
                raise
        else:
            if partition in self.positions:
                self.positions[partition] = position
            done = {partition: position}
            self.ledger.on_group_commit(self.group, generation, asked_s, done, is_classic=self.is_classic)

    @staticmethod
    async def _new_epoch(producer: TransactionalProducer) -> None:
        try:
            await producer.obtain()
        except Fenced:
            await producer.sleep(BEAT_S)

    async def _send_offsets(
        self, producer: TransactionalProducer, opened: Open, partition: TopicPartition, position: int
    ) -> tuple[float, int]:
        """(when it was asked, in which generation). Raises Aborted, Fenced, Rejoin."""
        producer_id, producer_epoch = producer.identity
        if producer.speaks < 2:
            await self._add_offsets(producer)
        opened.partitions.add(self.coordinator)
        while True:
            asked_s, generation = self.world.now_s, self.generation
            request = commit_in_transaction_request(
                (self.group, self.member_id, generation),
                (producer.transactional_id, producer_id, producer_epoch),
                partition,
                position,
                opened.tag,
            )
            version = 5 if producer.speaks >= 2 else 4
            answer = await self.ask(self.coordinator, COMMIT_IN_TRANSACTION, version, request)
            if answer is None:
                opened.is_uncertain = True
                continue
            error = await self.judge("TxnOffsetCommit", answer.topics[0].partitions[0].error_code)
            if error is ErrorCode.NONE:
                return asked_s, generation
            if error in _OF_THE_PRODUCER:
                raise Aborted
            if error is not None:
                raise Rejoin

    async def _add_offsets(self, producer: TransactionalProducer) -> None:
        while True:
            producer_id, producer_epoch = producer.identity
            request = AddOffsetsToTxnRequest(
                transactional_id=producer.transactional_id,
                producer_id=producer_id,
                producer_epoch=producer_epoch,
                group_id=self.group,
            )
            answer = await producer.ask(producer.coordinator, ADD_OFFSETS, 3, request)
            error = await producer.judge("AddOffsetsToTxn", None if answer is None else answer.error_code)
            if error is ErrorCode.NONE:
                return
            if error is not None:
                raise Aborted


_OF_THE_PRODUCER = {
    ErrorCode.INVALID_PRODUCER_EPOCH,
    ErrorCode.PRODUCER_FENCED,
    ErrorCode.INVALID_PRODUCER_ID_MAPPING,
    ErrorCode.INVALID_TXN_STATE,
    ErrorCode.TRANSACTION_ABORTABLE,
    ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
}
