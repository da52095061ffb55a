"""What the clients of one simulated life do: plain records in half of all seeds, groups and transactions in the rest.

    records        four producers with different acks, and a reader
    group          members of one group read and commit; classic protocol or KIP-848's
    transactions   transactional producers, some with twins, and a read_committed reader
    exactly-once   members of a group that write what they read to another topic, offsets and all in one transaction
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chaos.sim_clients import Consumer, Producer
from chaos.sim_groups import Member
from chaos.sim_log import DECISIONS, OFFSETS
from chaos.sim_members import ClassicMember, ConsumerMember
from chaos.sim_readers import CommittedReader
from chaos.sim_requests import Caller
from chaos.sim_transactions import Tenure, TransactionalProducer
from model.ids import TopicPartition
from protocol.cluster_admin import NewTopic

if TYPE_CHECKING:
    from chaos.sim_cluster import Cluster
    from chaos.sim_invariants import Checker

TOPIC, OUTPUT = "t", "out"
GROUP = "g"
KINDS = ("records",) * 10 + ("group",) * 3 + ("transactions",) * 4 + ("exactly-once",) * 3
COORDINATOR_CONFIGS = {
    "group.min.session.timeout.ms": "500",
    "group.consumer.min.session.timeout.ms": "500",
    "group.consumer.session.timeout.ms": "2000",
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "250",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "300",
}


class Workload:
    """The topics and clients of one seed. `plain` clients are told to stop; the others also when they are done."""

    def __init__(self, cluster: Cluster, checker: Checker) -> None:
        self.cluster = cluster
        self.checker = checker
        self.chance = cluster.world.chance("workload")
        self.kind = self.chance.choice(KINDS)
        shape = cluster.world.chance("topics")
        self.partitions = [TopicPartition(TOPIC, number) for number in range(shape.choice((1, 1, 2, 3)))]
        self.configs: dict[str, str | None] = {
            "internal.segment.bytes": str(shape.choice((2_000, 10_000, 1 << 20))),
            "flush.messages": str(shape.choice((1, 20, 1 << 62))),
            "index.interval.bytes": "300",
        }
        self.producers: list[Producer] = []
        self.readers: list[Consumer | CommittedReader] = []
        self.callers: list[Caller] = []  # clients with a life
        self.members: list[Member] = []
        getattr(self, "_" + self.kind.replace("-", "_"))()

    def describe(self) -> str:
        """For the first line of a transcript."""
        clients = [*self.producers, *self.callers, *self.readers]
        names = ", ".join(client.name for client in clients)
        return f"workload {self.kind}, {len(self.partitions)} partitions of {TOPIC}; {names}"

    @property
    def forgets_easily(self) -> bool:
        """Small segments, and nothing is synced by itself: a power loss may take the middle of a log."""
        return self.configs["internal.segment.bytes"] == "2000" and self.configs["flush.messages"] == str(1 << 62)

    # -- topics --------------------------------------------------------------------------------------------------------

    def topics(self) -> list[NewTopic]:
        """Those that are still to be created."""
        wanted = [NewTopic(TOPIC, len(self.partitions), 3, {}, self.configs)]
        internal: dict[str, str | None] = {"cleanup.policy": "compact", "compression.type": "producer"}
        if self.kind != "records":
            count = 1 + self.cluster.world.seed % 2
            wanted += [NewTopic(name, count, 3, {}, internal) for name in (OFFSETS, DECISIONS)]
        if self.kind == "exactly-once":
            wanted.append(NewTopic(OUTPUT, 1, 3, {}, self.configs))
        known = self.cluster.metadata.truth.topics
        return [topic for topic in wanted if topic.name not in known]

    # -- the kinds -----------------------------------------------------------------------------------------------------

    def _producer(self, number: int, *, acks: int, is_idempotent: bool, pause_s: float) -> None:
        self.producers.append(
            Producer(
                self.cluster,
                self.checker,
                number,
                self.partitions,
                acks=acks,
                is_idempotent=is_idempotent,
                pause_s=pause_s,
            )
        )

    def _records(self) -> None:
        self._producer(100, acks=-1, is_idempotent=True, pause_s=0.06)
        self._producer(101, acks=-1, is_idempotent=True, pause_s=0.2)
        self._producer(102, acks=1, is_idempotent=False, pause_s=0.25)
        self._producer(103, acks=1, is_idempotent=True, pause_s=0.3)
        self.readers.append(Consumer(self.cluster, self.checker, 110, self.partitions, pause_s=0.15))

    def _group(self) -> None:
        self._widen()
        self._producer(100, acks=-1, is_idempotent=True, pause_s=0.15)
        kind = self.chance.choice((ClassicMember, ConsumerMember))
        for number in range(120, 123):
            self.members.append(kind(self.cluster, self.checker, number, GROUP, self.partitions))
        self.callers += self.members

    def _transactions(self) -> None:
        self._widen()
        speaks = self.chance.choice((0, 2, 2))
        self._producer(100, acks=-1, is_idempotent=True, pause_s=0.4)
        for name, numbers in (("x", (120, 121)), ("y", (122, 123))):
            tenure = Tenure()
            for number in numbers:
                producer = self._transactional(number, name, self.partitions, speaks, tenure)
                producer.is_twin = number % 2 == 1
                self.callers.append(producer)
        self.readers.append(CommittedReader(self.cluster, self.checker, 110, self.partitions, 0.2))

    def _exactly_once(self) -> None:
        self._widen()
        speaks = self.chance.choice((0, 2, 2))
        self._producer(100, acks=-1, is_idempotent=True, pause_s=0.15)
        kind = self.chance.choice((ClassicMember, ConsumerMember))
        output = TopicPartition(OUTPUT, 0)
        for number in range(120, 123):
            producer = self._transactional(number, f"{GROUP}-{number}", [output], speaks, Tenure())
            member = kind(self.cluster, self.checker, number, GROUP, self.partitions, producer, output)
            self.members.append(member)
        self.callers += self.members
        self.readers.append(CommittedReader(self.cluster, self.checker, 110, [output], 0.2))

    def _widen(self) -> None:
        """A group is no group, and a transaction no transaction, with one partition."""
        self.partitions = [TopicPartition(TOPIC, number) for number in range(self.chance.choice((2, 3)))]

    def _transactional(
        self, number: int, name: str, partitions: list[TopicPartition], speaks: int, tenure: Tenure
    ) -> TransactionalProducer:
        return TransactionalProducer(
            self.cluster, self.checker, number, name, partitions, speaks=speaks, tenure=tenure
        )

    # -- the run -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Everybody begins; twins later, at a time of their own."""
        world = self.cluster.world
        for producer in self.producers:
            producer.start()
        for reader in self.readers:
            if isinstance(reader, Consumer):
                reader.start()
            else:
                reader.begin(reader.life())
        for caller in self.callers:
            delay_s = 0.02 * (caller.number - 119)
            if isinstance(caller, TransactionalProducer) and caller.is_twin:
                delay_s = self.chance.uniform(2.0, 10.0)
            world.after(delay_s, self._begin, caller)

    @staticmethod
    def _begin(caller: Caller) -> None:
        caller.begin(caller.life())  # type: ignore[attr-defined]

    def stop_writing(self) -> None:
        for producer in self.producers:
            producer.is_stopped = True
        for caller in self.callers:
            if not isinstance(caller, Member):
                caller.is_stopped = True  # members go on until they have read all

    def lacking(self) -> str | None:
        """At the end, when faults have stopped: what is not done or not well; None when all is."""
        for producer in self.producers:
            if not producer.is_done:
                return f"{producer.name} still waits"
        for caller in self.callers:
            if not isinstance(caller, Member) and not caller.is_done:
                return f"{caller.name} is still at work"
        return self._unread() or self.checker.ledger.unfinished() or self._missing()

    def _unread(self) -> str | None:
        if not self.members:
            return None
        for partition in self.partitions:
            end = self.checker.partition(partition).committed_end
            floor = self.checker.ledger.floors.get((GROUP, partition), 0)
            if floor < end:
                return f"the group has committed {floor} of {end} in {partition}"
        if self.kind != "exactly-once":
            return None
        processed = self.checker.ledger.processed
        for partition in self.partitions:
            known = self.checker.partition(partition)
            for batch in known.committed:
                if batch.base_offset >= known.deleted_to and (partition, batch.base_offset) not in processed:
                    return f"{partition} {batch.base_offset} was never processed"
        return None

    def _missing(self) -> str | None:
        for reader in self.readers:
            if isinstance(reader, CommittedReader) and reader.positions and (missing := reader.missing()):
                return missing
        return None
