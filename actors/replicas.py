"""The replicas this broker hosts: which exist and what role each plays.

Metadata in, actors out: `apply` compares the cluster's image with what runs here and starts, stops or informs the
partition actors. Logs are opened when the image names us a replica and deleted when it no longer does; `log_directory`
has the directory they lie in, `log_upkeep` and `log_cleaner` what is done to them besides traffic.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from actors.broker_ports import BrokerPorts
from actors.follower_replica import FollowerReplica, FromLeader
from actors.log_cleaner import CLEANER_PATH, LogCleaner
from actors.log_directory import LogDirectory
from actors.log_upkeep import UPKEEP_PATH, LogUpkeep, Rolled
from actors.partition_leader import FromFollower, PartitionLeader
from actors.replica import Replica, address_of
from actors.supervision import RestartPolicy
from machines.leader_events import FollowerGone, IsrCommitted
from machines.metadata import PartitionInfo
from model.configs import LogConfig
from model.errors import StorageFailure
from model.ids import TopicPartition
from protocol.cluster_replication import Follow, Replicated
from protocol.events import birth
from storage.disk import Disk, OsDisk

if TYPE_CHECKING:
    from actors.broker import Broker
    from transport.envelope import Envelope

logger = logging.getLogger(__name__)

SUPERVISOR_PATH = "/replica"
SLICE_S = 0.02


class Replicas:
    """Hosts partitions; `ports` is what their actors have of the broker."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.broker_id = broker.spec.broker_id
        self.incarnation = broker.spec.incarnation
        self.directory: Path = broker.spec.data_dir
        self.disk: Disk = OsDisk()
        self.disk.make_directory(self.directory)
        self.hosted: dict[TopicPartition, Replica] = {}
        self.by_id: dict[tuple[bytes, int], Replica] = {}
        self.by_address: dict[str, Replica] = {}
        self.mail_count = 0  # mail from other brokers' replicas
        self.logs = LogDirectory(self.directory, self.disk, self.incarnation)
        self.cleaner: LogCleaner | None = None
        self.ports = BrokerPorts(self)
        self.unopened: dict[TopicPartition, bytes] = {}  # logs that the disk did not give us, with their topic ids
        self._to_apply: dict[TopicPartition, int] = {}  # with the event behind it
        self._is_closing = False
        self._is_applying = False
        self._configs: dict[bytes, LogConfig] = {}  # topic id -> its config, parsed
        broker.system.supervise(SUPERVISOR_PATH, RestartPolicy(intensity=100, period_ms=5_000))

    # -- metadata in -----------------------------------------------------------------------------------------------

    def apply(self, changed: Iterable[TopicPartition]) -> None:
        """Bring these partitions to what the image says.

        Few of them at once, thousands in slices: a start or the death of a peer must not silence this broker.
        """
        if self._is_closing:
            return  # what becomes of the cluster is for the next life to see
        self._to_apply.update(dict.fromkeys(sorted(changed), self.broker.link.cause))
        if not self._is_applying:
            self._is_applying = True
            self._apply_slice()

    def _apply_slice(self) -> None:
        until = time.perf_counter() + SLICE_S
        try:
            while self._to_apply and time.perf_counter() < until:
                partition = next(iter(self._to_apply))
                self._apply(partition, self._to_apply.pop(partition))
        finally:
            self._is_applying = bool(self._to_apply)
            if self._is_applying:
                self.broker.loop.call_later(0, self._apply_slice)

    def _apply(self, partition: TopicPartition, cause: int) -> None:
        topic = self.broker.image.topics.get(partition.topic)
        info = topic.partitions.get(partition.partition) if topic is not None else None
        replica = self.hosted.get(partition)
        if replica is not None and (topic is None or topic.topic_id != replica.topic_id):
            self._drop(replica)
            replica = None
        if topic is None or self.unopened.get(partition, topic.topic_id) != topic.topic_id:
            self.unopened.pop(partition, None)
        if topic is None or info is None or self.broker_id not in info.replicas:
            if replica is not None:
                self._drop(replica)
            return
        if replica is None:
            if partition in self.unopened:
                return
            replica = self._host(partition, topic.topic_id, info)
            if replica is None:
                return
        self._assume(replica, info, cause)

    def _host(self, partition: TopicPartition, topic_id: bytes, info: PartitionInfo) -> Replica | None:
        try:
            log = self.logs.open(partition, topic_id, self._config_of(topic_id), self.ports.wall_ms())
        except StorageFailure as failure:
            logger.error(
                "%s is offline on broker %d, its log can't be opened: %s (mend the disk and restart this broker)",
                partition,
                self.broker_id,
                failure,
            )
            self.unopened[partition] = topic_id
            self.logs.doubt(partition)
            self.broker.link.report_offline(topic_id, partition.partition)
            return None
        if log.torn_bytes:
            self.broker.system.events.tell(
                "tail-cut",
                str(partition),
                cause=birth(self.broker_id, self.incarnation),
                bytes=log.torn_bytes,
                log_end_offset=log.log_end_offset,
            )
        replica = Replica(partition, topic_id, info, log, self.logs.high_watermark(partition))
        log.on_roll = lambda: self._rolled(replica)
        self.hosted[partition] = replica
        self.by_id[topic_id, partition.partition] = replica
        self.by_address[replica.address] = replica
        return replica

    def _rolled(self, replica: Replica) -> None:
        if self.broker.system.is_running(UPKEEP_PATH):
            self.broker.system.tell(UPKEEP_PATH, Rolled(replica))

    def _config_of(self, topic_id: bytes) -> LogConfig:
        config = self._configs.get(topic_id)
        if config is None:
            configs = self.broker.image.topics_by_id[topic_id].configs
            config = self._configs[topic_id] = LogConfig.of(self.broker.config, configs)
        return config

    def _assume(self, replica: Replica, info: PartitionInfo, cause: int) -> None:
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
        replica.cause = cause
        if leads:
            try:
                replica.log.start_epoch(info.leader_epoch, replica.log.log_end_offset)
            except StorageFailure as failure:
                self.replica_failed(replica, failure)
                return
            self._start(replica, PartitionLeader)
            self.broker.coordinators.on_role(replica, True)
        elif info.leader >= 0:
            self._start(replica, FollowerReplica)
        replica.wake()

    def _start(self, replica: Replica, role: type[PartitionLeader] | type[FollowerReplica]) -> None:
        self.broker.system.start(replica.address, lambda: role(replica, self.ports), supervisor=SUPERVISOR_PATH)

    def _end_role(self, replica: Replica) -> None:
        self.broker.system.stop(replica.address)
        self.broker.coordinators.on_role(replica, False)

    def _drop(self, replica: Replica) -> None:
        """The partition is no longer ours: end its role, delete its files."""
        self._end_role(replica)
        del self.hosted[replica.partition]
        del self.by_id[replica.topic_id, replica.partition.partition]
        del self.by_address[replica.address]
        self.logs.forget(replica.partition)
        if self.cleaner is not None:
            self.cleaner.release(replica.log)
            self.cleaner.forget(replica.partition)
        if replica.topic_id not in self.broker.image.topics_by_id:
            self._configs.pop(replica.topic_id, None)
        replica.wake()
        try:
            replica.log.delete()
        except StorageFailure as failure:
            logger.warning("the files of %s could not be removed: %s", replica.partition, failure)

    def reconfigure(self, topic: str, configs: dict[str, str]) -> None:
        """A topic's configs changed."""
        info = self.broker.image.topics[topic]
        config = self._configs[info.topic_id] = LogConfig.of(self.broker.config, configs)
        for number in info.partitions:
            replica = self.by_id.get((info.topic_id, number))
            if replica is not None:
                replica.log.update_config(config)

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
        # of who filled the disk on purpose; for a disk that fails by itself nobody knows a cause
        cause = getattr(failure, "event_id", 0)
        self.broker.system.events.tell(
            "replica-offline", str(replica.partition), cause=cause, reason=str(failure)[:300]
        )
        self.logs.doubt(replica.partition)
        self.broker.loop.call_soon(self._end_role, replica)
        self.broker.link.report_offline(replica.topic_id, replica.partition.partition)

    # -- mail ------------------------------------------------------------------------------------------------------

    def on_envelope(self, envelope: Envelope) -> None:
        """Mail from another broker's replica to ours."""
        self.mail_count += 1
        replica = self.by_address.get(envelope.address)
        if replica is None or not self.broker.system.is_running(envelope.address):
            return  # not ours yet, or no longer: the sender asks again
        message = envelope.message
        if type(message) is Replicated or type(message) is Follow:
            if replica.leader is not None:
                self.broker.system.tell(envelope.address, FromFollower(envelope.sender, message))
        elif replica.follower is not None:
            self.broker.system.tell(envelope.address, FromLeader(envelope.sender, message, envelope.buffers))

    def on_broker_gone(self, broker_id: int) -> None:
        """A broker's process ended; leaders stop counting on what they sent it."""
        self.ports.forget_starved(broker_id)
        for replica in self.hosted.values():
            if replica.leader is not None and broker_id in replica.info.replicas:
                self.broker.system.tell(replica.address, FollowerGone(broker_id))

    def on_broker_back(self, broker_id: int) -> None:
        """A broker can be reached (again): followers of its partitions ask anew at the next round."""
        for replica in self.hosted.values():
            if replica.follower is not None and replica.info.leader == broker_id:
                self.ports.join_timer_round(replica)

    def timer_round(self) -> None:
        """Several times a second."""
        self.logs.save_boot_record()
        self.ports.timer_round()

    # -- upkeep ----------------------------------------------------------------------------------------------------

    def start_upkeep(self) -> None:
        """Begin what is done to the logs besides traffic."""
        me = self.broker.image.brokers.get(self.broker_id)
        if me is not None and me.incarnation == self.incarnation:  # else the image is older than we are
            self._remove_strays()
        self.broker.system.start(UPKEEP_PATH, lambda: LogUpkeep(self))
        if self.broker.config.get_bool("log.cleaner.enable"):
            self.broker.system.start(CLEANER_PATH, lambda: LogCleaner(self))

    def _remove_strays(self) -> None:
        ours = (
            str(TopicPartition(name, number))
            for name, topic in self.broker.image.topics.items()
            for number, info in topic.partitions.items()
            if self.broker_id in info.replicas
        )
        self.logs.remove_strays(frozenset(ours))

    async def close(self, limit_s: float) -> None:
        """End all roles, and begin no more; then sync and close all logs, in about `limit_s`."""
        self._is_closing = True
        self._to_apply.clear()
        self.broker.system.stop(CLEANER_PATH)
        self.broker.system.stop(UPKEEP_PATH)
        for replica in self.hosted.values():
            self._end_role(replica)
        marks = {partition: replica.high_watermark for partition, replica in self.hosted.items()}
        await self.logs.close([replica.log for replica in self.hosted.values()], marks, limit_s)


__all__ = ["Replicas", "address_of"]
