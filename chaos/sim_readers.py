"""A read_committed reader: through the real Fetch handler, dropping what its answers call aborted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chaos.sim_ledger import ABORT, COMMIT, Ledger
from chaos.sim_log import NOTED, note_of
from chaos.sim_requests import Caller
from chaos.sim_world import Violation
from model.errors import ErrorCode
from model.ids import TopicPartition
from protocol.k01_fetch import FetchPartition, FetchRequest, FetchTopic, PartitionData
from protocol.records import BatchHeader, iter_batches

if TYPE_CHECKING:
    from chaos.sim_cluster import Cluster
    from chaos.sim_invariants import Checker

FETCH, VERSION, READ_COMMITTED = 1, 12, 1


class CommittedReader(Caller):
    """Reads partitions from the start; every batch it is given must be one that was committed, without a gap."""

    def __init__(
        self, cluster: Cluster, checker: Checker, number: int, partitions: list[TopicPartition], pause_s: float
    ) -> None:
        super().__init__(cluster, checker, number, f"reader {number}")
        self.ledger: Ledger = checker.ledger
        self.positions = dict.fromkeys(partitions, 0)
        self.pause_s = pause_s
        self.seen: set[tuple[TopicPartition, int]] = set()  # what it was given, by base offset

    async def life(self) -> None:
        """Read on and on."""
        while True:
            await self.sleep(self.chance.expovariate(1 / self.pause_s))
            partition = self.chance.choice(list(self.positions))
            self.positions[partition], _ = await self.read(partition, self.positions[partition])

    async def read(self, partition: TopicPartition, position: int) -> tuple[int, list[BatchHeader]]:
        """(the next position, the data batches that count)."""
        epoch = self.leaders.get(partition, (-1, -1))[0]
        wanted = FetchPartition(
            partition=partition.partition, current_leader_epoch=epoch, fetch_offset=position, partition_max_bytes=4096
        )
        request = FetchRequest(
            max_wait_ms=0,
            min_bytes=0,
            max_bytes=4096,
            isolation_level=READ_COMMITTED,
            topics=[FetchTopic(topic=partition.topic, partitions=[wanted])],
        )
        answer = await self.ask(partition, FETCH, VERSION, request)
        if answer is None:
            return position, []
        row = answer.responses[0].partitions[0]
        error = ErrorCode(row.error_code)
        if error is ErrorCode.OFFSET_OUT_OF_RANGE:
            if position < row.log_start_offset <= self.checker.partition(partition).deleted_to:
                return row.log_start_offset, []  # auto.offset.reset
            truth = self.cluster.metadata.truth.partition(*partition)
            if truth is not None and epoch < truth.leader_epoch:
                self.refresh(partition)  # a former leader said so; the position is from the group, which knows more
                return position, []
            raise Violation("NothingLost", f"{self.name} has read {partition} to {position}, which does not exist now")
        if error is not ErrorCode.NONE:
            self.refresh(partition)
            return position, []
        return self._take(partition, position, row)

    def _take(
        self, partition: TopicPartition, position: int, row: PartitionData
    ) -> tuple[int, list[BatchHeader]]:
        starts = {(each.producer_id, each.first_offset) for each in row.aborted_transactions or ()}
        aborted: set[int] = set()
        records: Any = row.records
        data = memoryview(records or b"")
        taken: list[BatchHeader] = []
        for header in iter_batches(data):
            if self.checker.find(partition, header.base_offset, header.crc) is None:
                raise Violation("ReadCommitted", f"{self.name} {partition}: read {header}, which is not committed")
            if header.base_offset > position:
                raise Violation("NoGaps", f"{self.name} {partition}: {position} was next, {header.base_offset} came")
            note = note_of(partition.topic, data, header) if header.attributes & NOTED else None
            for producer_id, first in list(starts):
                if first <= header.base_offset:
                    aborted.add(producer_id)
                    starts.discard((producer_id, first))
            if header.next_offset > position:
                if isinstance(note, bool):
                    aborted.discard(header.producer_id)
                elif note is None:
                    taken.append(header)
                elif isinstance(note, str) and self._counts(partition, note, is_dropped=header.producer_id in aborted):
                    taken.append(header)
                    self.seen.add((partition, header.base_offset))
            position = max(position, header.next_offset)
        return position, taken

    def _counts(self, partition: TopicPartition, tag: str, *, is_dropped: bool) -> bool:
        outcome = self.ledger.transaction(tag).outcome
        wanted = ABORT if is_dropped else COMMIT
        if outcome is not wanted:
            was = "open" if outcome is None else "committed" if outcome else "aborted"
            does = "drops" if is_dropped else "reads"
            raise Violation("ReadCommitted", f"{self.name} {does} {tag} in {partition}: {was}")
        return not is_dropped

    def missing(self) -> str | None:
        """A committed batch that was never read; None when there is none."""
        for transaction in self.ledger.transactions.values():
            if transaction.outcome is COMMIT:
                for partition, offset in transaction.written:
                    known = self.checker.partition(partition)
                    if offset >= known.deleted_to and (partition, offset) not in self.seen:
                        return f"{self.name} was never given {offset} of {partition}, {transaction.tag} was committed"
        return None
