"""What must hold after every step of the simulated cluster.

    TypeOk             the controller's image and every machine keep their own invariants
    LeaderInIsr        a partition's leader is in its ISR
    OneLeaderPerEpoch  one process, and only one, ever leads a leader epoch
    MonotonicEpochs    leader and partition epochs never go back; a new leader is a new epoch
    MonotonicHighWatermark  an ISR member's high watermark never goes back while its process lives
    ValidHighWatermark the high watermark is not above the log end
    IsrAsDecided       a leader's ISR is the one that the controller has decided for its partition epoch
    WeakIsr            whoever thinks it leads: its own ISR holds all below its high watermark (but for members that
                       have left the ISR meanwhile, which it has not heard yet)
    StrongIsr          the true ISR (the controller's) holds all that any replica calls committed
    NothingLost        no member of the true ISR ever cuts what is committed
    OneHistory         no two replicas ever call different batches committed at one offset
    AckedIsCommitted   what is acknowledged to acks=all is below the leader's high watermark, as it was sent
    NoDuplicates       a batch of an idempotent producer is committed once (twice if DeleteRecords took the first)

and elsewhere NoCrash (sim_process), ReadCommitted, NoGaps and NoFatalErrors (sim_clients), and at the end, when the
faults have stopped, Liveness and SameLogs (simulation).

"Committed" is all that was ever below a high watermark of any replica: readers may have seen it. It is kept here as one
list of batches per partition, and every log knows how much of it was compared already, so a step costs what it changed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chaos.sim_ledger import Ledger
from chaos.sim_log import Batch, WatchedLog
from chaos.sim_partition import Partition, skipped_in
from chaos.sim_words import partition_record
from chaos.sim_world import Violation
from machines.metadata import PartitionInfo
from model.ids import TopicPartition
from protocol.metadata_records import MetadataRecord, PartitionRecord

if TYPE_CHECKING:
    from actors.replica import Replica
    from chaos.sim_cluster import Cluster
    from chaos.sim_process import Process


COORDINATORS = ("/group/", "/offsets/", "/transaction/")
"""How the paths of coordinators' actors begin."""


class Checker:
    """Looks at what a step changed. `replicas` remembers each replica's last high watermark."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.partitions: dict[TopicPartition, Partition] = {}
        self.ledger = Ledger(cluster.world, cluster.metadata.truth)
        self.acked = 0
        self._marks: dict[tuple[int, TopicPartition], tuple[WatchedLog, int]] = {}  # → (the log, its high watermark)
        self._looked: dict[tuple[int, TopicPartition], object] = {}  # → what its role was like when looked at last
        self._coordinated: dict[int, object] = {}  # broker → the same for its coordinators
        self._cuts = 0  # of any log, ever
        self._acks: list[tuple[TopicPartition, Batch]] = []
        cluster.metadata.on_put = self.on_metadata

    def partition(self, partition: TopicPartition) -> Partition:
        found = self.partitions.get(partition)
        if found is None:
            found = self.partitions[partition] = Partition(partition)
        return found

    # -- the controller --------------------------------------------------------------------------------------------

    def on_metadata(self, records: Sequence[MetadataRecord]) -> None:
        """Records became durable: they are the truth from now on."""
        truth = self.cluster.metadata.truth
        for record in records:
            if isinstance(record, PartitionRecord):
                partition = self.partition(TopicPartition(record.topic, record.partition))
                partition.decided[record.partition_epoch] = record.isr
                if self.cluster.world.lines is not None:
                    self.cluster.world.say(f"DECIDED {partition_record(record)}")
        try:
            truth.check()
        except AssertionError as broken:
            name = "LeaderInIsr" if "leader not in ISR" in str(broken) else "TypeOk"
            raise Violation(name, str(broken)) from broken
        for info in truth.all_partitions():
            partition = self.partition(TopicPartition(info.topic, info.partition))
            before, partition.info = partition.info, info
            if before is info:
                continue
            if before is not None:
                self._check_epochs(before, info)
            for member in info.isr:
                self._check_member(partition, info, member)

    def _check_epochs(self, before: PartitionInfo, after: PartitionInfo) -> None:
        name = "MonotonicEpochs"
        if after.partition_epoch <= before.partition_epoch or after.leader_epoch < before.leader_epoch:
            raise Violation(name, f"{before} became {after}")
        if after.leader != before.leader and after.leader_epoch == before.leader_epoch:
            raise Violation(name, f"a new leader in the old epoch: {before} became {after}")

    def _check_member(self, partition: Partition, info: PartitionInfo, member: int) -> None:
        """A member of the true ISR has everything that is committed."""
        log = partition.logs.get(member)
        if member in self.cluster.lost_power:
            return
        if log is None:
            if partition.committed:
                raise Violation("StrongIsr", f"b{member} has no log of {info}")
            return
        self._compare(partition, log, len(partition.committed), "StrongIsr", f"b{member} in {info}")

    def _compare(self, partition: Partition, log: WatchedLog, count: int, invariant: str, whose: str) -> None:
        """The log holds the first `count` committed batches, but for those that were deleted on purpose."""
        committed, batches = partition.committed, log.batches
        skipped = skipped_in(partition, log)
        for index in range(max(log.checked, skipped), count):
            own = index - skipped
            if own >= len(batches) or batches[own] != committed[index]:
                found = batches[own] if own < len(batches) else "nothing"
                raise Violation(invariant, f"{whose} lacks {committed[index]} and has {found}")
        log.checked = max(log.checked, count)

    # -- brokers ---------------------------------------------------------------------------------------------------

    def after_step(self, process: Process) -> None:
        """A process has done something; look at its replicas."""
        broker = process.broker
        if broker is None:
            return
        if process.is_dead:
            self._hear_last_words(process)
            return
        looked, broker_id, cuts = self._looked, process.broker_id, self._cuts
        version = self.cluster.metadata.truth.version
        for replica in broker.replicas.hosted.values():
            role = replica.leader or replica.follower
            handled = role._cell.handled if role is not None else 0  # its machine changes only while it handles mail
            state = (replica, replica.log, replica.high_watermark, role, handled, version, cuts)
            key = (broker_id, replica.partition)
            if looked.get(key) != state:
                looked[key] = state
                self._look(process, replica, key)
        if broker.groups.offsets or broker.transactions.coordinators:
            self._look_at_coordinators(process, version)
        if self._acks:
            self._check_acks()

    def _hear_last_words(self, process: Process) -> None:
        """It died amid a step: what it called committed just before may have been told to others."""
        assert process.broker is not None
        for replica in process.broker.replicas.hosted.values():
            known = self._marks.get((process.broker_id, replica.partition))
            if known is not None and known[0] is replica.log and replica.high_watermark > known[1]:
                self._marks[process.broker_id, replica.partition] = (known[0], replica.high_watermark)
                self._on_high_watermark(process, replica, known[0])

    def _look(self, process: Process, replica: Replica, key: tuple[int, TopicPartition]) -> None:
        known, mark, log = self._marks.get(key), replica.high_watermark, replica.log
        assert isinstance(log, WatchedLog)
        is_new = known is None or known[0] is not log
        if is_new:
            self._meet(process, replica, log)
        elif known is not None and mark < known[1] and self._is_in_sync(process, replica, log):
            raise Violation("MonotonicHighWatermark", f"{process.name} {replica.partition}: {known[1]} → {mark}")
        if is_new or known is None or known[1] != mark:
            self._marks[key] = (log, mark)
            self._on_high_watermark(process, replica, log)
        self._check_role(process, replica)

    def _look_at_coordinators(self, process: Process, version: int) -> None:
        assert process.broker is not None
        actors = process.broker.system.mail.actors
        handled = sum(actor._cell.handled for path, actor in actors.items() if path.startswith(COORDINATORS))
        state = (process, len(actors), handled, version, self.ledger.commits)
        if self._coordinated.get(process.broker_id) != state:
            self._coordinated[process.broker_id] = state
            self.ledger.check_coordinators(process)

    def _is_in_sync(self, process: Process, replica: Replica, log: WatchedLog) -> bool:
        """Whose high watermark may not go back: outside the ISR a replica may have lost what it called committed."""
        info = self.partition(replica.partition).info
        return info is not None and process.broker_id in info.isr and not log.is_doubtful

    def _meet(self, process: Process, replica: Replica, log: WatchedLog) -> None:
        partition = self.partition(replica.partition)
        partition.logs[process.broker_id] = log
        gone = 0  # below what was deleted on purpose a power loss may bring anything back
        while gone + 1 < len(log.batches) and log.batches[gone].next_offset <= partition.deleted_to:
            gone += 1
        del log.batches[:gone]
        log.listed_from = log.batches[0].base_offset if log.batches else log.log_start_offset
        log.checked, log.is_doubtful = 0, process.broker_id in self.cluster.lost_power
        self.cluster.lost_power.discard(process.broker_id)
        log.on_cut = lambda cut, end: self._on_cut(process, partition, cut, end)
        if self.cluster.world.lines is not None:
            text = f"opens {replica.partition}: {log.log_start_offset} to {log.log_end_offset}"
            self.cluster.world.say(f"{process.name} {text}, high watermark {replica.high_watermark}")
        if log.log_start_offset > partition.deleted_to:
            raise Violation("NothingLost", f"{process.name} {replica.partition} starts at {log.log_start_offset}")
        if partition.info is not None and process.broker_id in partition.info.isr:
            self._check_member(partition, partition.info, process.broker_id)

    def _on_cut(self, process: Process, partition: Partition, log: WatchedLog, end: int) -> None:
        info = partition.info
        self._cuts += 1
        if self.cluster.world.lines is not None:
            self.cluster.world.say(f"{process.name} cuts {partition.name} at {end}")
        if end < partition.committed_end and info is not None and process.broker_id in info.isr:
            committed = partition.committed_end
            raise Violation("NothingLost", f"{process.name} cut at {end}, committed to {committed}, {info}")

    def _on_high_watermark(self, process: Process, replica: Replica, log: WatchedLog) -> None:
        partition = self.partition(replica.partition)
        mark, skipped = replica.high_watermark, skipped_in(partition, log)
        if mark > log.log_end_offset:
            raise Violation("ValidHighWatermark", f"{process.name} {replica.partition}: {mark} of {log.log_end_offset}")
        committed, batches = partition.committed, log.batches
        count = bisect_left(batches, mark, key=lambda batch: batch.next_offset)
        if count < len(batches) and batches[count].next_offset <= mark:
            count += 1
        count += skipped
        if count > len(committed):
            self._compare(partition, log, len(committed), "OneHistory", process.name)
            self._commit(partition, batches[len(committed) - skipped : count - skipped])
            if partition.info is not None:
                for member in partition.info.isr:
                    self._check_member(partition, partition.info, member)
        self._compare(partition, log, count, "OneHistory", f"{process.name} {replica.partition} at mark {mark}")

    def _commit(self, partition: Partition, batches: list[Batch]) -> None:
        for batch in batches:
            if batch.base_sequence >= 0:
                written = (batch.producer_id, batch.producer_epoch, batch.base_sequence)
                if partition.sequences.get(written, -1) >= partition.deleted_to:
                    raise Violation("NoDuplicates", f"{batch} is committed twice")
                partition.sequences[written] = batch.base_offset
            if batch.note is not None:
                self.ledger.on_committed(partition.name, batch)
        partition.committed += batches

    def _check_role(self, process: Process, replica: Replica) -> None:
        leader = replica.leader
        role = leader if leader is not None else replica.follower
        if role is None:
            return
        machine = getattr(role, "machine", None)
        if machine is None:
            return
        try:
            machine.check()
        except AssertionError as broken:
            name = next((n for n in ("LeaderInIsr", "ValidHighWatermark") if n in str(broken)), "TypeOk")
            raise Violation(name, f"{process.name} {replica.partition}: {broken}") from broken
        if leader is None:
            return
        partition = self.partition(replica.partition)
        me = (process.broker_id, process.incarnation)
        if partition.leaders.setdefault(machine.leader_epoch, me) != me:
            other = partition.leaders[machine.leader_epoch]
            raise Violation("OneLeaderPerEpoch", f"{replica.partition} epoch {machine.leader_epoch}: {me} and {other}")
        isr, info = machine.isr, partition.info
        if partition.decided.get(machine.partition_epoch) != isr:
            raise Violation("IsrAsDecided", f"{process.name} {replica.partition}: {isr} at {machine.partition_epoch}")
        if info is not None and info.partition_epoch > machine.partition_epoch:
            isr = tuple(member for member in isr if member in info.isr)
        self._check_own_isr(process, replica, partition, isr)

    def _check_own_isr(self, process: Process, replica: Replica, partition: Partition, isr: tuple[int, ...]) -> None:
        mine = partition.logs[process.broker_id]
        count = bisect_left(mine.batches, replica.high_watermark, key=lambda b: b.next_offset)
        count = min(mine.checked, count + skipped_in(partition, mine))
        for member in isr:
            log = partition.logs.get(member)
            if log is not None and log.checked < count and member not in self.cluster.lost_power:
                self._compare(partition, log, count, "WeakIsr", f"b{member} in {process.name}'s ISR {isr}")

    # -- clients ---------------------------------------------------------------------------------------------------

    def on_ack(self, partition: TopicPartition, batch: Batch) -> None:
        """A broker acknowledges a batch to acks=all. Looked at when the step is over."""
        self._acks.append((partition, batch))

    def _check_acks(self) -> None:
        acks, self._acks = self._acks, []
        for name, batch in acks:
            self.acked += 1
            if self.find(name, batch.base_offset, batch.crc) is None:
                raise Violation("AckedIsCommitted", f"{name}: {batch} is acknowledged and not committed")

    def find(self, name: TopicPartition, base_offset: int, crc: int) -> Batch | None:
        """The committed batch at that offset, if it is this one."""
        committed = self.partition(name).committed
        index = bisect_left(committed, base_offset, key=lambda batch: batch.base_offset)
        if index < len(committed) and committed[index][0] == base_offset and committed[index].crc == crc:
            return committed[index]
        return None
