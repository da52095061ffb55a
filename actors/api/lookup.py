"""Finding the replica a request means, with Kafka's errors when it isn't here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from machines.controller_topics import check_name
from model.errors import ErrorCode, InvalidTopic
from model.ids import TopicPartition

if TYPE_CHECKING:
    from actors.broker import Broker
    from actors.replica import Replica

TOPIC_IDS_IN = {0: 13, 1: 13}
"""API key → the first version that names topics by id."""


def find_replica(
    broker: Broker, name: str, topic_id: bytes, index: int, *, by_id: bool, epoch: int = -1, must_lead: bool = True
) -> tuple[ErrorCode, Replica | None]:
    """The led replica of a partition, or the error that tells the client what to do.

    With `must_lead` False a follower will do. `epoch` is the leader epoch the client believes in (-1: it does not
    say), checked as KIP-320 demands.
    """
    image = broker.image
    if by_id:
        topic = image.topics_by_id.get(topic_id)
        if topic is None:
            return ErrorCode.UNKNOWN_TOPIC_ID, None
        name = topic.name
    replica = broker.replicas.hosted.get(TopicPartition(name, index))
    if replica is None:
        if image.partition(name, index) is None:
            return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, None
        return ErrorCode.NOT_LEADER_OR_FOLLOWER, None
    if replica.is_offline:
        return ErrorCode.KAFKA_STORAGE_ERROR, None
    if must_lead and replica.leader is None:
        return ErrorCode.NOT_LEADER_OR_FOLLOWER, None
    if epoch >= 0 and epoch != replica.info.leader_epoch:
        fenced = epoch < replica.info.leader_epoch
        return (ErrorCode.FENCED_LEADER_EPOCH if fenced else ErrorCode.UNKNOWN_LEADER_EPOCH), None
    return ErrorCode.NONE, replica


def why_unknown(name: str) -> ErrorCode:
    """The error for a topic that does not exist: one that never can is told apart."""
    try:
        check_name(name)
    except InvalidTopic:
        return ErrorCode.INVALID_TOPIC_EXCEPTION
    return ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
