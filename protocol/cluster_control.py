"""What brokers and the controller say to each other.

A broker registers on start and again whenever a `ControllerIs` names a controller it has not registered with, or a
`MetadataUpdate` does not fit onto its image. It gets the records it lacks (or a snapshot), then the reply:

    broker                                 controller
      | <---------- ControllerIs ------------- |   at election, then about once a second
      | -- RegisterBroker(last_version=41) --> |
      | <- MetadataUpdate(base_version=41) --- |   or MetadataSnapshot
      | <------ RegisterBrokerReply ---------- |
      | ------------- AlterIsr --------------> |
      | <- MetadataUpdate, AlterIsrReply ----- |   every broker gets the update, before the asker gets its reply

Every `broker.heartbeat.interval.ms` a broker sends a BrokerHeartbeat. Whoever is not heard for
`broker.session.timeout.ms` is fenced: others lead. It may be alive, so the same incarnation may register again.

What admins ask for is in `cluster_admin.py`, the records are in `metadata_records.py`. Every request has a
`correlation_id` chosen by the asker, echoed in the reply. `error` is a Kafka error code (0 = none).
Messages that carry a `controller_epoch` below the highest one seen are stale and must be dropped.
"""

from __future__ import annotations

import msgspec

from protocol.cluster_admin import (
    AlterConfigs,
    AlterConfigsReply,
    AlterReassignments,
    AlterReassignmentsReply,
    CreatePartitions,
    CreatePartitionsReply,
    CreateTopics,
    CreateTopicsReply,
    DeleteTopics,
    DeleteTopicsReply,
    ElectLeaders,
    ElectLeadersReply,
    ListReassignments,
    ListReassignmentsReply,
)
from protocol.metadata_records import MetadataRecord

NO_VERSION = -1
"""`last_version` of a broker that has no image yet."""


# --- from the controller, unasked ---------------------------------------------------------------------------------


class ControllerIs(msgspec.Struct, tag="ControllerIs", array_like=True, frozen=True, gc=False):
    """Broker `broker_id` holds the lease; its image stands at `version`. A broker that is behind registers again."""

    broker_id: int
    controller_epoch: int
    version: int


class MetadataUpdate(msgspec.Struct, tag="MetadataUpdate", array_like=True, frozen=True, gc=False):
    """Durable records, the first of which takes an image from `base_version` to `base_version + 1`."""

    controller_epoch: int
    base_version: int
    records: list[MetadataRecord]


class MetadataSnapshot(msgspec.Struct, tag="MetadataSnapshot", array_like=True, frozen=True, gc=False):
    """The whole image at `version`, as the records that build it from nothing."""

    controller_epoch: int
    version: int
    records: list[MetadataRecord]


class NotController(msgspec.Struct, tag="NotController", array_like=True, frozen=True, gc=False):
    """The asked broker does not hold the lease (`controller_id` -1: nobody known does). Ask again elsewhere."""

    correlation_id: int
    controller_id: int
    controller_epoch: int


# --- brokers ------------------------------------------------------------------------------------------------------


class RegisterBroker(msgspec.Struct, tag="RegisterBroker", array_like=True, frozen=True, gc=False):
    correlation_id: int
    broker_id: int
    incarnation: int
    host: str
    port: int
    rack: str | None = None
    last_version: int = NO_VERSION
    has_doubts: bool = False  # the machine went down since its logs were last sound: their ends may be gone


class RegisterBrokerReply(msgspec.Struct, tag="RegisterBrokerReply", array_like=True, frozen=True, gc=False):
    """STALE_BROKER_EPOCH: this incarnation was declared dead; the process must end and come back as a new one."""

    correlation_id: int
    error: int
    controller_epoch: int
    incarnation: int  # that asked: an answer may come so late that it finds its successor


class BrokerHeartbeat(msgspec.Struct, tag="BrokerHeartbeat", array_like=True, frozen=True, gc=False):
    """The broker lives and can be heard. `is_deaf`: it has not heard any controller for a whole session."""

    correlation_id: int
    broker_id: int
    incarnation: int
    is_deaf: bool = False


class BrokerHeartbeatReply(msgspec.Struct, tag="BrokerHeartbeatReply", array_like=True, frozen=True, gc=False):
    """`is_registered` False: this incarnation is unknown or fenced; it registers (again), or learns that it is dead."""

    correlation_id: int
    is_registered: bool


class ControlledShutdown(msgspec.Struct, tag="ControlledShutdown", array_like=True, frozen=True, gc=False):
    """The broker wants to stop: move its leadership away and take it out of the ISRs."""

    correlation_id: int
    broker_id: int
    incarnation: int


class ControlledShutdownReply(msgspec.Struct, tag="ControlledShutdownReply", array_like=True, frozen=True, gc=False):
    """`remaining` are (topic, partition) that only this broker can lead; they go offline when it stops."""

    correlation_id: int
    error: int
    remaining: list[tuple[str, int]] = []


class UnregisterBroker(msgspec.Struct, tag="UnregisterBroker", array_like=True, frozen=True, gc=False):
    correlation_id: int
    broker_id: int


class UnregisterBrokerReply(msgspec.Struct, tag="UnregisterBrokerReply", array_like=True, frozen=True, gc=False):
    correlation_id: int
    error: int
    message: str | None = None


class AllocateProducerIds(msgspec.Struct, tag="AllocateProducerIds", array_like=True, frozen=True, gc=False):
    correlation_id: int
    broker_id: int
    incarnation: int


class AllocateProducerIdsReply(msgspec.Struct, tag="AllocateProducerIdsReply", array_like=True, frozen=True, gc=False):
    """The ids `first_producer_id` .. `first_producer_id + count - 1` belong to the asker for ever."""

    correlation_id: int
    error: int
    first_producer_id: int = -1
    count: int = 0


# --- partitions ---------------------------------------------------------------------------------------------------


class IsrProposal(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A leader's wish for a new ISR, valid only against the epochs it was made under.

    `incarnations` runs along `isr`: the incarnation of each member that the leader heard from, -1 for "do not check".
    It keeps a replica that restarted meanwhile out of the ISR (KIP-903). May be empty.
    """

    topic: str
    topic_id: bytes
    partition: int
    leader_epoch: int
    partition_epoch: int
    isr: tuple[int, ...]
    incarnations: tuple[int, ...] = ()


class AlterIsr(msgspec.Struct, tag="AlterIsr", array_like=True, frozen=True, gc=False):
    """Compare-and-set of ISRs by the leader `broker_id`. Many partitions in one message are one durable batch."""

    correlation_id: int
    broker_id: int
    incarnation: int
    partitions: list[IsrProposal]


class IsrResult(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The state after the decision, also when `error` says no (then it is what the leader did not know yet).

    Errors: FENCED_LEADER_EPOCH, INVALID_UPDATE_VERSION (partition epoch), INELIGIBLE_REPLICA, UNKNOWN_TOPIC_ID,
    UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST, STALE_BROKER_EPOCH.
    """

    topic: str
    topic_id: bytes
    partition: int
    error: int = 0
    leader: int = -1
    leader_epoch: int = -1
    partition_epoch: int = -1
    isr: tuple[int, ...] = ()


class AlterIsrReply(msgspec.Struct, tag="AlterIsrReply", array_like=True, frozen=True, gc=False):
    correlation_id: int
    partitions: list[IsrResult]


class ReplicasOffline(msgspec.Struct, tag="ReplicasOffline", array_like=True, frozen=True, gc=False):
    """The broker's disk failed under these replicas, (topic id, partition): others shall lead, it leaves the ISR.

    They stay offline until a new incarnation of the broker registers. Sent again until it is answered.
    """

    correlation_id: int
    broker_id: int
    incarnation: int
    replicas: list[tuple[bytes, int]]


class ReplicasOfflineReply(msgspec.Struct, tag="ReplicasOfflineReply", array_like=True, frozen=True, gc=False):
    """STALE_BROKER_EPOCH: this incarnation leads nothing any more anyway."""

    correlation_id: int
    error: int


ControllerRequest = (
    RegisterBroker
    | BrokerHeartbeat
    | ControlledShutdown
    | UnregisterBroker
    | AllocateProducerIds
    | CreateTopics
    | DeleteTopics
    | CreatePartitions
    | AlterConfigs
    | AlterIsr
    | ReplicasOffline
    | ElectLeaders
    | AlterReassignments
    | ListReassignments
)
"""What a broker asks; `typing.get_args` of it tells a router what belongs to the controller."""

ControllerReply = (
    NotController
    | RegisterBrokerReply
    | BrokerHeartbeatReply
    | ControlledShutdownReply
    | UnregisterBrokerReply
    | AllocateProducerIdsReply
    | CreateTopicsReply
    | DeleteTopicsReply
    | CreatePartitionsReply
    | AlterConfigsReply
    | AlterIsrReply
    | ReplicasOfflineReply
    | ElectLeadersReply
    | AlterReassignmentsReply
    | ListReassignmentsReply
)

ControllerMessage = ControllerRequest | ControllerReply | ControllerIs | MetadataUpdate | MetadataSnapshot
