"""What an admin asks of the controller through a broker: topics, partitions, configs, elections, reassignments.

The broker that a client talks to forwards these with a `correlation_id` of its own and gets the reply once the
change is durable. Errors are per item, as in Kafka's answers; `error` is a Kafka error code (0 = none).
"""

from __future__ import annotations

import msgspec

from protocol.metadata_records import PartitionRecord

# --- topics -------------------------------------------------------------------------------------------------------


class NewTopic(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """-1 asks for the cluster's default. With `assignments` (partition -> replicas) both numbers must be -1."""

    name: str
    num_partitions: int = -1
    replication_factor: int = -1
    assignments: dict[int, tuple[int, ...]] = {}
    configs: dict[str, str | None] = {}


class CreateTopics(msgspec.Struct, tag="CreateTopics", array_like=True, frozen=True, gc=False):
    correlation_id: int
    topics: list[NewTopic]
    validate_only: bool = False


class CreatedTopic(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`configs` are the overrides as stored. On an error the numbers are -1 and the id is all zeros."""

    name: str
    error: int = 0
    message: str | None = None
    topic_id: bytes = bytes(16)
    num_partitions: int = -1
    replication_factor: int = -1
    configs: dict[str, str] = {}


class CreateTopicsReply(msgspec.Struct, tag="CreateTopicsReply", array_like=True, frozen=True, gc=False):
    correlation_id: int
    topics: list[CreatedTopic]


class TopicToDelete(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """By name, or by id when `name` is None."""

    name: str | None
    topic_id: bytes = bytes(16)


class DeleteTopics(msgspec.Struct, tag="DeleteTopics", array_like=True, frozen=True, gc=False):
    correlation_id: int
    topics: list[TopicToDelete]


class DeletedTopic(msgspec.Struct, array_like=True, frozen=True, gc=False):
    name: str | None
    topic_id: bytes
    error: int = 0
    message: str | None = None


class DeleteTopicsReply(msgspec.Struct, tag="DeleteTopicsReply", array_like=True, frozen=True, gc=False):
    correlation_id: int
    topics: list[DeletedTopic]


class MorePartitions(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`count` is the new total; `assignments`, when not None, are the replicas of each added partition in order."""

    name: str
    count: int
    assignments: list[tuple[int, ...]] | None = None


class CreatePartitions(msgspec.Struct, tag="CreatePartitions", array_like=True, frozen=True, gc=False):
    correlation_id: int
    topics: list[MorePartitions]
    validate_only: bool = False


class TopicResult(msgspec.Struct, array_like=True, frozen=True, gc=False):
    name: str
    error: int = 0
    message: str | None = None


class CreatePartitionsReply(msgspec.Struct, tag="CreatePartitionsReply", array_like=True, frozen=True, gc=False):
    correlation_id: int
    topics: list[TopicResult]


# --- configs ------------------------------------------------------------------------------------------------------

SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3
"""Operations of IncrementalAlterConfigs."""


class ConfigChange(msgspec.Struct, array_like=True, frozen=True, gc=False):
    name: str
    value: str | None
    operation: int = SET


class ConfigResource(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`resource_type` as Kafka's: 2 topic, 4 broker (`resource_name` "" means every broker)."""

    resource_type: int
    resource_name: str
    changes: list[ConfigChange]


class AlterConfigs(msgspec.Struct, tag="AlterConfigs", array_like=True, frozen=True, gc=False):
    """Not incremental: `changes` replace all that was set before, as the old AlterConfigs (key 33) does."""

    correlation_id: int
    resources: list[ConfigResource]
    is_incremental: bool = True
    validate_only: bool = False


class ConfigResult(msgspec.Struct, array_like=True, frozen=True, gc=False):
    resource_type: int
    resource_name: str
    error: int = 0
    message: str | None = None


class AlterConfigsReply(msgspec.Struct, tag="AlterConfigsReply", array_like=True, frozen=True, gc=False):
    correlation_id: int
    resources: list[ConfigResult]


# --- partitions ---------------------------------------------------------------------------------------------------

PREFERRED, UNCLEAN = 0, 1
"""Election types of ElectLeaders."""


class ElectLeaders(msgspec.Struct, tag="ElectLeaders", array_like=True, frozen=True, gc=False):
    """`partitions` None means all; then only those that were elected come back."""

    correlation_id: int
    election_type: int
    partitions: list[tuple[str, int]] | None = None


class PartitionResult(msgspec.Struct, array_like=True, frozen=True, gc=False):
    topic: str
    partition: int
    error: int = 0
    message: str | None = None


class ElectLeadersReply(msgspec.Struct, tag="ElectLeadersReply", array_like=True, frozen=True, gc=False):
    correlation_id: int
    partitions: list[PartitionResult]


class Reassignment(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Move a partition to `replicas`; None cancels a move under way."""

    topic: str
    partition: int
    replicas: tuple[int, ...] | None


class AlterReassignments(msgspec.Struct, tag="AlterReassignments", array_like=True, frozen=True, gc=False):
    correlation_id: int
    partitions: list[Reassignment]
    allow_replication_factor_change: bool = True


class AlterReassignmentsReply(msgspec.Struct, tag="AlterReassignmentsReply", array_like=True, frozen=True, gc=False):
    correlation_id: int
    partitions: list[PartitionResult]


class ListReassignments(msgspec.Struct, tag="ListReassignments", array_like=True, frozen=True, gc=False):
    """`partitions` None means all. A broker's own image answers this too (`MetadataImage.reassignments`)."""

    correlation_id: int
    partitions: list[tuple[str, int]] | None = None


class ListReassignmentsReply(msgspec.Struct, tag="ListReassignmentsReply", array_like=True, frozen=True, gc=False):
    """The partitions on the move, whole: replicas, adding_replicas, removing_replicas."""

    correlation_id: int
    partitions: list[PartitionRecord]
