"""What a client knows of the cluster: brokers, topics, leaders. Filled by Metadata answers and leader hints.

A view never goes back: of two answers about a partition the one with the higher leader epoch stays (KIP-320), unless
the topic has been created anew. Written on the client's loop only, read from any thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clients.addresses import IPC, Address
from model.errors import ErrorCode
from model.ids import NO_TOPIC_ID

if TYPE_CHECKING:
    from protocol.k03_metadata import MetadataResponse, MetadataResponseTopic


@dataclass(slots=True)
class PartitionView:
    """`leader` is -1 while there is none."""

    partition: int
    leader: int
    leader_epoch: int
    replicas: tuple[int, ...] = ()
    isr: tuple[int, ...] = ()
    offline: tuple[int, ...] = ()


@dataclass(slots=True)
class TopicView:
    name: str
    topic_id: bytes
    is_internal: bool
    partitions: dict[int, PartitionView] = field(default_factory=dict)


class Metadata:
    """`version` grows with every answer taken in."""

    def __init__(self, *, is_zmq: bool) -> None:
        self.brokers: dict[int, Address] = {}
        self.racks: dict[int, str | None] = {}
        self.topics: dict[str, TopicView] = {}
        self.names: dict[bytes, str] = {}
        self.errors: dict[str, ErrorCode] = {}  # of topics that were asked for and can't be described
        self.controller_id = -1
        self.cluster_id: str | None = None
        self.version = 0
        self._is_zmq = is_zmq

    def leader_of(self, topic: str, partition: int) -> int:
        """-1: none, or not known."""
        view = self.topics.get(topic)
        found = view.partitions.get(partition) if view is not None else None
        return found.leader if found is not None and found.leader in self.brokers else -1

    def epoch_of(self, topic: str, partition: int) -> int:
        """The leader epoch to send along; -1 when not known."""
        view = self.topics.get(topic)
        found = view.partitions.get(partition) if view is not None else None
        return found.leader_epoch if found is not None else -1

    def topic_id_of(self, topic: str) -> bytes:
        """Sixteen zero bytes for brokers that give topics no ids."""
        view = self.topics.get(topic)
        return view.topic_id if view is not None else NO_TOPIC_ID

    def has_all_ids(self, topics: list[str]) -> bool:
        """Whether requests that name topics by id can be made for all of these."""
        return all(self.topic_id_of(topic) != NO_TOPIC_ID for topic in topics)

    def take(self, answer: MetadataResponse, *, is_full: bool) -> None:
        """Take an answer in; one about all topics also tells which are gone."""
        self.brokers = {row.node_id: self.address(row.host, row.port) for row in answer.brokers}
        self.racks = {row.node_id: row.rack for row in answer.brokers}
        self.controller_id = answer.controller_id
        self.cluster_id = answer.cluster_id
        if is_full:
            present = {row.name for row in answer.topics}
            for gone in [name for name in self.topics if name not in present]:
                self._forget(gone)
        for row in answer.topics:
            if row.name is not None:
                self._take_topic(row.name, row)
        self.version += 1

    def take_hint(self, topic: str, partition: int, leader: int, epoch: int) -> bool:
        """A leader named in an answer to Produce or Fetch (KIP-951); True when it is news."""
        view = self.topics.get(topic)
        found = view.partitions.get(partition) if view is not None else None
        if found is None or leader not in self.brokers or epoch <= found.leader_epoch:
            return False
        found.leader, found.leader_epoch = leader, epoch
        return True

    def take_broker(self, node_id: int, host: str, port: int) -> None:
        """A broker's address that came along with such a hint."""
        self.brokers[node_id] = self.address(host, port)

    def address(self, host: str, port: int) -> Address:
        return Address(host, port, self._is_zmq or host.startswith(IPC))

    def _take_topic(self, name: str, row: MetadataResponseTopic) -> None:
        error = ErrorCode(row.error_code)
        if error is not ErrorCode.NONE:
            self.errors[name] = error
            if error in (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID):
                self._forget(name)
            return
        self.errors.pop(name, None)
        before = self.topics.get(name)
        if before is not None and before.topic_id != row.topic_id:
            self._forget(name)
            before = None
        view = TopicView(name, row.topic_id, row.is_internal)
        for each in row.partitions:
            known = before.partitions.get(each.partition_index) if before is not None else None
            if known is not None and -1 < each.leader_epoch < known.leader_epoch:
                view.partitions[each.partition_index] = known
                continue
            view.partitions[each.partition_index] = PartitionView(
                each.partition_index,
                each.leader_id,
                each.leader_epoch,
                tuple(each.replica_nodes),
                tuple(each.isr_nodes),
                tuple(each.offline_replicas),
            )
        self.topics[name] = view
        if row.topic_id != NO_TOPIC_ID:
            self.names[row.topic_id] = name

    def _forget(self, name: str) -> None:
        view = self.topics.pop(name, None)
        if view is not None:
            self.names.pop(view.topic_id, None)
