"""One partition's copy on this broker: what outlives a change of role.

A `Replica` holds the log and the high watermark. The actor that plays its current role (leader or follower) is the only
one that changes them; readers (fetch, list offsets) look, on the same loop, without a message: a read below the high
watermark changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from model.ids import TopicPartition

if TYPE_CHECKING:
    from actors.follower_replica import FollowerReplica
    from actors.partition_leader import PartitionLeader
    from machines.metadata import PartitionInfo
    from storage.log import Log


class Replica:
    """A partition's log on this broker with its high watermark and current role."""

    __slots__ = (
        "address",
        "cause",
        "follower",
        "high_watermark",
        "info",
        "is_offline",
        "leader",
        "led_epoch",
        "log",
        "partition",
        "topic_id",
        "waiters",
    )

    def __init__(
        self, partition: TopicPartition, topic_id: bytes, info: PartitionInfo, log: Log, high_watermark: int
    ) -> None:
        self.partition = partition
        self.topic_id = topic_id
        self.address = address_of(partition, topic_id)
        self.info = info
        self.log = log
        self.high_watermark = max(log.log_start_offset, min(high_watermark, log.log_end_offset))
        self.leader: PartitionLeader | None = None
        self.led_epoch = -1  # the last one that an actor has led here
        self.follower: FollowerReplica | None = None
        self.is_offline = False
        self.cause = 0  # the event that gave it its current role
        self.waiters: set[Callable[[], None]] = set()  # fetches that wait for the high watermark

    @property
    def last_stable_offset(self) -> int:
        """Below it every transaction is decided (read_committed reads to here); never above the high watermark."""
        producers = self.log.producers
        producers.on_high_watermark(self.high_watermark)
        unstable = producers.first_unstable_offset
        return self.high_watermark if unstable is None or unstable < 0 else min(unstable, self.high_watermark)

    def advance(self, high_watermark: int) -> None:
        """Raise the high watermark and wake whoever waits for it."""
        if high_watermark > self.high_watermark:
            self.high_watermark = high_watermark
            self.wake()

    def wake(self) -> None:
        """Let the waiting fetches look again: the high watermark rose, or the role changed under them."""
        if self.waiters:
            for waiter in list(self.waiters):
                waiter()


def address_of(partition: TopicPartition, topic_id: bytes) -> str:
    """The logical path of a replica on any broker; the topic id keeps a deleted topic's mail from its namesake."""
    return f"/replica/{partition.topic}/{partition.partition}/{topic_id.hex()[:12]}"
