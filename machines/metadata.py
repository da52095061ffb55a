"""The cluster as every broker sees it: the fold of the metadata log.

The controller's image and each broker's are the same class, changed only by `apply`. `version` counts the records
applied, so two images of the same version are equal.

    changes = image.apply_batch(update.base_version, update.records)   # MetadataGap: register again
    for change in changes:
        if change.kind is ChangeKind.PARTITION: ...                     # change.before, change.after
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from model.errors import OdradekError
from model.ids import TopicPartition
from protocol.metadata_records import (
    BROKER_RESOURCE,
    GROUP_RESOURCE,
    TOPIC_RESOURCE,
    BrokerRecord,
    BrokerRemoved,
    ConfigRecord,
    ControllerRecord,
    MetadataRecord,
    PartitionRecord,
    ProducerIdsRecord,
    TopicRecord,
    TopicRemoved,
)

NO_LEADER = -1

PartitionInfo = PartitionRecord
"""Frozen: a state seen once never changes; a new state is a new object."""

BrokerInfo = BrokerRecord


class MetadataGap(OdradekError):
    """Records are missing between the image and an update; only the controller can fill the gap (register again)."""


class ChangeKind(Enum):
    CONTROLLER = "controller"
    BROKER = "broker"
    TOPIC = "topic"
    PARTITION = "partition"
    TOPIC_CONFIG = "topic config"
    BROKER_CONFIG = "broker config"
    GROUP_CONFIG = "group config"
    PRODUCER_IDS = "producer ids"


class Change(NamedTuple):
    """What one record touched.

    PARTITION: `before` is None for a new partition, `after` None for one that was deleted (a deletion yields one such
    change for each partition, then TOPIC with `is_removed`). BROKER and BROKER_CONFIG: `broker_id` (-1: every broker).
    """

    kind: ChangeKind
    topic: str = ""
    topic_id: bytes = b""
    partition: int = -1
    before: PartitionInfo | None = None
    after: PartitionInfo | None = None
    broker_id: int = -1
    is_removed: bool = False


@dataclass(slots=True)
class TopicInfo:
    """`partitions` is ordered by partition number and has no holes. Read only for everyone but `apply`."""

    name: str
    topic_id: bytes
    partitions: dict[int, PartitionInfo] = field(default_factory=dict)
    configs: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class MetadataImage:
    """Topics, partitions, brokers and configs at one version. `broker_configs` has "" for the cluster's defaults."""

    version: int = 0
    controller_id: int = -1
    controller_epoch: int = 0
    brokers: dict[int, BrokerInfo] = field(default_factory=dict)
    topics: dict[str, TopicInfo] = field(default_factory=dict)
    topics_by_id: dict[bytes, TopicInfo] = field(default_factory=dict)
    broker_configs: dict[str, dict[str, str]] = field(default_factory=dict)
    group_configs: dict[str, dict[str, str]] = field(default_factory=dict)
    next_producer_id: int = 0
    partition_count: int = 0

    @classmethod
    def of(cls, records: Iterable[MetadataRecord], version: int) -> MetadataImage:
        """The image that a snapshot stands for."""
        image = cls()
        for record in records:
            image.apply(record)
        image.version = version
        return image

    def partition(self, topic: str, partition: int) -> PartitionInfo | None:
        found = self.topics.get(topic)
        return found.partitions.get(partition) if found is not None else None

    def all_partitions(self) -> Iterator[PartitionInfo]:
        for topic in self.topics.values():
            yield from topic.partitions.values()

    def topic_partitions(self) -> set[TopicPartition]:
        """The names of all partitions."""
        return {TopicPartition(p.topic, p.partition) for p in self.all_partitions()}

    def partitions_of(self, broker_id: int) -> list[PartitionInfo]:
        """Those with a replica on the broker."""
        return [partition for partition in self.all_partitions() if broker_id in partition.replicas]

    def reassignments(self) -> list[PartitionInfo]:
        """The partitions on the move, for ListPartitionReassignments."""
        return [p for p in self.all_partitions() if p.adding_replicas or p.removing_replicas]

    def is_alive(self, broker_id: int) -> bool:
        broker = self.brokers.get(broker_id)
        return broker is not None and not broker.is_fenced

    def is_online(self, partition: PartitionInfo, broker_id: int) -> bool:
        """The broker lives, and so does the disk under its replica."""
        return broker_id not in partition.offline_replicas and self.is_alive(broker_id)

    def live_brokers(self) -> list[BrokerInfo]:
        """By id; those that are shutting down still count, since they still answer."""
        return sorted((b for b in self.brokers.values() if not b.is_fenced), key=lambda broker: broker.broker_id)

    def apply_batch(self, base_version: int, records: Sequence[MetadataRecord]) -> list[Change]:
        """Apply what is new of `records`; those at versions already applied are skipped, so repeats do no harm.

        Raises MetadataGap, with nothing applied, when `base_version` lies ahead of the image.
        """
        if base_version > self.version:
            raise MetadataGap(f"the image stands at version {self.version}, the update begins at {base_version}")
        changes: list[Change] = []
        for record in records[self.version - base_version :]:
            changes += self.apply(record)
        return changes

    def apply(self, record: MetadataRecord) -> tuple[Change, ...]:
        """The only way an image changes. Records of topics that don't exist (any more) are bugs and raise KeyError."""
        self.version += 1
        match record:
            case PartitionRecord():
                return (self._apply_partition(record),)
            case TopicRecord():
                topic = TopicInfo(record.name, record.topic_id)
                self.topics[record.name] = self.topics_by_id[record.topic_id] = topic
                return (Change(ChangeKind.TOPIC, record.name, record.topic_id),)
            case TopicRemoved():
                return self._remove_topic(record)
            case ConfigRecord():
                return (self._apply_config(record),)
            case BrokerRecord():
                self.brokers[record.broker_id] = record
                return (Change(ChangeKind.BROKER, broker_id=record.broker_id),)
            case BrokerRemoved():
                del self.brokers[record.broker_id]
                return (Change(ChangeKind.BROKER, broker_id=record.broker_id, is_removed=True),)
            case ControllerRecord():
                self.controller_id, self.controller_epoch = record.broker_id, record.controller_epoch
                return (Change(ChangeKind.CONTROLLER, broker_id=record.broker_id),)
            case ProducerIdsRecord():
                self.next_producer_id = record.next_producer_id
                return (Change(ChangeKind.PRODUCER_IDS),)

    def to_records(self) -> list[MetadataRecord]:
        """The shortest list of records that builds this image from nothing; its version travels beside it."""
        records: list[MetadataRecord] = [ControllerRecord(self.controller_id, self.controller_epoch)]
        records += self.brokers.values()
        for topic in self.topics.values():
            records.append(TopicRecord(topic.name, topic.topic_id))
            records += topic.partitions.values()
            records += [ConfigRecord(TOPIC_RESOURCE, topic.name, key, value) for key, value in topic.configs.items()]
        for kind, resources in ((BROKER_RESOURCE, self.broker_configs), (GROUP_RESOURCE, self.group_configs)):
            for name, configs in resources.items():
                records += [ConfigRecord(kind, name, key, value) for key, value in configs.items()]
        records.append(ProducerIdsRecord(self.next_producer_id))
        return records

    def check(self) -> None:
        """Every invariant of the image; AssertionError names the partition that breaks one.

        They hold between batches: inside one, a broker is fenced before its partitions get their new leaders.
        """
        count = 0
        assert {id(t) for t in self.topics.values()} == {id(t) for t in self.topics_by_id.values()}, "topics by id"
        for topic in self.topics.values():
            assert list(topic.partitions) == list(range(len(topic.partitions))), f"{topic.name}: holes or disorder"
            count += len(topic.partitions)
            for partition in topic.partitions.values():
                self._check_partition(partition)
        assert count == self.partition_count, "partition_count"

    def _check_partition(self, partition: PartitionInfo) -> None:
        replicas = set(partition.replicas)
        assert replicas and len(replicas) == len(partition.replicas), f"replicas: {partition}"
        assert partition.isr and len(set(partition.isr)) == len(partition.isr), f"isr: {partition}"
        assert replicas.issuperset(partition.isr), f"an ISR member is no replica: {partition}"
        assert partition.leader == NO_LEADER or partition.leader in partition.isr, f"leader not in ISR: {partition}"
        assert replicas.issuperset(partition.adding_replicas), f"adding: {partition}"
        assert replicas.issuperset(partition.removing_replicas), f"removing: {partition}"
        assert not set(partition.adding_replicas) & set(partition.removing_replicas), f"both ways: {partition}"
        assert replicas.issuperset(partition.offline_replicas), f"offline: {partition}"
        online = [member for member in partition.isr if self.is_online(partition, member)]
        if partition.leader == NO_LEADER:
            assert not online, f"could be led: {partition}"
        else:
            assert len(online) == len(partition.isr), f"a dead ISR member: {partition}"

    def _apply_partition(self, record: PartitionRecord) -> Change:
        topic = self.topics[record.topic]
        before = topic.partitions.get(record.partition)
        topic.partitions[record.partition] = record
        if before is None:
            self.partition_count += 1
        return Change(ChangeKind.PARTITION, record.topic, topic.topic_id, record.partition, before, record)

    def _remove_topic(self, record: TopicRemoved) -> tuple[Change, ...]:
        topic = self.topics.pop(record.name)
        del self.topics_by_id[topic.topic_id]
        self.partition_count -= len(topic.partitions)
        gone = [
            Change(ChangeKind.PARTITION, topic.name, topic.topic_id, p.partition, before=p)
            for p in topic.partitions.values()
        ]
        return (*gone, Change(ChangeKind.TOPIC, topic.name, topic.topic_id, is_removed=True))

    def _apply_config(self, record: ConfigRecord) -> Change:
        if record.resource_type == TOPIC_RESOURCE:
            topic = self.topics[record.resource_name]
            _set_or_remove(topic.configs, record)
            return Change(ChangeKind.TOPIC_CONFIG, topic.name, topic.topic_id)
        is_group = record.resource_type == GROUP_RESOURCE
        resources = self.group_configs if is_group else self.broker_configs
        configs = resources.setdefault(record.resource_name, {})
        _set_or_remove(configs, record)
        if not configs:
            del resources[record.resource_name]
        if is_group:
            return Change(ChangeKind.GROUP_CONFIG)
        broker_id = int(record.resource_name) if record.resource_name else -1
        return Change(ChangeKind.BROKER_CONFIG, broker_id=broker_id)


def _set_or_remove(configs: dict[str, str], record: ConfigRecord) -> None:
    if record.value is None:
        configs.pop(record.name, None)
    else:
        configs[record.name] = record.value
