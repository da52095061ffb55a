"""Markers on their way from a transaction coordinator to the partitions' leaders, until each is committed.

A marker goes out once to each leader (broker, its incarnation, leader epoch): mail between two living brokers does not
get lost. It goes out again when the leader changed or refused it, and after `RESEND_MS` for whatever was not foreseen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from model.ids import TopicPartition

RESEND_MS = 3_000
RETRY_MS = 40


class Leader(NamedTuple):
    """Who leads a partition now; a change in any of the three is another leader."""

    broker_id: int
    incarnation: int
    leader_epoch: int


@dataclass(frozen=True, slots=True)
class TransactionMarker:
    """The end of one producer's transaction in one partition; `number` tells it from the ends of earlier ones."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    is_commit: bool
    version: int
    partition: TopicPartition
    number: int = 0


@dataclass(slots=True)
class _Delivery:
    marker: TransactionMarker
    leader: Leader | None = None  # whom it was sent to
    not_before_ms: int = 0


@dataclass(slots=True)
class MarkerDelivery:
    """The markers of one coordinator that are not committed yet."""

    _open: dict[tuple[str, TopicPartition], _Delivery] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._open)

    def add(self, markers: Iterable[TransactionMarker]) -> None:
        """Take these on; they are due at once. A later transaction's marker replaces an earlier one's."""
        for marker in markers:
            self._open[marker.transactional_id, marker.partition] = _Delivery(marker)

    def due(
        self, now_ms: int, leader_of: Callable[[TopicPartition], Leader | None]
    ) -> dict[int, list[TransactionMarker]]:
        """Broker → what to send it now. Partitions without a leader wait (None)."""
        found: dict[int, list[TransactionMarker]] = {}
        for delivery in self._open.values():
            leader = leader_of(delivery.marker.partition)
            if leader is None:
                delivery.leader = None
                continue
            if now_ms < delivery.not_before_ms and delivery.leader == leader:
                continue
            delivery.leader, delivery.not_before_ms = leader, now_ms + RESEND_MS
            found.setdefault(leader.broker_id, []).append(delivery.marker)
        return found

    def not_sent(self, markers: Iterable[TransactionMarker], now_ms: int) -> None:
        """These could not be sent, or were refused: try again soon."""
        for marker in markers:
            delivery = self._open.get((marker.transactional_id, marker.partition))
            if delivery is not None and delivery.marker == marker:
                delivery.not_before_ms = now_ms + RETRY_MS

    def find(
        self, transactional_id: str, partition: TopicPartition, producer_id: int, producer_epoch: int, number: int = 0
    ) -> TransactionMarker | None:
        """The open marker that an outcome speaks of."""
        delivery = self._open.get((transactional_id, partition))
        if delivery is None:
            return None
        marker = delivery.marker
        known = (marker.producer_id, marker.producer_epoch, marker.number)
        return marker if known == (producer_id, producer_epoch, number) else None

    def done(self, marker: TransactionMarker) -> None:
        """It is committed, or its partition is gone."""
        self._open.pop((marker.transactional_id, marker.partition), None)

    def without(self, exists: Callable[[TopicPartition], bool]) -> list[TransactionMarker]:
        """The markers whose partition is gone for good."""
        return [each.marker for each in self._open.values() if not exists(each.marker.partition)]

    def clear(self) -> None:
        """Forget all, before a replay."""
        self._open.clear()
