"""What `Admin` takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from model.ids import TopicPartition

TOPIC: Final = 2
BROKER: Final = 4


@dataclass(frozen=True, slots=True)
class NewTopic:
    """-1 leaves the number to the broker's defaults; `assignments` (partition → brokers) decides both."""

    name: str
    partitions: int = -1
    replication_factor: int = -1
    configs: Mapping[str, str] = field(default_factory=dict)
    assignments: Mapping[int, Sequence[int]] = field(default_factory=dict)


class Broker(NamedTuple):
    id: int
    host: str
    port: int
    rack: str | None = None


@dataclass(frozen=True, slots=True)
class ClusterDescription:
    cluster_id: str
    controller_id: int
    brokers: tuple[Broker, ...]


class PartitionDescription(NamedTuple):
    partition: int
    leader: int
    leader_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    offline: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class TopicDescription:
    name: str
    topic_id: str
    is_internal: bool
    partitions: tuple[PartitionDescription, ...]


class ConfigEntry(NamedTuple):
    """`source` as Kafka numbers it: 1 topic, 2 and 3 dynamic broker, 4 static broker, 5 default."""

    name: str
    value: str | None
    source: int
    is_read_only: bool
    is_sensitive: bool
    documentation: str | None = None

    @property
    def is_default(self) -> bool:
        return self.source == 5


class Resource(NamedTuple):
    """`kind` is TOPIC or BROKER; a broker's name is its id, or "" for all of them."""

    kind: int
    name: str


class GroupListing(NamedTuple):
    group: str
    protocol_type: str
    state: str
    kind: str


class GroupMemberDescription(NamedTuple):
    member_id: str
    instance_id: str | None
    client_id: str
    host: str
    assignment: tuple[TopicPartition, ...]


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """`protocol` is the assignor's name, `coordinator` a broker's id, `kind` classic or consumer (KIP-848)."""

    group: str
    state: str
    protocol_type: str
    protocol: str
    coordinator: int
    members: tuple[GroupMemberDescription, ...]
    kind: str = "classic"


class LogDir(NamedTuple):
    """One partition's bytes on one broker."""

    broker: int
    path: str
    partition: TopicPartition
    size: int
    offset_lag: int


class Reassignment(NamedTuple):
    partition: TopicPartition
    replicas: tuple[int, ...]
    adding: tuple[int, ...]
    removing: tuple[int, ...]


class ProducerDescription(NamedTuple):
    """What a leader knows of a producer of one partition; `transaction_start` is -1 when none is open."""

    producer_id: int
    epoch: int
    last_sequence: int
    last_timestamp: int
    coordinator_epoch: int
    transaction_start: int


class TransactionListing(NamedTuple):
    transactional_id: str
    producer_id: int
    state: str


@dataclass(frozen=True, slots=True)
class TransactionDescription:
    transactional_id: str
    state: str
    producer_id: int
    epoch: int
    timeout_ms: int
    started_ms: int
    coordinator: int
    partitions: tuple[TopicPartition, ...]
