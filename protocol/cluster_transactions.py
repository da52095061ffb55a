"""What transaction coordinators and the leaders of partitions say to each other, inside the cluster.

A coordinator is addressed as `coordinator_address(partition of __transaction_state)`, the broker that leads a
partition of a transaction at `MARKERS_ADDRESS`. All of it travels as data: a marker that was sent after an enrolment
also arrives after it, which is what keeps a late batch from reopening an ended transaction (KIP-890).
"""

from __future__ import annotations

import msgspec

MARKERS_ADDRESS = "/markers"


def coordinator_address(partition: int) -> str:
    """The logical path of the coordinator that lives in this partition of `__transaction_state`."""
    return f"/transaction/{partition}"


class EnrolPartition(msgspec.Struct, tag="EnrolPartition", array_like=True, frozen=True, gc=False):
    """Leader → coordinator: may this producer write to the partition in its open transaction?

    With `adds` the coordinator takes the partition into the transaction (KIP-890, Produce v12+); without it says
    whether the client has done so. The answer goes to `reply_address` on the sender.
    """

    number: int
    reply_address: str
    transactional_id: str
    producer_id: int
    producer_epoch: int
    topic: str
    partition: int
    adds: bool


class PartitionEnrolled(msgspec.Struct, tag="PartitionEnrolled", array_like=True, frozen=True, gc=False):
    """Coordinator → leader: the answer to the EnrolPartition of that number; `error` is a Kafka error code."""

    number: int
    error: int


class Marker(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """End this producer's transaction in one partition; `version` is the client's transaction.version.

    `number` is that of the transaction (`machines/marker_memory.py`), `leader_epoch` of the leader that is meant.
    """

    transactional_id: str
    producer_id: int
    producer_epoch: int
    is_commit: bool
    version: int
    topic: str
    partition: int
    number: int
    leader_epoch: int


class WriteMarkers(msgspec.Struct, tag="WriteMarkers", array_like=True, frozen=True, gc=False):
    """Coordinator → leaders: write these, and say so once they are committed."""

    coordinator: int
    coordinator_epoch: int
    markers: list[Marker]


class MarkerOutcome(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What became of one marker; `error` 0: it is committed."""

    transactional_id: str
    producer_id: int
    producer_epoch: int
    topic: str
    partition: int
    number: int
    error: int


class MarkersWritten(msgspec.Struct, tag="MarkersWritten", array_like=True, frozen=True, gc=False):
    """Leaders → coordinator: outcomes, of one or several WriteMarkers of that coordinator epoch."""

    coordinator_epoch: int
    outcomes: list[MarkerOutcome]


TransactionMessage = EnrolPartition | PartitionEnrolled | WriteMarkers | MarkersWritten
