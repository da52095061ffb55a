"""The records of the metadata log: the cluster's truth, one small change each.

The controller decides, appends a batch of these durably and only then tells the brokers. A record states the
new state in full (never a difference to the old one), so replay is a plain fold and a snapshot is simply the
shortest list of records that leads to the same image. `machines/metadata.py` is the fold.

Sequences are tuples: a record that has been applied is shared by images and must never change.
"""

from __future__ import annotations

import msgspec


class ControllerRecord(msgspec.Struct, tag="ControllerRecord", array_like=True, frozen=True, gc=False):
    """A broker took the lease; every message below `controller_epoch` is stale from here on."""

    broker_id: int
    controller_epoch: int


class BrokerRecord(msgspec.Struct, tag="BrokerRecord", array_like=True, frozen=True, gc=False):
    """A broker as registered. A fenced one is dead or not yet back and leads nothing.

    One that shuts down keeps only what nobody else can lead.
    """

    broker_id: int
    incarnation: int
    host: str
    port: int
    rack: str | None = None
    is_fenced: bool = False
    is_shutting_down: bool = False


class BrokerRemoved(msgspec.Struct, tag="BrokerRemoved", array_like=True, frozen=True, gc=False):
    """A broker was unregistered: it no longer counts among the brokers that replicas may be placed on."""

    broker_id: int


class TopicRecord(msgspec.Struct, tag="TopicRecord", array_like=True, frozen=True, gc=False):
    """A topic exists, still without partitions; their records follow in the same batch."""

    name: str
    topic_id: bytes


class TopicRemoved(msgspec.Struct, tag="TopicRemoved", array_like=True, frozen=True, gc=False):
    """A topic, its partitions and its configs are gone."""

    name: str
    topic_id: bytes


class PartitionRecord(msgspec.Struct, tag="PartitionRecord", array_like=True, frozen=True, gc=False):
    """The whole state of one partition after a change.

    `replicas[0]` is the preferred leader; `leader` is -1 while nobody may lead. `leader_epoch` grows with each change
    of leader, `partition_epoch` with each change at all. During a reassignment `replicas` holds the target's replicas
    first, then those in `removing_replicas`. `offline_replicas` lie on a disk that failed; their brokers live.
    """

    topic: str
    partition: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    leader: int
    leader_epoch: int
    partition_epoch: int
    adding_replicas: tuple[int, ...] = ()
    removing_replicas: tuple[int, ...] = ()
    offline_replicas: tuple[int, ...] = ()


class ConfigRecord(msgspec.Struct, tag="ConfigRecord", array_like=True, frozen=True, gc=False):
    """A config of a topic (`resource_type` 2), a broker (4; name "" for all of them) or a group (32). None removes."""

    resource_type: int
    resource_name: str
    name: str
    value: str | None


class ProducerIdsRecord(msgspec.Struct, tag="ProducerIdsRecord", array_like=True, frozen=True, gc=False):
    """Every producer id below `next_producer_id` has been handed to some broker."""

    next_producer_id: int


TOPIC_RESOURCE = 2
BROKER_RESOURCE = 4
GROUP_RESOURCE = 32

MetadataRecord = (
    ControllerRecord
    | BrokerRecord
    | BrokerRemoved
    | TopicRecord
    | TopicRemoved
    | PartitionRecord
    | ConfigRecord
    | ProducerIdsRecord
)
