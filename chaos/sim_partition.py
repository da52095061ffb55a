"""What the checker knows of one partition of the simulated cluster."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from chaos.sim_log import Batch, WatchedLog
from machines.metadata import PartitionInfo
from model.ids import TopicPartition


@dataclass(slots=True)
class Partition:
    """What is known of one partition. `logs` are the newest on each broker, also of the dead."""

    name: TopicPartition
    committed: list[Batch] = field(default_factory=list)
    logs: dict[int, WatchedLog] = field(default_factory=dict)
    info: PartitionInfo | None = None
    leaders: dict[int, tuple[int, int]] = field(default_factory=dict)  # leader epoch → (broker, incarnation)
    decided: dict[int, tuple[int, ...]] = field(default_factory=dict)  # partition epoch → ISR
    sequences: dict[tuple[int, int, int], int] = field(default_factory=dict)  # producer, epoch, sequence → offset
    deleted_to: int = 0  # records below may be gone: somebody asked for it

    @property
    def committed_end(self) -> int:
        return self.committed[-1].next_offset if self.committed else 0


def skipped_in(partition: Partition, log: WatchedLog) -> int:
    """How many of the committed batches lie before the first one of this log, which DeleteRecords has moved."""
    first = log.batches[0].base_offset if log.batches else max(log.log_start_offset, log.listed_from)
    return bisect_left(partition.committed, first, key=lambda batch: batch.base_offset) if first else 0
