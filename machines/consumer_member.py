"""One member of a KIP-848 group: what it said of itself, and how far it has come towards its target assignment.

Both parts are values that are replaced as a whole, each by a record of its own (`Subscription`, `Progress`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum

from machines.assignors import by_topic
from machines.group_events import NEVER_MS
from machines.topic_view import NO_PARTITIONS, Partitions
from protocol.consumer_group_records import (
    ClassicMemberMetadata,
    ClassicProtocol,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataValue,
    CurrentTopicPartitions,
)

LEFT_FOR_A_WHILE = -2
"""The epoch of a static member that is gone and may come back; its partitions wait for it."""
LEFT = -1


class MemberState(IntEnum):
    """The numbers stand in records."""

    STABLE = 0
    UNREVOKED = 1  # it is to give partitions away, and has not said yet that it did
    UNRELEASED = 2  # it waits for partitions that others have not given away yet


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a member said. `classic` are the JoinGroup protocols of one that speaks the classic protocol."""

    instance_id: str | None = None
    rack_id: str | None = None
    client_id: str = ""
    client_host: str = ""
    topics: tuple[str, ...] = ()
    regex: str | None = None
    rebalance_timeout_ms: int = -1
    assignor: str | None = None
    classic: tuple[tuple[str, bytes], ...] | None = None
    session_timeout_ms: int = -1  # of a classic member

    @classmethod
    def of_record(cls, value: ConsumerGroupMemberMetadataValue) -> Subscription:
        classic = value.classic_member_metadata
        return cls(
            value.instance_id,
            value.rack_id,
            value.client_id,
            value.client_host,
            tuple(value.subscribed_topic_names),
            value.subscribed_topic_regex or None,
            value.rebalance_timeout_ms,
            value.server_assignor,
            None
            if classic is None
            else tuple((row.name, bytes(row.metadata)) for row in classic.supported_protocols),
            -1 if classic is None else classic.session_timeout_ms,
        )

    def to_record(self) -> ConsumerGroupMemberMetadataValue:
        classic = None
        if self.classic is not None:
            rows = [ClassicProtocol(name=name, metadata=metadata) for name, metadata in self.classic]
            classic = ClassicMemberMetadata(session_timeout_ms=self.session_timeout_ms, supported_protocols=rows)
        return ConsumerGroupMemberMetadataValue(
            instance_id=self.instance_id,
            rack_id=self.rack_id,
            client_id=self.client_id,
            client_host=self.client_host,
            subscribed_topic_names=list(self.topics),
            subscribed_topic_regex=self.regex,
            rebalance_timeout_ms=self.rebalance_timeout_ms,
            server_assignor=self.assignor,
            classic_member_metadata=classic,
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """`revoking` are partitions it is to give away; nobody else gets them, or what is `assigned`, while it has them."""

    epoch: int = 0
    previous_epoch: int = 0
    state: MemberState = MemberState.STABLE
    assigned: Partitions = NO_PARTITIONS
    revoking: Partitions = NO_PARTITIONS

    @classmethod
    def of_record(cls, value: ConsumerGroupCurrentMemberAssignmentValue) -> Progress:
        return cls(
            value.member_epoch,
            value.previous_member_epoch,
            MemberState(value.state),
            _partitions_of(value.assigned_partitions),
            _partitions_of(value.partitions_pending_revocation),
        )

    def to_record(self) -> ConsumerGroupCurrentMemberAssignmentValue:
        return ConsumerGroupCurrentMemberAssignmentValue(
            member_epoch=self.epoch,
            previous_member_epoch=self.previous_epoch,
            state=int(self.state),
            assigned_partitions=_rows_of(self.assigned),
            partitions_pending_revocation=_rows_of(self.revoking),
        )

    def at(self, epoch: int) -> Progress:
        return self if epoch == self.epoch else replace(self, epoch=epoch, previous_epoch=self.epoch)


@dataclass(slots=True)
class ConsumerMember:
    """Deadlines are not durable: a new coordinator starts them anew.

    `join_deadline_ms` is that of a classic member which was told to join again, or has joined and is to sync.
    """

    member_id: str
    subscription: Subscription = Subscription()
    progress: Progress = Progress()
    session_deadline_ms: int = NEVER_MS
    revoke_deadline_ms: int = NEVER_MS
    join_deadline_ms: int = NEVER_MS

    @property
    def is_classic(self) -> bool:
        return self.subscription.classic is not None

    @property
    def deadline_ms(self) -> int:
        return min(self.session_deadline_ms, self.revoke_deadline_ms, self.join_deadline_ms)

    def is_settled(self, epoch: int) -> bool:
        """It has all that the target assignment of this epoch gives it, and nothing else."""
        return self.progress.state is MemberState.STABLE and self.progress.epoch == epoch


def reconcile(
    progress: Progress,
    target_epoch: int,
    target: Partitions,
    owned: Partitions | None,
    is_free: Callable[[tuple[bytes, int]], bool],
) -> Progress:
    """The next step of a member towards its target assignment; the same progress when there is none.

    First it gives away what others are to have, in its old epoch, until it reports (`owned`; None: it said nothing)
    that it did. Then it goes to the target's epoch and gets what `is_free` of what it is to have.
    """
    if progress.state is MemberState.STABLE and progress.epoch == target_epoch:
        return progress
    epoch = progress.epoch
    if progress.state is MemberState.UNREVOKED:
        if owned is None or owned & progress.revoking:
            return progress
        epoch += 1  # what it says from here on is not to be taken for what it said before
    kept = progress.assigned & target
    revoking = progress.assigned - target
    if revoking and (owned is None or owned & revoking):
        return replace(progress.at(epoch), state=MemberState.UNREVOKED, assigned=kept, revoking=revoking)
    missing = target - kept
    free = frozenset(partition for partition in missing if is_free(partition))
    state = MemberState.STABLE if free == missing else MemberState.UNRELEASED
    return replace(progress.at(target_epoch), state=state, assigned=kept | free, revoking=NO_PARTITIONS)


def _partitions_of(rows: list[CurrentTopicPartitions]) -> Partitions:
    return frozenset((bytes(row.topic_id), partition) for row in rows for partition in row.partitions)


def _rows_of(partitions: Partitions) -> list[CurrentTopicPartitions]:
    return [
        CurrentTopicPartitions(topic_id=topic_id, partitions=numbers)
        for topic_id, numbers in by_topic(partitions).items()
    ]
