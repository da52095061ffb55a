"""A broker's part in groups: the partitions of `__consumer_offsets` that it leads, one shell each.

`Coordinators` tells of every role that begins or ends; `deliver` finds the shell of a group.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from actors.alarms import Alarms
from actors.api.k10_find_coordinator import GROUP, TOPICS, partition_for
from actors.group_mail import GroupCall
from actors.image_topics import ImageTopics
from actors.offsets_partition import GroupPorts, OffsetsPartition
from actors.supervision import RestartPolicy
from machines.group import Group
from machines.group_events import NEVER_MS, ExpireOffsets, GroupConfig, TopicsChanged, TopicsDeleted, TransactionEnded
from model.errors import ErrorCode
from model.ids import TopicPartition

if TYPE_CHECKING:
    from actors.broker import Broker
    from actors.replica import Replica

TOPIC = TOPICS[GROUP][0]
SUPERVISOR_PATH = "/offsets"
WARM_UP_AFTER_S = 0.5
PATIENCE_MS = 1_000
HEARTBEATS_PER_S, QUICKEST_MS = 200, 200
HEARTBEAT_INTERVAL = "consumer.heartbeat.interval.ms"


class Groups:
    """The group coordinators of one broker."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.alarms = Alarms(broker.loop)
        self.offsets: dict[int, OffsetsPartition] = {}  # partition -> shell
        self._pace_ms = self._pace_until_ms = 0
        self._sizes: dict[str, int] = {}  # topic -> partitions, when groups were last told
        self._early: list[tuple[str, GroupCall]] = []  # for groups that are about to be ours
        self.topics = ImageTopics(lambda: broker.image)
        self._ports = GroupPorts(
            topics=self.topics,
            pace_ms=self.pace_ms,
            alarms=self.alarms,
            wall_ms=lambda: time.time_ns() // 1_000_000,
            config=self.config_of,
            commit_timeout_ms=broker.config.get_int("offsets.commit.timeout.ms"),
        )
        self._config_source = broker.config
        self._config = GroupConfig.of(broker.config)
        self._retention_ms = broker.config.get_int("offsets.retention.check.interval.ms")
        self.alarms.set(self.alarms.now_ms() + self._retention_ms, self._retention_round)
        broker.system.supervise(SUPERVISOR_PATH, RestartPolicy(intensity=100, period_ms=5_000))
        broker.loop.call_later(WARM_UP_AFTER_S, self._warm_up)

    def pace_ms(self, group_id: str) -> int:
        """How soon the next heartbeat of a KIP-848 member may come: so soon that all of them are HEARTBEATS_PER_S.

        A rebalance goes as fast as its members beat. Where `group.consumer.heartbeat.interval.ms` is set, for the
        broker or for the group, that counts.
        """
        if HEARTBEAT_INTERVAL in self.broker.image.group_configs.get(group_id, ()):
            return NEVER_MS
        now_ms = self.alarms.now_ms()
        if now_ms >= self._pace_until_ms:
            members = sum(len(g.consumer.members) for shell in self.offsets.values() for g in shell.groups.values())
            self._pace_ms = max(QUICKEST_MS, members * 1_000 // HEARTBEATS_PER_S)
            if f"group.{HEARTBEAT_INTERVAL}" in self.broker.config.overrides:
                self._pace_ms = NEVER_MS
            self._pace_until_ms = now_ms + 1_000
        return self._pace_ms

    def config_of(self, group_id: str) -> GroupConfig:
        """The same object as long as nothing changed, for groups without configs of their own."""
        if self._config_source is not self.broker.config:
            self._config_source = self.broker.config
            self._config = GroupConfig.of(self.broker.config)
        own = self.broker.image.group_configs.get(group_id)
        return GroupConfig.of(self.broker.config, own) if own else self._config

    def _warm_up(self) -> None:
        """Import the record codec (50 ms) beside the loop, before the first commit needs it."""
        self.broker.loop.run_in_executor(None, importlib.import_module, "aiokafka.record.default_records")

    # -- roles ---------------------------------------------------------------------------------------------------------

    def on_role(self, replica: Replica, leads: bool) -> None:
        """A partition of `__consumer_offsets` has got its leader here, in a new epoch, or has none here any more."""
        number = replica.partition.partition
        path = f"{SUPERVISOR_PATH}/{number}"
        if self.offsets.pop(number, None) is not None:
            self.broker.system.stop(path)
        if leads:
            self.broker.system.start(path, lambda: self._shell(replica), supervisor=SUPERVISOR_PATH)
            early, self._early = self._early, []
            for group_id, call in early:
                self.deliver(group_id, call)

    def _shell(self, replica: Replica) -> OffsetsPartition:
        shell = self.offsets[replica.partition.partition] = OffsetsPartition(replica, self._ports)
        return shell

    def close(self) -> None:
        """The broker stops: everyone who waits is sent away."""
        for number in list(self.offsets):
            del self.offsets[number]
            self.broker.system.stop(f"{SUPERVISOR_PATH}/{number}")
        self._refuse_early()
        self.alarms.close()

    # -- groups --------------------------------------------------------------------------------------------------------

    def deliver(self, group_id: str, call: GroupCall) -> None:
        """A client's request to a group; answered with NOT_COORDINATOR when the group is not ours."""
        found = self.find(group_id)
        if not isinstance(found, ErrorCode):
            found.deliver(group_id, call)
        elif self._is_coming(group_id):
            if not self._early:
                self.alarms.set(self.alarms.now_ms() + PATIENCE_MS, self._refuse_early)
            self._early.append((group_id, call))
        else:
            call.refuse(found)

    def _is_coming(self, group_id: str) -> bool:
        """The image gives us the group and its shell is not there yet, or another broker's image is ahead of ours."""
        topic = self.broker.image.topics.get(TOPIC)
        if topic is None:
            return True
        info = topic.partitions.get(partition_for(group_id, len(topic.partitions)))
        return info is not None and info.leader == self.broker.spec.broker_id

    def _refuse_early(self) -> None:
        early, self._early = self._early, []
        for _, call in early:
            call.refuse(ErrorCode.NOT_COORDINATOR)

    def find(self, group_id: str) -> OffsetsPartition | ErrorCode:
        """The shell that has the group, or the error that sends the client elsewhere."""
        topic = self.broker.image.topics.get(TOPIC)
        if topic is None:
            return ErrorCode.NOT_COORDINATOR
        shell = self.offsets.get(partition_for(group_id, len(topic.partitions)))
        return ErrorCode.NOT_COORDINATOR if shell is None else shell

    def group(self, group_id: str) -> Group | ErrorCode | None:
        """A group as it is now, to look at; None when there is none."""
        found = self.find(group_id)
        if isinstance(found, ErrorCode):
            return found
        if not found.is_loaded:
            return ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
        group = found.groups.get(group_id)
        return None if group is None or group.is_blank else group

    def groups(self) -> Iterator[Group]:
        """Every group that is coordinated here, to look at."""
        for shell in self.offsets.values():
            for group in shell.groups.values():
                if not group.is_blank:
                    yield group

    @property
    def is_loading(self) -> bool:
        return any(not shell.is_loaded for shell in self.offsets.values())

    # -- news ----------------------------------------------------------------------------------------------------------

    def on_partitions_changed(self, partitions: Iterable[TopicPartition]) -> None:
        """The image changed: what was committed for deleted topics is forgotten, what is new may be assigned."""
        if not self.offsets:
            return
        topics = self.broker.image.topics
        touched = {partition.topic for partition in partitions}
        gone = frozenset(topic for topic in touched if topic not in topics)
        if gone:
            for shell in self.offsets.values():
                shell.broadcast(TopicsDeleted(gone))
        sizes = {topic: len(topics[topic].partitions) for topic in touched - gone}
        if gone or any(self._sizes.get(topic) != size for topic, size in sizes.items()):
            self._sizes = {name: len(info.partitions) for name, info in topics.items()}
            for shell in self.offsets.values():
                shell.broadcast(TopicsChanged(self.topics, self._ports.wall_ms()))

    def on_transaction_ended(self, partition: int, producer_id: int, is_commit: bool) -> None:
        """A marker is in the log of this partition of `__consumer_offsets` and on every replica in sync."""
        shell = self.offsets.get(partition)
        if shell is not None:
            shell.broadcast(TransactionEnded(producer_id, is_commit))

    def _retention_round(self) -> None:
        self.alarms.set(self.alarms.now_ms() + self._retention_ms, self._retention_round)
        for shell in self.offsets.values():
            shell.broadcast(ExpireOffsets(self._ports.wall_ms()))
