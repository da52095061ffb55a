"""The replicas this broker hosts: which exist, what role each plays, what the timer does for them.

Metadata in, actors out: `apply` compares the cluster's image with what runs here and starts, stops or informs the
partition actors. Logs are opened when the image names us a replica and deleted when it no longer does.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from actors.follower_replica import FollowerReplica, FromLeader
from actors.partition_leader import FromFollower, PartitionLeader
from actors.ports import ROUND, Buffer
from actors.replica import Replica, address_of
from actors.supervision import RestartPolicy
from machines.leader_events import CreditReturned, FollowerGone, IsrCommitted, LogStartMoved
from machines.metadata import PartitionInfo
from model.configs import LogConfig
from model.errors import StorageFailure
from model.ids import TopicId, TopicPartition
from protocol.cluster_control import IsrProposal
from protocol.cluster_replication import Follow, Replicated
from storage.checkpoints import (
    HIGH_WATERMARKS,
    RECOVERY_POINTS,
    CleanShutdownMarker,
    OffsetCheckpoint,
    read_topic_id,
    write_topic_id,
)
from storage.disk import OsDisk
from storage.log import Log

if TYPE_CHECKING:
    from actors.broker import Broker
    from transport.envelope import Envelope

logger = logging.getLogger(__name__)

SUPERVISOR_PATH = "/replica"


class Replicas:
    """Hosts partitions; implements `actors.ports.ReplicaPorts` for their actors."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.broker_id = broker.spec.broker_id
        self.incarnation = broker.spec.incarnation
        self.lag_time_max_ms = broker.config.get_int("replica.lag.time.max.ms")
        self.directory: Path = broker.spec.data_dir
        self.disk = OsDisk()
        self.hosted: dict[TopicPartition, Replica] = {}
        self.by_id: dict[tuple[bytes, int], Replica] = {}
        self.by_address: dict[str, Replica] = {}
        self._round: dict[str, None] = {}  # addresses, in the order they joined
        self._starved: dict[int, set[str]] = {}  # broker without credit -> replicas that wait for it
        self._high_watermarks = OffsetCheckpoint(self.directory / HIGH_WATERMARKS, self.disk)
        self._recovery_points = OffsetCheckpoint(self.directory / RECOVERY_POINTS, self.disk)
        self._marker = CleanShutdownMarker(self.directory, self.disk)
        self._was_clean = self._marker.take()
        self._known_high_watermarks = self._high_watermarks.read()
        self._known_recovery_points = self._recovery_points.read()
        self._last_checkpoint: dict[TopicPartition, int] = dict(self._known_high_watermarks)
        broker.system.supervise(SUPERVISOR_PATH, RestartPolicy(intensity=100, period_ms=5_000))

    # -- ReplicaPorts ----------------------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Monotonic time, for intervals."""
        return time.monotonic_ns() // 1_000_000

    def wall_ms(self) -> int:
        """Milliseconds since 1970, for records."""
        return time.time_ns() // 1_000_000

    def send(
        self, broker_id: int, replica: Replica, message: msgspec.Struct, buffers: Sequence[Buffer] = ()
    ) -> bool:
        """Mail to the same partition's replica on another broker; False when the bus has no credit for it."""
        sent = self.broker.bus.tell(
            broker_id, replica.address, message, buffers, leader_epoch=replica.info.leader_epoch
        )
        if not sent:
            self._starved.setdefault(broker_id, set()).add(replica.address)
        return sent

    def propose_isr(self, replica: Replica, isr: Sequence[int], incarnations: Sequence[int], epoch: int) -> None:
        """Ask the controller to change the ISR, at partition epoch `epoch`."""
        proposal = IsrProposal(
            replica.partition.topic,
            replica.topic_id,
            replica.partition.partition,
            replica.info.leader_epoch,
            epoch,
            tuple(isr),
            tuple(incarnations),
        )
        self.broker.link.propose_isr(proposal)

    def join_timer_round(self, replica: Replica) -> None:
        """Send ROUND to this replica's actor at the next timer round."""
        self._round[replica.address] = None

    def replica_failed(self, replica: Replica, failure: BaseException) -> None:
        """The disk under this replica fails: take it offline here, let others lead."""
        if replica.is_offline:
            return
        logger.error(
            "%s goes offline on broker %d: %s (others may lead it; free the disk and restart this broker)",
            replica.partition,
            self.broker_id,
            failure,
        )
        replica.is_offline = True
        self.broker.loop.call_soon(self._end_role, replica)
        self.broker.link.report_offline(replica)

    # -- metadata in -----------------------------------------------------------------------------------------------

    def apply(self, changed: Iterable[TopicPartition]) -> None:
        """Bring these partitions to what the image says."""
        image = self.broker.image
        for partition in changed:
            topic = image.topics.get(partition.topic)
            info = topic.partitions.get(partition.partition) if topic is not None else None
            replica = self.hosted.get(partition)
            if replica is not None and (topic is None or topic.topic_id != replica.topic_id):
                self._drop(replica)
                replica = None
            if topic is None or info is None or self.broker_id not in info.replicas:
                if replica is not None:
                    self._drop(replica)
                continue
            if replica is None:
                replica = self._host(partition, topic.topic_id, info, topic.configs)
                if replica is None:
                    continue
            self._assume(replica, info)

    def _host(
        self, partition: TopicPartition, topic_id: bytes, info: PartitionInfo, configs: dict[str, str]
    ) -> Replica | None:
        directory = self.directory / str(partition)
        try:
            if directory.exists():
                found = read_topic_id(directory, self.disk)
                if found is not None and found != topic_id:
                    logger.info("%s on disk is of a topic that was deleted; removing it", partition)
                    self._open(directory, partition, {}).delete()
            log = self._open(directory, partition, configs)
            write_topic_id(directory, TopicId(topic_id), self.disk)
        except StorageFailure as failure:
            logger.error("%s can't be opened on broker %d: %s", partition, self.broker_id, failure)
            return None
        high_watermark = self._known_high_watermarks.get(partition, 0)
        replica = Replica(partition, topic_id, info, log, high_watermark)
        self.hosted[partition] = replica
        self.by_id[topic_id, partition.partition] = replica
        self.by_address[replica.address] = replica
        return replica

    def _open(self, directory: Path, partition: TopicPartition, configs: dict[str, str]) -> Log:
        return Log.open(
            directory,
            partition,
            LogConfig.of(self.broker.config, configs),
            disk=self.disk,
            now_ms=self.wall_ms(),
            was_clean=self._was_clean,
            recovery_point=self._known_recovery_points.get(partition, 0),
        )

    def _assume(self, replica: Replica, info: PartitionInfo) -> None:
        before, replica.info = replica.info, info
        if replica.is_offline:
            return
        leads = info.leader == self.broker_id
        if info.leader_epoch == before.leader_epoch and (replica.leader if leads else replica.follower) is not None:
            if leads:
                committed = IsrCommitted(tuple(info.isr), tuple(info.replicas), info.partition_epoch)
                self.broker.system.tell(replica.address, committed)
            return
        self._end_role(replica)
        if leads:
            self._start(replica, PartitionLeader)
        elif info.leader >= 0:
            self._start(replica, FollowerReplica)
        replica.wake()

    def _start(self, replica: Replica, role: type[PartitionLeader] | type[FollowerReplica]) -> None:
        self.broker.system.start(replica.address, lambda: role(replica, self), supervisor=SUPERVISOR_PATH)

    def _end_role(self, replica: Replica) -> None:
        self.broker.system.stop(replica.address)

    def _drop(self, replica: Replica) -> None:
        """The partition is no longer ours: end its role, delete its files."""
        self._end_role(replica)
        del self.hosted[replica.partition]
        del self.by_id[replica.topic_id, replica.partition.partition]
        del self.by_address[replica.address]
        self._known_high_watermarks.pop(replica.partition, None)
        replica.wake()
        try:
            replica.log.delete()
        except StorageFailure as failure:
            logger.warning("the files of %s could not be removed: %s", replica.partition, failure)

    def reconfigure(self, topic: str, configs: dict[str, str]) -> None:
        """A topic's configs changed."""
        config = LogConfig.of(self.broker.config, configs)
        for replica in self.hosted.values():
            if replica.partition.topic == topic:
                replica.log.update_config(config)

    # -- mail ------------------------------------------------------------------------------------------------------

    def on_envelope(self, envelope: Envelope) -> None:
        """Mail from another broker's replica to ours."""
        replica = self.by_address.get(envelope.address)
        if replica is None or not self.broker.system.is_running(envelope.address):
            return  # not ours yet, or no longer: the sender asks again
        message = envelope.message
        if type(message) is Replicated or type(message) is Follow:
            if replica.leader is not None:
                self.broker.system.tell(envelope.address, FromFollower(envelope.sender, message))
        elif replica.follower is not None:
            self.broker.system.tell(envelope.address, FromLeader(envelope.sender, message, envelope.buffers))

    def on_credit(self, broker_id: int) -> None:
        """The bus takes mail for this broker again."""
        for address in self._starved.pop(broker_id, ()):
            replica = self.by_address.get(address)
            if replica is not None and replica.leader is not None:
                self.broker.system.tell(address, CreditReturned(broker_id))

    def on_broker_gone(self, broker_id: int) -> None:
        """A broker's process ended; leaders stop counting on what they sent it."""
        self._starved.pop(broker_id, None)
        for replica in self.hosted.values():
            if replica.leader is not None and broker_id in replica.info.replicas:
                self.broker.system.tell(replica.address, FollowerGone(broker_id))

    def on_broker_back(self, broker_id: int) -> None:
        """A broker can be reached (again): followers of its partitions ask anew at the next round."""
        for replica in self.hosted.values():
            if replica.follower is not None and replica.info.leader == broker_id:
                self.join_timer_round(replica)

    # -- time ------------------------------------------------------------------------------------------------------

    def timer_round(self) -> None:
        """Visit every replica that still waits for something; idle ones cost nothing."""
        if self._round:
            addresses, self._round = self._round, {}
            for address in addresses:
                if self.broker.system.is_running(address):
                    self.broker.system.tell(address, ROUND)

    def retention_round(self) -> None:
        """Delete what retention no longer keeps; only leaders decide, followers hear the new log start."""
        now_ms = self.wall_ms()
        for replica in list(self.hosted.values()):
            if replica.is_offline:
                continue
            try:
                replica.log.maybe_flush(now_ms)
                start = replica.log.log_start_offset
                replica.log.apply_retention(now_ms, replica.high_watermark)
                if replica.leader is not None and replica.log.log_start_offset != start:
                    self.broker.system.tell(replica.address, LogStartMoved(replica.log.log_start_offset))
            except StorageFailure as failure:
                self.replica_failed(replica, failure)

    def checkpoint(self, *, durable: bool = False) -> None:
        """Write the high watermarks, when any has moved."""
        marks = {p: r.high_watermark for p, r in self.hosted.items()}
        if marks != self._last_checkpoint or durable:
            self._high_watermarks.write(marks, durable=durable)
            self._last_checkpoint = marks

    def close(self) -> None:
        """End all roles, close all logs, leave the marker that spares the next start its recovery."""
        for replica in self.hosted.values():
            self._end_role(replica)
        failed = False
        points: dict[TopicPartition, int] = {}
        for replica in self.hosted.values():
            try:
                replica.log.close()
                points[replica.partition] = replica.log.log_end_offset
            except StorageFailure as failure:
                failed = True
                logger.error("%s could not be closed: %s", replica.partition, failure)
        try:
            self.checkpoint(durable=True)
            self._recovery_points.write(points)
            if not failed:
                self._marker.write(self.incarnation)
        except StorageFailure as failure:
            logger.error("checkpoints could not be written: %s", failure)


__all__ = ["Replicas", "address_of"]
