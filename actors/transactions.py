"""A broker's part in transactions: the coordinators that live here, and the markers that are written here.

Mail between coordinators and leaders passes through here (`protocol/cluster_transactions.py`), and the coordinators'
ports to the broker are this object.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from actors.api.k10_find_coordinator import GROUP, TOPICS, TRANSACTION, partition_for
from actors.append_request import AppendRequest, MarkerRequest
from actors.supervision import RestartPolicy
from actors.transaction_coordinator import TransactionCoordinator
from actors.transaction_gate import Verified
from actors.transaction_ports import TransactionLimits, TransactionRequest
from machines.marker_delivery import Leader
from machines.marker_memory import MarkerMemory, MarkerVerdict
from machines.transaction_events import AddPartitions, Answer, Request, VerifyPartitions
from machines.verification import Claim
from model.errors import ErrorCode, RequestTimedOut
from model.ids import TopicPartition
from protocol.cluster_transactions import (
    MARKERS_ADDRESS,
    EnrolPartition,
    Marker,
    MarkerOutcome,
    MarkersWritten,
    PartitionEnrolled,
    WriteMarkers,
    coordinator_address,
)

if TYPE_CHECKING:
    from actors.broker import Broker
    from actors.replica import Replica
    from transport.envelope import Envelope

logger = logging.getLogger(__name__)

SUPERVISOR_PATH = "/transaction"
TOPIC = TOPICS[TRANSACTION][0]
OFFSETS_TOPIC = TOPICS[GROUP][0]


class Transactions:
    """Implements `actors.transaction_ports.CoordinatorPorts`."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self.coordinators: dict[int, TransactionCoordinator] = {}
        self._memory = MarkerMemory()
        self._outcomes: dict[tuple[int, int, int], list[MarkerOutcome]] = {}  # (broker, coordinator, its epoch) ->
        broker.system.supervise(SUPERVISOR_PATH, RestartPolicy(intensity=50, period_ms=5_000))

    # -- which coordinators live here ----------------------------------------------------------------------------------

    def on_role(self, replica: Replica, leads: bool) -> None:
        """A partition of `__transaction_state` has got its leader here, in a new epoch, or has none here any more."""
        system, path = self._broker.system, coordinator_address(replica.partition.partition)
        system.stop(path)
        if leads:
            system.start(
                path, lambda: TransactionCoordinator(replica, self, self.coordinators), supervisor=SUPERVISOR_PATH
            )

    def request(self, transactional_id: str, event: Request) -> None:
        """Hand it to the coordinator; the event's token is called with the Answer, at once when there is none here."""
        request = TransactionRequest(transactional_id, event)
        topic = self._broker.image.topics.get(TOPIC)
        if topic is not None:
            path = coordinator_address(partition_for(transactional_id, len(topic.partitions)))
            if self._broker.system.is_running(path):
                if not self._broker.system.tell(path, request):
                    request.refuse(ErrorCode.COORDINATOR_LOAD_IN_PROGRESS)
                return
        request.refuse(ErrorCode.NOT_COORDINATOR)

    def find(self, transactional_id: str) -> TransactionCoordinator | None:
        """The coordinator of an id, to look at, if it lives here."""
        topic = self._broker.image.topics.get(TOPIC)
        if topic is None:
            return None
        return self.coordinators.get(partition_for(transactional_id, len(topic.partitions)))

    # -- CoordinatorPorts ----------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Monotonic time, for intervals."""
        return time.monotonic_ns() // 1_000_000

    def wall_ms(self) -> int:
        """Milliseconds since 1970, for what is written down."""
        return time.time_ns() // 1_000_000

    def append(self, replica: Replica, request: AppendRequest) -> None:
        """Hand it to the partition's leader."""
        if not self._broker.system.tell(replica.address, request):
            request.answer(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def leader_of(self, partition: TopicPartition) -> Leader | None:
        """Who leads it and can be reached."""
        info = self._broker.image.partition(partition.topic, partition.partition)
        if info is None or info.leader < 0:
            return None
        incarnation = self._broker.peers.live.get(info.leader)
        return None if incarnation is None else Leader(info.leader, incarnation, info.leader_epoch)

    def exists(self, partition: TopicPartition) -> bool:
        """False once its topic was deleted."""
        return self._broker.image.partition(partition.topic, partition.partition) is not None

    def send_markers(self, broker_id: int, message: WriteMarkers) -> bool:
        """To all leaders on that broker."""
        return self._broker.bus.tell(broker_id, MARKERS_ADDRESS, message)

    async def next_producer_id(self) -> int | None:
        """A fresh one; None when the controller can't be asked."""
        try:
            return await self._broker.producer_ids.next()
        except RequestTimedOut:
            return None

    def limits(self) -> TransactionLimits:
        """See CoordinatorPorts."""
        config = self._broker.config
        return TransactionLimits(
            config.get_int("transaction.max.timeout.ms"),
            config.get_int("transactional.id.expiration.ms"),
            config.get_int("transaction.abort.timed.out.transaction.cleanup.interval.ms"),
            config.get_int("transaction.remove.expired.transaction.cleanup.interval.ms"),
        )

    # -- mail ----------------------------------------------------------------------------------------------------------

    def on_envelope(self, envelope: Envelope) -> None:
        """Mail of a coordinator or of a leader on another broker, or on this one."""
        message = envelope.message
        if type(message) is WriteMarkers:
            for marker in message.markers:
                self._write_marker(envelope.sender, message, marker)
        elif type(message) is MarkersWritten:
            self._broker.system.tell(envelope.address, message)
        elif type(message) is EnrolPartition:
            self._enrol(envelope.sender, message)
        elif type(message) is PartitionEnrolled:
            self._broker.system.tell(envelope.address, Verified(message.number, ErrorCode(message.error)))

    # -- verification, the leader's side and the coordinator's ---------------------------------------------------------

    def ask_coordinator(self, replica: Replica, number: int, claim: Claim) -> ErrorCode:
        """NONE: the answer comes as Verified to the replica's address."""
        topic = self._broker.image.topics.get(TOPIC)
        if topic is None:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        index = partition_for(claim.transactional_id, len(topic.partitions))
        leader = self.leader_of(TopicPartition(TOPIC, index))
        if leader is None:
            return ErrorCode.COORDINATOR_NOT_AVAILABLE
        question = EnrolPartition(
            number,
            replica.address,
            claim.transactional_id,
            claim.producer_id,
            claim.producer_epoch,
            *replica.partition,
            claim.adds,
        )
        sent = self._broker.bus.tell(leader.broker_id, coordinator_address(index), question)
        return ErrorCode.NONE if sent else ErrorCode.COORDINATOR_NOT_AVAILABLE

    def _enrol(self, sender: int, question: EnrolPartition) -> None:
        partitions = frozenset((TopicPartition(question.topic, question.partition),))

        def answered(answer: Answer) -> None:
            error = ErrorCode.TRANSACTION_ABORTABLE if answer.absent else answer.error
            self._broker.bus.tell(sender, question.reply_address, PartitionEnrolled(question.number, error))

        event: Request = (
            AddPartitions(answered, question.producer_id, question.producer_epoch, partitions, version=2)
            if question.adds
            else VerifyPartitions(answered, question.producer_id, question.producer_epoch, partitions)
        )
        self.request(question.transactional_id, event)

    # -- markers, the leader's side ------------------------------------------------------------------------------------

    def _write_marker(self, sender: int, message: WriteMarkers, marker: Marker) -> None:
        partition = TopicPartition(marker.topic, marker.partition)
        coordinator, epoch = message.coordinator, message.coordinator_epoch
        identity = coordinator, epoch, marker.producer_id, marker.number, partition

        def report(error: ErrorCode) -> None:
            outcome = MarkerOutcome(
                marker.transactional_id,
                marker.producer_id,
                marker.producer_epoch,
                marker.topic,
                marker.partition,
                marker.number,
                error,
            )
            self._report((sender, coordinator, epoch), outcome)

        def written(request: AppendRequest) -> None:
            if request.error is ErrorCode.NONE:
                self._memory.written(*identity)
            report(request.error)

        verdict = self._memory.judge(*identity)
        replica = self._broker.replicas.hosted.get(partition)
        if verdict is MarkerVerdict.LATE:
            return  # nobody waits for it any more
        if verdict is MarkerVerdict.DONE:
            report(ErrorCode.NONE)
            return
        if replica is None or replica.info.leader_epoch != marker.leader_epoch:
            report(ErrorCode.NOT_LEADER_OR_FOLLOWER)  # meant for another leader: it may have been long on its way
            return
        self.write_marker(
            partition,
            MarkerRequest(
                b"",
                -1,
                written,
                producer_id=marker.producer_id,
                producer_epoch=marker.producer_epoch,
                is_commit=marker.is_commit,
                coordinator_epoch=message.coordinator_epoch,
                version=marker.version,
            ),
        )

    def write_marker(self, partition: TopicPartition, request: MarkerRequest) -> None:
        """Have the partition's leader on this broker write it; `request.done` is called in any case."""
        if partition.topic == OFFSETS_TOPIC:
            request.done = self._tell_groups_too(partition.partition, request.done)
        replica = self._broker.replicas.hosted.get(partition)
        if replica is None or replica.leader is None or not self._broker.system.tell(replica.address, request):
            request.answer(ErrorCode.NOT_LEADER_OR_FOLLOWER)

    def _tell_groups_too(
        self, partition: int, done: Callable[[AppendRequest], None]
    ) -> Callable[[AppendRequest], None]:
        def written(request: AppendRequest) -> None:
            if request.error is ErrorCode.NONE and isinstance(request, MarkerRequest):
                # later: a group may still have to hear that offsets which stand before the marker are written
                groups, ended = self._broker.groups, (partition, request.producer_id, request.is_commit)
                self._broker.loop.call_soon(groups.on_transaction_ended, *ended)
            done(request)

        return written

    def _report(self, coordinator: tuple[int, int, int], outcome: MarkerOutcome) -> None:
        """What becomes known in one turn of the loop travels together."""
        outcomes = self._outcomes.setdefault(coordinator, [])
        outcomes.append(outcome)
        if len(outcomes) == 1:
            self._broker.loop.call_soon(self._send_outcomes, coordinator)

    def _send_outcomes(self, coordinator: tuple[int, int, int]) -> None:
        broker_id, partition, epoch = coordinator
        message = MarkersWritten(epoch, self._outcomes.pop(coordinator))
        self._broker.bus.tell(broker_id, coordinator_address(partition), message)


__all__ = ["Transactions"]
