"""What is asked of the controller and of leaders amid the faults: elections, moves, deletions, a lease that is lost."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING

from actors.api import k21_delete_records
from protocol.cluster_admin import PREFERRED, AlterReassignments, ElectLeaders, Reassignment
from protocol.k21_delete_records import DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic

if TYPE_CHECKING:
    from chaos.sim_cluster import Cluster
    from chaos.sim_invariants import Checker

TOPIC = "t"


class AdminFaults:
    """Each method asks for one thing and says what it was (None: not now)."""

    cluster: Cluster
    checker: Checker
    chance: Random

    def lose_the_lease(self) -> str | None:
        self.cluster.metadata.failing_puts = 1
        return "at the next write of metadata"

    def elect_preferred(self) -> str | None:
        return self._ask(lambda number: ElectLeaders(number, PREFERRED, None), "of all partitions")

    def reassign(self) -> str | None:
        truth = self.cluster.metadata.truth
        partitions = list(truth.all_partitions())
        registered = sorted(truth.brokers)
        if not partitions:
            return None
        info = self.chance.choice(partitions)
        if len(registered) < len(info.replicas):
            return None
        target = tuple(self.chance.sample(registered, min(3, len(registered))))
        asked = [Reassignment(info.topic, info.partition, target)]
        return self._ask(lambda number: AlterReassignments(number, asked), f"{info.topic}-{info.partition} to {target}")

    def delete_records(self) -> str | None:
        """What the DeleteRecords handler does, up to any committed offset."""
        leading = [
            (process, replica)
            for process in self.cluster.living
            if process.broker is not None and process.held is None
            for replica in process.broker.replicas.hosted.values()
            if replica.leader is not None and replica.partition.topic == TOPIC
        ]
        if not leading:
            return None
        process, replica = self.chance.choice(leading)
        start = replica.log.log_start_offset
        offset = self.chance.randint(start, max(start, replica.high_watermark))
        known = self.checker.partition(replica.partition)
        known.deleted_to = max(known.deleted_to, offset)
        wanted = DeleteRecordsPartition(partition_index=replica.partition.partition, offset=offset)
        topic = DeleteRecordsTopic(name=replica.partition.topic, partitions=[wanted])
        context = SimpleNamespace(broker=process.broker)
        process.enter(k21_delete_records.handle, context, DeleteRecordsRequest(topics=[topic]))
        return f"{replica.partition} below {offset}"

    def _ask(self, make: Callable[[int], object], what: str) -> str | None:
        living = [process for process in self.cluster.living if process.held is None]
        if not living:
            return None
        process = self.chance.choice(living)
        process.enter(process.ask_controller, make)
        return f"{what}, asked by {process.name}"
