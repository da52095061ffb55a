"""CreateTopics, DeleteTopics and CreatePartitions: each topic stands for itself, one that is refused stops no other."""

from __future__ import annotations

import re
from collections.abc import Sequence

from machines.controller_reassign import check_replicas
from machines.controller_state import ControllerState
from machines.metadata import TopicInfo
from machines.placement import spread
from model.configs import validate_topic_configs
from model.errors import (
    InvalidPartitions,
    InvalidReplicaAssignment,
    InvalidReplicationFactor,
    InvalidRequest,
    InvalidTopic,
    KafkaError,
    PolicyViolation,
    ReassignmentInProgress,
    TopicAlreadyExists,
    TopicDeletionDisabled,
    UnknownTopicId,
    UnknownTopicOrPartition,
)
from protocol.cluster_admin import (
    CreatedTopic,
    CreatePartitions,
    CreatePartitionsReply,
    CreateTopics,
    CreateTopicsReply,
    DeletedTopic,
    DeleteTopics,
    DeleteTopicsReply,
    MorePartitions,
    NewTopic,
    TopicResult,
    TopicToDelete,
)
from protocol.metadata_records import TOPIC_RESOURCE, ConfigRecord, PartitionRecord, TopicRecord, TopicRemoved

MAX_NAME_LENGTH = 249
MAX_PARTITIONS_PER_REQUEST = 10_000
"""As Kafka's controller has it; a bound on what one request can make us hold."""

_LEGAL_NAME = re.compile(r"[a-zA-Z0-9._-]+")


def create_topics(state: ControllerState, request: CreateTopics) -> CreateTopicsReply:
    results: list[CreatedTopic] = []
    asked = [topic.name for topic in request.topics]
    repeated = {name for name in asked if asked.count(name) > 1} if len(set(asked)) < len(asked) else set()
    taken = {_folded(name): name for name in state.image.topics}
    room = MAX_PARTITIONS_PER_REQUEST
    for topic in request.topics:
        try:
            if topic.name in repeated:
                raise InvalidRequest(f"topic {topic.name} appears more than once in the request")
            check_name(topic.name)
            if topic.name in state.image.topics:
                raise TopicAlreadyExists(f"Topic '{topic.name}' already exists.")
            clash = taken.get(_folded(topic.name))
            if clash is not None:
                raise InvalidTopic(f"{topic.name} and the existing {clash} differ only in '.' and '_'")
            configs = {name: "" if value is None else value for name, value in topic.configs.items()}
            validate_topic_configs(topic.configs)
            replicas = _replicas_of_new(state, topic, room)
            room -= len(replicas)
            if request.validate_only:
                results.append(_created(topic.name, bytes(16), replicas, configs))
                continue
            topic_id = state.new_topic_id(topic.name)
            state.record(TopicRecord(topic.name, topic_id))
            for name, value in configs.items():
                state.record(ConfigRecord(TOPIC_RESOURCE, topic.name, name, value))
            _add_partitions(state, topic.name, 0, replicas)
            taken[_folded(topic.name)] = topic.name
            results.append(_created(topic.name, topic_id, replicas, configs))
        except KafkaError as refusal:
            results.append(CreatedTopic(topic.name, int(refusal.code), refusal.message))
    return CreateTopicsReply(request.correlation_id, results)


def check_name(name: str) -> None:
    """Raises InvalidTopic when no topic may be called so."""
    if not name:
        raise InvalidTopic("the name is empty")
    if name in (".", ".."):
        raise InvalidTopic(f"'{name}' can't be a directory's name")
    if len(name) > MAX_NAME_LENGTH:
        raise InvalidTopic(f"the name has {len(name)} characters, at most {MAX_NAME_LENGTH} are possible")
    if _LEGAL_NAME.fullmatch(name) is None:
        raise InvalidTopic(f"{name!r}: only ASCII letters, digits, '.', '_' and '-' are possible")


def delete_topics(state: ControllerState, request: DeleteTopics) -> DeleteTopicsReply:
    results: list[DeletedTopic] = []
    for asked in request.topics:
        try:
            topic = _find(state, asked)
            state.record(TopicRemoved(topic.name, topic.topic_id))
            results.append(DeletedTopic(topic.name, topic.topic_id))
        except KafkaError as refusal:
            results.append(DeletedTopic(asked.name, asked.topic_id, int(refusal.code), refusal.message))
    return DeleteTopicsReply(request.correlation_id, results)


def create_partitions(state: ControllerState, request: CreatePartitions) -> CreatePartitionsReply:
    results: list[TopicResult] = []
    room = MAX_PARTITIONS_PER_REQUEST
    for asked in request.topics:
        try:
            topic = state.image.topics.get(asked.name)
            if topic is None:
                raise UnknownTopicOrPartition(f"there is no topic {asked.name}")
            replicas = _replicas_of_more(state, topic, asked, room)
            room -= len(replicas)
            if not request.validate_only:
                _add_partitions(state, asked.name, len(topic.partitions), replicas)
            results.append(TopicResult(asked.name))
        except KafkaError as refusal:
            results.append(TopicResult(asked.name, int(refusal.code), refusal.message))
    return CreatePartitionsReply(request.correlation_id, results)


def _find(state: ControllerState, asked: TopicToDelete) -> TopicInfo:
    if not state.config.get_bool("delete.topic.enable"):
        raise TopicDeletionDisabled("delete.topic.enable is false")
    if asked.name is None:
        by_id = state.image.topics_by_id.get(asked.topic_id)
        if by_id is None:
            raise UnknownTopicId("no topic has this id")
        return by_id
    topic = state.image.topics.get(asked.name)
    if topic is None:
        raise UnknownTopicOrPartition(f"there is no topic {asked.name}")
    return topic


def _replicas_of_new(state: ControllerState, topic: NewTopic, room: int) -> list[tuple[int, ...]]:
    if topic.assignments:
        if topic.num_partitions != -1 or topic.replication_factor != -1:
            raise InvalidRequest("with assignments, the number of partitions and the replication factor must be -1")
        if sorted(topic.assignments) != list(range(len(topic.assignments))):
            raise InvalidReplicaAssignment("the assigned partitions must be 0, 1, 2 … without a hole")
        assigned = [tuple(topic.assignments[partition]) for partition in range(len(topic.assignments))]
        return _checked(state, assigned, len(assigned[0]))
    partitions, factor = topic.num_partitions, topic.replication_factor
    if partitions == -1:
        partitions = state.config.get_int("num.partitions")
    if factor == -1:
        factor = state.config.get_int("default.replication.factor")
    if partitions <= 0:
        raise InvalidPartitions("a topic needs at least one partition, or -1 for the default")
    return _placed(state, partitions, factor, room)


def _replicas_of_more(
    state: ControllerState, topic: TopicInfo, asked: MorePartitions, room: int
) -> list[tuple[int, ...]]:
    existing = len(topic.partitions)
    if any(partition.adding_replicas or partition.removing_replicas for partition in topic.partitions.values()):
        raise ReassignmentInProgress(f"replicas of topic {topic.name} are on the move")
    if asked.count == existing:
        raise InvalidPartitions(f"Topic already has {existing} partition(s).")
    if asked.count < existing:
        raise InvalidPartitions(f"the topic has {existing} partitions and can't shrink to {asked.count}")
    added = asked.count - existing
    factor = len(topic.partitions[0].replicas)
    if asked.assignments is None:
        return _placed(state, added, factor, room)
    if len(asked.assignments) != added:
        raise InvalidReplicaAssignment(f"{added} partitions to add, but {len(asked.assignments)} assignments")
    return _checked(state, [tuple(replicas) for replicas in asked.assignments], factor)


def _placed(state: ControllerState, partitions: int, factor: int, room: int) -> list[tuple[int, ...]]:
    if partitions > room:
        raise PolicyViolation(f"one request may create at most {MAX_PARTITIONS_PER_REQUEST} partitions")
    if factor <= 0:
        raise InvalidReplicationFactor("the replication factor must be at least 1, or -1 for the default")
    brokers, registered = state.placeable_brokers(), sorted(state.image.brokers)
    if factor > len(registered):
        raise InvalidReplicationFactor(
            f"replication factor {factor} needs more brokers than the {len(registered)} registered"
        )
    if not brokers:
        raise InvalidReplicationFactor("all brokers are fenced or shutting down")
    fenced = [broker for broker in registered if broker not in brokers]
    return spread(brokers, partitions, factor, state.image.partition_count, fenced)


def _checked(state: ControllerState, assigned: list[tuple[int, ...]], factor: int) -> list[tuple[int, ...]]:
    for partition, replicas in enumerate(assigned):
        check_replicas(state, replicas)
        if len(replicas) != factor:
            raise InvalidReplicaAssignment(f"the assignment {partition} has {len(replicas)} replicas, not {factor}")
        if not any(state.can_lead(replica) for replica in replicas):
            raise InvalidReplicaAssignment(f"none of the brokers {list(replicas)} is alive")
    return assigned


def _add_partitions(state: ControllerState, topic: str, first: int, placed: Sequence[tuple[int, ...]]) -> None:
    staying = set(state.placeable_brokers())
    for partition, replicas in enumerate(placed, first):
        isr = tuple([replica for replica in replicas if replica in staying])
        state.record(PartitionRecord(topic, partition, replicas, isr, isr[0], 0, 0))


def _created(name: str, topic_id: bytes, replicas: list[tuple[int, ...]], configs: dict[str, str]) -> CreatedTopic:
    return CreatedTopic(name, 0, None, topic_id, len(replicas), len(replicas[0]), configs)


def _folded(name: str) -> str:
    return name.replace(".", "_")
