"""What a broker remembers of markers, so that a late copy of one does not end the producer's next transaction.

With the older transaction protocol all transactions of a producer have the same epoch: the log can't tell a marker that
comes again, or late, from the one of the transaction that is open now (KIP-890). So coordinators number them: a number
grows from each transaction of a producer to its next one, and is the same in all partitions of one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from model.ids import TopicPartition


class MarkerVerdict(Enum):
    """What to do with a marker that has arrived."""

    WRITE = auto()
    DONE = auto()  # it is committed already: say so again
    LATE = auto()  # of a transaction that is over, or of a coordinator that has a successor


@dataclass(slots=True)
class _Producer:
    number: int
    written: set[TopicPartition] = field(default_factory=set)


@dataclass(slots=True)
class _Coordinator:
    epoch: int
    producers: dict[int, _Producer] = field(default_factory=dict)


@dataclass(slots=True)
class MarkerMemory:
    """One per broker, for all coordinators; a coordinator's new epoch starts an empty page."""

    _coordinators: dict[int, _Coordinator] = field(default_factory=dict)

    def judge(
        self, coordinator: int, epoch: int, producer_id: int, number: int, partition: TopicPartition
    ) -> MarkerVerdict:
        """Take in that it came."""
        known = self._coordinators.get(coordinator)
        if known is None or known.epoch < epoch:
            known = self._coordinators[coordinator] = _Coordinator(epoch)
        if epoch < known.epoch:
            return MarkerVerdict.LATE
        producer = known.producers.get(producer_id)
        if producer is None or producer.number < number:
            producer = known.producers[producer_id] = _Producer(number)
        if number < producer.number:
            return MarkerVerdict.LATE
        return MarkerVerdict.DONE if partition in producer.written else MarkerVerdict.WRITE

    def written(self, coordinator: int, epoch: int, producer_id: int, number: int, partition: TopicPartition) -> None:
        """It is committed."""
        known = self._coordinators.get(coordinator)
        producer = known.producers.get(producer_id) if known is not None and known.epoch == epoch else None
        if producer is not None and producer.number == number:
            producer.written.add(partition)
