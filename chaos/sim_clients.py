"""Simulated clients: producers that retry until they are told, consumers that read below the high watermark.

They do what Kafka's clients do: find the leader in some broker's metadata (which may be old), send, wait, retry.
A request reaches a broker as its handlers would hand it on. Connections are reliable, but brokers die or are cut off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from actors.api.lookup import find_replica
from actors.append_request import AppendRequest
from chaos.sim_log import Batch
from chaos.sim_world import Timer, Violation
from model.errors import ErrorCode, OffsetOutOfRange, StorageFailure
from model.ids import TopicPartition
from protocol.records import Record, encode_batch, iter_batches, parse_header

if TYPE_CHECKING:
    from chaos.sim_cluster import Cluster
    from chaos.sim_invariants import Checker
    from chaos.sim_process import Process

TIMEOUT_S = 1.2
RETRY_S = 0.05
OWN_PRODUCER_IDS = 1_000_000_000  # far from those that the controller gives away


class Client:
    """Knows the cluster by what brokers say; `number` is its place in the network."""

    def __init__(self, cluster: Cluster, checker: Checker, number: int, name: str) -> None:
        self.cluster = cluster
        self.world = cluster.world
        self.checker = checker
        self.number = number
        self.name = name
        self.chance = cluster.world.chance(name)
        self.leaders: dict[TopicPartition, tuple[int, int]] = {}  # → (leader epoch, leader)

    def leader_of(self, partition: TopicPartition) -> Process | None:
        """The living process of the leader this client believes in."""
        epoch, leader = self.leaders.get(partition, (-1, -1))
        process = self.cluster.processes.get(leader) if epoch >= 0 else None
        if process is None or process.is_dead or process.broker is None:
            self.refresh(partition)
            process = self.cluster.processes.get(self.leaders.get(partition, (-1, -1))[1])
        return None if process is None or process.is_dead or process.broker is None else process

    def refresh(self, partition: TopicPartition) -> None:
        """Ask any broker; what is older than what we know is ignored (KIP-320)."""
        living = [process for process in self.cluster.living if process.held is None]
        if not living:
            return
        broker = self.chance.choice(living).broker
        assert broker is not None
        info = broker.image.partition(*partition)
        if info is not None and info.leader_epoch >= self.leaders.get(partition, (-1, -1))[0]:
            self.leaders[partition] = (info.leader_epoch, info.leader)

    def reaches(self, process: Process) -> bool:
        links = self.cluster.network
        return not links.link(self.number, process.broker_id).is_blocked

    def hop_s(self) -> float:
        return 0.0001 + 0.0004 * self.chance.random()


@dataclass(slots=True)
class Sending:
    """A batch that is on its way until it is acknowledged."""

    partition: TopicPartition
    records: bytes
    sequence: int
    count: int
    attempts: int = 0


class Producer(Client):
    """One batch in flight. Idempotent ones number their batches; those with acks=1 do not care about loss."""

    def __init__(
        self,
        cluster: Cluster,
        checker: Checker,
        number: int,
        partitions: list[TopicPartition],
        *,
        acks: int,
        is_idempotent: bool,
        pause_s: float,
    ) -> None:
        super().__init__(cluster, checker, number, f"producer {number}")
        self.partitions = partitions
        self.acks = acks
        self.producer_id = OWN_PRODUCER_IDS + number if is_idempotent else -1
        self.pause_s = pause_s
        self.sequences = dict.fromkeys(partitions, 0)
        self.sending: Sending | None = None
        self.is_stopped = False
        self.written = 0
        self._attempt = 0
        self._timeout: Timer | None = None

    def start(self) -> None:
        self.world.after(self.chance.expovariate(1 / self.pause_s), self._next)

    @property
    def is_done(self) -> bool:
        return self.is_stopped and self.sending is None

    def _next(self) -> None:
        if self.is_stopped:
            return
        partition = self.chance.choice(self.partitions)
        count = self.chance.choice((1, 1, 2, 5))
        sequence = self.sequences[partition]
        self.written += 1
        timestamp = int((1_700_000_000 + self.world.now_s) * 1000)
        value = f"{self.number}/{self.written}/".encode() + self.chance.randbytes(self.chance.choice((8, 40, 300)))
        records = [Record(-1, timestamp, None, value) for _ in range(count)]
        if self.producer_id < 0:
            batch = encode_batch(records)
        else:
            batch = encode_batch(records, producer_id=self.producer_id, producer_epoch=0, base_sequence=sequence)
        self.sending = Sending(partition, bytes(batch), sequence, count)
        self._send()

    def _send(self) -> None:
        sending = self.sending
        if sending is None:
            return
        self._attempt += 1
        sending.attempts += 1
        process = self.leader_of(sending.partition)
        if process is None:
            self.world.after(RETRY_S + self.hop_s(), self._retry, self._attempt)
            return
        if self.reaches(process):
            self.world.after(self.hop_s(), self._arrive, process, sending, self._attempt, owner=process)
        self._timeout = self.world.after(TIMEOUT_S, self._retry, self._attempt)

    def _retry(self, attempt: int) -> None:
        if attempt == self._attempt and self.sending is not None:
            self.refresh(self.sending.partition)
            self._send()

    def _arrive(self, process: Process, sending: Sending, attempt: int) -> None:
        """In the broker: what the Produce handler does."""
        broker = process.broker
        if broker is None:
            return
        error, replica = find_replica(broker, *_named(sending.partition), by_id=False)

        def done(append: AppendRequest) -> None:
            if append.error is ErrorCode.NONE and self.acks == -1:
                header = parse_header(sending.records)
                base = append.base_offset
                batch = Batch(base, base + sending.count, -1, header.crc, header.producer_id, 0, header.base_sequence)
                self.checker.on_ack(sending.partition, batch)
            if not self.cluster.network.link(process.broker_id, self.number).is_blocked:
                self.world.after(self.hop_s(), self._answered, attempt, append.error, append.base_offset)

        append = AppendRequest(bytearray(sending.records), self.acks, done)
        if replica is None:
            append.answer(error)
        elif not broker.system.tell(replica.address, append):
            append.answer(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def _answered(self, attempt: int, error: ErrorCode, base_offset: int) -> None:
        sending = self.sending
        if attempt != self._attempt or sending is None:
            return
        if self._timeout is not None:
            self._timeout.cancel()
        if self.world.lines is not None:
            self.world.say(f"{self.name} {sending.partition} #{sending.sequence}: {error.name} at {base_offset}")
        if error is ErrorCode.NONE:
            self._go_on()
        elif error.retriable or error is ErrorCode.NOT_LEADER_OR_FOLLOWER:
            self.world.after(RETRY_S, self._retry, attempt)
        elif error is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER and self.acks != -1:
            self.producer_id += 1000  # loss is permitted: a new life
            self.sequences = dict.fromkeys(self.partitions, 0)
            self._go_on(is_written=False)
        else:
            raise Violation("NoFatalErrors", f"{self.name} {sending.partition} #{sending.sequence}: {error.name}")

    def _go_on(self, *, is_written: bool = True) -> None:
        sending, self.sending = self.sending, None
        self._attempt += 1
        if sending is not None and is_written:
            self.sequences[sending.partition] += sending.count
        self.world.after(self.chance.expovariate(1 / self.pause_s), self._next)


class Consumer(Client):
    """Reads every partition from the start; what it reads must be what is committed, without a gap."""

    def __init__(
        self, cluster: Cluster, checker: Checker, number: int, partitions: list[TopicPartition], pause_s: float
    ) -> None:
        super().__init__(cluster, checker, number, f"consumer {number}")
        self.positions = dict.fromkeys(partitions, 0)
        self.pause_s = pause_s

    def start(self) -> None:
        self.world.after(self.chance.expovariate(1 / self.pause_s), self._poll)

    def _poll(self) -> None:
        self.world.after(self.chance.expovariate(1 / self.pause_s), self._poll)
        partition = self.chance.choice(list(self.positions))
        process = self.leader_of(partition)
        if process is not None and self.reaches(process):
            epoch = self.leaders[partition][0]
            position = self.positions[partition]
            self.world.after(self.hop_s(), self._arrive, process, partition, position, epoch, owner=process)

    def _arrive(self, process: Process, partition: TopicPartition, position: int, epoch: int) -> None:
        """In the broker: what the Fetch handler does."""
        broker = process.broker
        if broker is None or self.cluster.network.link(process.broker_id, self.number).is_blocked:
            return
        error, replica = find_replica(broker, *_named(partition), by_id=False, epoch=epoch)
        data: bytes | memoryview = b""
        start = 0
        if replica is not None:
            try:
                if replica.high_watermark > position:
                    data = replica.log.read(position, 4096, up_to=replica.high_watermark)
                elif position > replica.log.log_end_offset:
                    raise OffsetOutOfRange
            except OffsetOutOfRange:
                error = ErrorCode.OFFSET_OUT_OF_RANGE
                start = replica.log.log_start_offset
            except StorageFailure:
                error = ErrorCode.KAFKA_STORAGE_ERROR
        self.world.after(self.hop_s(), self._answered, partition, position, error, data, start)

    def _answered(
        self, partition: TopicPartition, position: int, error: ErrorCode, data: bytes | memoryview, start: int
    ) -> None:
        if position < start <= self.checker.partition(partition).deleted_to:
            self.positions[partition] = max(self.positions[partition], start)  # auto.offset.reset
            return
        if error is ErrorCode.OFFSET_OUT_OF_RANGE:
            raise Violation("NothingLost", f"{self.name} has read {partition} to {position}, which does not exist now")
        if error is not ErrorCode.NONE:
            self.refresh(partition)
            return
        for header in iter_batches(data):
            if self.checker.find(partition, header.base_offset, header.crc) is None:
                raise Violation("ReadCommitted", f"{self.name} {partition}: read {header}, which is not committed")
            if header.base_offset > position:
                raise Violation("NoGaps", f"{self.name} {partition}: {position} was next, {header.base_offset} came")
            position = max(position, header.next_offset)
        self.positions[partition] = max(self.positions[partition], position)


def _named(partition: TopicPartition) -> tuple[str, bytes, int]:
    return partition.topic, b"", partition.partition
