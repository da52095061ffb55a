"""What every part of the controller works on: the image, the batch of records being made, and who may lead.

A decision calls `record`, which applies at once, so the next decision in the same batch already sees it. The batch
becomes durable as one write; if that fails the whole machine is thrown away, so nothing needs undoing.
"""

from __future__ import annotations

import hashlib

from machines.metadata import BrokerInfo, MetadataImage, PartitionInfo
from model.configs import BrokerConfig
from model.errors import ConfigError
from model.ids import NO_TOPIC_ID, TopicId, topic_id_to_str
from protocol.metadata_records import MetadataRecord, PartitionRecord

PRODUCER_ID_BLOCK = 1000


class ControllerState:
    """`seed` makes topic ids unlike those of any other cluster: 16 random bytes from the shell."""

    def __init__(self, image: MetadataImage, config: BrokerConfig, seed: bytes) -> None:
        self.image = image
        self.static_config = config
        self.seed = seed
        self.batch: list[MetadataRecord] = []
        self.dead: dict[int, int] = {}  # broker -> highest incarnation known to be dead; may never register again
        self.config = config
        self.refresh_config()

    def record(self, record: MetadataRecord) -> None:
        self.image.apply(record)
        self.batch.append(record)

    def take_batch(self) -> list[MetadataRecord]:
        batch, self.batch = self.batch, []
        return batch

    def refresh_config(self) -> None:
        """Broker configs changed: those set for the whole cluster count here, on top of this broker's own.

        They were checked against the own configs of another controller; where they contradict ours, ours count.
        """
        try:
            self.config = self.static_config.with_overrides(self.image.broker_configs.get("", {}))
        except ConfigError:
            self.config = self.static_config

    def new_topic_id(self, name: str) -> TopicId:
        """Unique since no two topics are created at one version of one cluster."""
        for attempt in range(256):
            text = f"{self.image.version}/{attempt}/{name}".encode()
            raw = bytearray(hashlib.blake2b(text, key=self.seed, digest_size=16).digest())
            raw[6] = raw[6] & 0x0F | 0x40
            raw[8] = raw[8] & 0x3F | 0x80
            topic_id = TopicId(bytes(raw))
            is_free = topic_id != NO_TOPIC_ID and topic_id not in self.image.topics_by_id
            if is_free and topic_id_to_str(topic_id)[0] != "-":  # shells take it for an option
                return topic_id
        raise AssertionError("256 hashes in a row were unusable")

    def can_lead(self, broker_id: int) -> bool:
        """Alive and meaning to stay."""
        broker = self.image.brokers.get(broker_id)
        return broker is not None and not broker.is_fenced and not broker.is_shutting_down

    def placeable_brokers(self) -> list[int]:
        """Those that replicas may start on: alive and meaning to stay."""
        return [broker.broker_id for broker in self.image.live_brokers() if not broker.is_shutting_down]

    def is_current(self, broker_id: int, incarnation: int) -> BrokerInfo | None:
        """The broker, when this incarnation of it is registered and alive."""
        broker = self.image.brokers.get(broker_id)
        if broker is None or broker.is_fenced or broker.incarnation != incarnation:
            return None
        return broker

    def allows_unclean(self, topic: str) -> bool:
        name = "unclean.leader.election.enable"
        own = self.image.topics[topic].configs.get(name)
        return own.strip().lower() == "true" if own is not None else self.config.get_bool(name)

    def change(
        self,
        before: PartitionInfo,
        *,
        leader: int | None = None,
        isr: tuple[int, ...] | None = None,
        replicas: tuple[int, ...] | None = None,
        adding: tuple[int, ...] | None = None,
        removing: tuple[int, ...] | None = None,
        offline: tuple[int, ...] | None = None,
        must_bump_leader_epoch: bool = False,
        must_bump_partition_epoch: bool = False,
    ) -> PartitionInfo:
        """Record the partition with what is given changed; nothing is recorded when that is no change.

        A new leader (also none) is a new leader epoch; `must_bump_leader_epoch` makes one of the same leader's.
        `must_bump_partition_epoch` records what is once more, which voids every proposal made before.
        """
        new_leader = before.leader if leader is None else leader
        new = (
            before.replicas if replicas is None else replicas,
            before.isr if isr is None else isr,
            new_leader,
            before.leader_epoch + (new_leader != before.leader or must_bump_leader_epoch),
        )
        now_offline = before.offline_replicas if offline is None else offline
        rest = (
            before.adding_replicas if adding is None else adding,
            before.removing_replicas if removing is None else removing,
            tuple(replica for replica in now_offline if replica in new[0]),
        )
        old = (before.replicas, before.isr, before.leader, before.leader_epoch)
        old_rest = (before.adding_replicas, before.removing_replicas, before.offline_replicas)
        if (new, rest) == (old, old_rest) and not must_bump_partition_epoch:
            return before
        after = PartitionRecord(before.topic, before.partition, *new, before.partition_epoch + 1, *rest)
        self.record(after)
        return after
