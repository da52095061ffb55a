"""What one group has committed: how far it has read each partition, and what open transactions would commit.

Durable state changes only in `apply` and `complete_transaction`, the same way live and in a replay. Who may commit is
for the group to decide; here is what a commit does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from machines.group_events import FetchOffsets, GroupRecord
from model.error_codes import ErrorCode
from model.ids import NO_TOPIC_ID, TopicPartition
from protocol.internal_topics import OffsetCommitKey, OffsetCommitValue
from protocol.k08_offset_commit import OffsetCommitRequestTopic
from protocol.k09_offset_fetch import (
    OffsetFetchResponseGroup,
    OffsetFetchResponsePartitions,
    OffsetFetchResponseTopics,
)
from protocol.k28_txn_offset_commit import TxnOffsetCommitRequestTopic

VALUE_VERSION = 3
VALUE_VERSION_WITH_EXPIRY = 1

NO_OFFSET = -1


class CommittedOffset(NamedTuple):
    """One partition's position. `order` grows with each record of the group: of two, the later one counts."""

    offset: int
    leader_epoch: int
    metadata: str
    commit_timestamp: int
    expire_timestamp: int = -1
    topic_id: bytes = NO_TOPIC_ID
    order: int = 0


@dataclass(slots=True)
class Offsets:
    """The offsets of the group named `group_id`. `pending` holds those of open transactions, by producer id."""

    group_id: str
    committed: dict[str, dict[int, CommittedOffset]] = field(default_factory=dict)
    pending: dict[int, dict[TopicPartition, CommittedOffset]] = field(default_factory=dict)
    order: int = 0

    def __bool__(self) -> bool:
        return bool(self.committed or self.pending)

    # -- durable state -------------------------------------------------------------------------------------------------

    def apply(self, key: OffsetCommitKey, value: OffsetCommitValue | None, producer_id: int = -1) -> None:
        """Take in a record; with a producer it counts once its transaction commits."""
        self.order += 1
        partition = TopicPartition(key.topic, key.partition)
        if value is None:
            self._forget(partition)
            for offsets in self.pending.values():
                offsets.pop(partition, None)
            self.pending = {producer: offsets for producer, offsets in self.pending.items() if offsets}
            return
        offset = CommittedOffset(
            value.offset,
            value.leader_epoch,
            value.metadata,
            value.commit_timestamp,
            value.expire_timestamp,
            value.topic_id,
            self.order,
        )
        if producer_id >= 0:
            self.pending.setdefault(producer_id, {})[partition] = offset
        else:
            self.committed.setdefault(key.topic, {})[key.partition] = offset

    def complete_transaction(self, producer_id: int, commit: bool) -> None:
        """The producer's transaction ended: its offsets become the group's, unless later ones were committed since."""
        ended = self.pending.pop(producer_id, None)
        if ended is None or not commit:
            return
        for partition, offset in ended.items():
            rows = self.committed.setdefault(partition.topic, {})
            known = rows.get(partition.partition)
            if known is None or known.order < offset.order:
                rows[partition.partition] = offset

    def _forget(self, partition: TopicPartition) -> None:
        rows = self.committed.get(partition.topic)
        if rows is not None:
            rows.pop(partition.partition, None)
            if not rows:
                del self.committed[partition.topic]

    # -- records -------------------------------------------------------------------------------------------------------

    def commit_records(
        self,
        topics: Iterable[OffsetCommitRequestTopic | TxnOffsetCommitRequestTopic],
        *,
        metadata_max_bytes: int,
        wall_ms: int,
        retention_ms: int = -1,
    ) -> tuple[list[GroupRecord], list[tuple[str, list[tuple[int, ErrorCode]]]]]:
        """The records of a commit, and the outcome of each partition. `retention_ms` is the request's own (v2-4)."""
        records: list[GroupRecord] = []
        outcomes: list[tuple[str, list[tuple[int, ErrorCode]]]] = []
        expire_timestamp = wall_ms + retention_ms if retention_ms >= 0 else -1
        version = VALUE_VERSION if expire_timestamp < 0 else VALUE_VERSION_WITH_EXPIRY
        for topic in topics:
            rows: list[tuple[int, ErrorCode]] = []
            for row in topic.partitions:
                metadata = row.committed_metadata or ""
                if len(metadata) > metadata_max_bytes:
                    rows.append((row.partition_index, ErrorCode.OFFSET_METADATA_TOO_LARGE))
                    continue
                key = OffsetCommitKey(group=self.group_id, topic=topic.name, partition=row.partition_index)
                value = OffsetCommitValue(
                    offset=row.committed_offset,
                    leader_epoch=row.committed_leader_epoch,
                    metadata=metadata,
                    commit_timestamp=wall_ms,
                    expire_timestamp=expire_timestamp,
                )
                records.append(GroupRecord(key, value, version))
                rows.append((row.partition_index, ErrorCode.NONE))
            outcomes.append((topic.name, rows))
        return records, outcomes

    def tombstone(self, partition: TopicPartition) -> GroupRecord:
        """The record that forgets a partition's offset."""
        key = OffsetCommitKey(group=self.group_id, topic=partition.topic, partition=partition.partition)
        return GroupRecord(key, None)

    def partitions(self) -> Iterator[TopicPartition]:
        """Every partition with a committed or pending offset; pending ones may come twice."""
        for topic, rows in self.committed.items():
            for partition in rows:
                yield TopicPartition(topic, partition)
        for offsets in self.pending.values():
            yield from offsets

    def tombstones(self, choose: Callable[[TopicPartition], bool] = lambda _: True) -> list[GroupRecord]:
        """Tombstones of the chosen partitions, pending ones too."""
        return [self.tombstone(partition) for partition in dict.fromkeys(self.partitions()) if choose(partition)]

    def expired(
        self, wall_ms: int, retention_ms: int, idle_since_ms: int | None, keeps: Callable[[str], bool]
    ) -> list[GroupRecord]:
        """Tombstones of what is too old and not pending.

        Time counts from the commit, or from `idle_since_ms` (when the group lost its last member) if that is later.
        `keeps(topic)`: the group still reads it.
        """
        found: list[GroupRecord] = []
        pending = {partition for offsets in self.pending.values() for partition in offsets}
        for topic, rows in self.committed.items():
            if keeps(topic):
                continue
            for partition, offset in rows.items():
                if offset.expire_timestamp >= 0:
                    is_expired = wall_ms >= offset.expire_timestamp
                else:
                    since_ms = max(offset.commit_timestamp, idle_since_ms or 0)
                    is_expired = wall_ms - since_ms >= retention_ms
                key = TopicPartition(topic, partition)
                if is_expired and key not in pending:
                    found.append(self.tombstone(key))
        return found

    # -- reading -------------------------------------------------------------------------------------------------------

    def fetch(self, request: FetchOffsets) -> OffsetFetchResponseGroup:
        """What OffsetFetch asks for; offset -1 where nothing was committed."""
        wanted = request.topics
        if wanted is None:
            wanted = [(topic, list(rows)) for topic, rows in self.committed.items()]
        unstable: set[TopicPartition] = set()
        if request.require_stable:
            unstable = {partition for offsets in self.pending.values() for partition in offsets}
        topics = []
        for topic, partitions in wanted:
            known = self.committed.get(topic, {})
            rows = [self._row(known, topic, partition, unstable) for partition in partitions]
            topics.append(OffsetFetchResponseTopics(name=topic, partitions=rows))
        return OffsetFetchResponseGroup(group_id=self.group_id, topics=topics)

    @staticmethod
    def _row(
        known: dict[int, CommittedOffset], topic: str, partition: int, unstable: set[TopicPartition]
    ) -> OffsetFetchResponsePartitions:
        if unstable and TopicPartition(topic, partition) in unstable:
            return OffsetFetchResponsePartitions(
                partition_index=partition,
                committed_offset=NO_OFFSET,
                metadata="",
                error_code=ErrorCode.UNSTABLE_OFFSET_COMMIT,
            )
        found = known.get(partition)
        if found is None:
            return OffsetFetchResponsePartitions(partition_index=partition, committed_offset=NO_OFFSET, metadata="")
        return OffsetFetchResponsePartitions(
            partition_index=partition,
            committed_offset=found.offset,
            committed_leader_epoch=found.leader_epoch,
            metadata=found.metadata,
        )
