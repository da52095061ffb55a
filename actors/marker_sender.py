"""Sends a coordinator's markers to the brokers that lead the partitions: the shell of `machines.marker_delivery`."""

from __future__ import annotations

import logging

from actors.transaction_ports import CoordinatorPorts
from machines.marker_delivery import MarkerDelivery, TransactionMarker
from machines.transaction_events import SendMarkers
from model.errors import ErrorCode
from model.ids import TopicPartition
from protocol.cluster_transactions import Marker, MarkersWritten, WriteMarkers

logger = logging.getLogger(__name__)


class MarkerSender:
    """One per coordinator; it calls `send` when there is something new, and from time to time."""

    def __init__(self, partition: int, coordinator_epoch: int, ports: CoordinatorPorts) -> None:
        self._partition = partition
        self._coordinator_epoch = coordinator_epoch
        self._ports = ports
        self._deliveries = MarkerDelivery()

    @property
    def is_busy(self) -> bool:
        """Some marker is not committed yet."""
        return bool(self._deliveries)

    def add(self, transactional_id: str, wanted: SendMarkers, number: int) -> None:
        """Take these on; the next `send` sends them. `number` is larger than that of the transaction before."""
        self._deliveries.add(
            TransactionMarker(
                transactional_id,
                wanted.producer_id,
                wanted.producer_epoch,
                wanted.is_commit,
                wanted.version,
                partition,
                number,
            )
            for partition in sorted(wanted.partitions)
        )

    def clear(self) -> None:
        """Forget all, before a replay."""
        self._deliveries.clear()

    def send(self) -> list[TransactionMarker]:
        """Send what is due. Returns the markers that are done because their partition is no more."""
        now_ms = self._ports.now_ms()
        gone = self._deliveries.without(self._ports.exists)
        for marker in gone:
            self._deliveries.done(marker)
        for broker_id, markers in self._deliveries.due(now_ms, self._ports.leader_of).items():
            message = WriteMarkers(self._partition, self._coordinator_epoch, [self._on_the_wire(m) for m in markers])
            if not self._ports.send_markers(broker_id, message):
                self._deliveries.not_sent(markers, now_ms)
        return gone

    def on_outcomes(self, message: MarkersWritten) -> list[TransactionMarker]:
        """What the leaders say. Returns the markers that are done."""
        done = []
        for outcome in message.outcomes:
            partition = TopicPartition(outcome.topic, outcome.partition)
            marker = self._deliveries.find(
                outcome.transactional_id, partition, outcome.producer_id, outcome.producer_epoch, outcome.number
            )
            if marker is None:
                continue
            error = ErrorCode(outcome.error)
            if error in (ErrorCode.NONE, ErrorCode.INVALID_PRODUCER_EPOCH):
                if error is not ErrorCode.NONE:
                    logger.warning("%s: %s knows a later epoch, its transaction has ended there", marker, partition)
                self._deliveries.done(marker)
                done.append(marker)
            elif error is not ErrorCode.TRANSACTION_COORDINATOR_FENCED:  # else another coordinator sees to it
                self._deliveries.not_sent([marker], self._ports.now_ms())
        return done


    def _on_the_wire(self, marker: TransactionMarker) -> Marker:
        leader = self._ports.leader_of(marker.partition)
        return Marker(
            marker.transactional_id,
            marker.producer_id,
            marker.producer_epoch,
            marker.is_commit,
            marker.version,
            *marker.partition,
            marker.number,
            leader.leader_epoch if leader is not None else -1,
        )
