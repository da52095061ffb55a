"""confluent-kafka's AdminClient: topics, configs, partitions, offsets, elections and the cluster itself."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import ElectionType, KafkaError, KafkaException, Producer, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from odradek import Cluster, wait_until

pytestmark = pytest.mark.compat


@pytest.fixture
def admin(cluster: Cluster) -> AdminClient:
    return AdminClient({"bootstrap.servers": cluster.bootstrap})


def the_result(futures: dict[Any, Future[Any]]) -> Any:
    (future,) = futures.values()
    return future.result(20)


def error_code(futures: dict[Any, Future[Any]]) -> int:
    with pytest.raises(KafkaException) as caught:
        the_result(futures)
    code: int = caught.value.args[0].code()
    return code


def configs_of(admin: AdminClient, kind: ResourceType, name: str) -> dict[str, ConfigEntry]:
    entries: dict[str, ConfigEntry] = the_result(admin.describe_configs([ConfigResource(kind, name)]))
    return entries


def write(cluster: Cluster, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all"})
    for i in range(count):
        producer.produce(topic, str(i).encode(), partition=0, timestamp=1_700_000_000_000 + i)
    assert producer.flush(30) == 0


def test_a_topic_is_created_with_its_configs_described_and_deleted(admin: AdminClient, topic: str) -> None:
    new = NewTopic(topic, 4, 3, config={"retention.ms": "3600000", "min.insync.replicas": "2"})
    the_result(admin.create_topics([new]))
    assert error_code(admin.create_topics([new])) == KafkaError.TOPIC_ALREADY_EXISTS

    described = the_result(admin.describe_topics(TopicCollection([topic])))
    assert [p.id for p in described.partitions] == [0, 1, 2, 3]
    assert all(sorted(node.id for node in p.replicas) == [1, 2, 3] for p in described.partitions)
    assert {p.leader.id for p in described.partitions} == {1, 2, 3}
    assert str(described.topic_id)

    entries = configs_of(admin, ResourceType.TOPIC, topic)
    assert entries["retention.ms"].value == "3600000"
    assert entries["retention.ms"].source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
    assert entries["cleanup.policy"].is_default and entries["cleanup.policy"].value == "delete"

    the_result(admin.delete_topics([topic]))
    wait_until(lambda: topic not in admin.list_topics(timeout=20).topics, what="the topic to be gone")
    assert error_code(admin.delete_topics([topic])) == KafkaError.UNKNOWN_TOPIC_OR_PART


@pytest.mark.parametrize(
    ("new", "code"),
    [
        (lambda t: NewTopic(t, 0, 1), KafkaError.INVALID_PARTITIONS),
        (lambda t: NewTopic(t, 1, 9), KafkaError.INVALID_REPLICATION_FACTOR),
        (lambda t: NewTopic(t, 1, 1, config={"no.such.key": "1"}), KafkaError.INVALID_CONFIG),
        (lambda t: NewTopic(t, 1, 1, config={"retention.ms": "soon"}), KafkaError.INVALID_CONFIG),
        (lambda t: NewTopic(t, 1, replica_assignment=[[1, 77]]), KafkaError.INVALID_REPLICA_ASSIGNMENT),
    ],
    ids=["no partitions", "too many replicas", "unknown config", "bad config value", "unknown broker"],
)
def test_a_topic_that_cannot_be_is_refused(admin: AdminClient, topic: str, new: Any, code: int) -> None:
    assert error_code(admin.create_topics([new(topic)])) == code
    assert topic not in admin.list_topics(timeout=20).topics


def test_validate_only_creates_nothing(admin: AdminClient, topic: str) -> None:
    the_result(admin.create_topics([NewTopic(topic, 1, 3)], validate_only=True))
    assert topic not in admin.list_topics(timeout=20).topics


def test_replicas_are_placed_as_assigned(admin: AdminClient, topic: str) -> None:
    the_result(admin.create_topics([NewTopic(topic, 2, replica_assignment=[[2, 1], [3, 2]])]))
    partitions = admin.list_topics(topic, timeout=20).topics[topic].partitions
    assert {p: m.replicas for p, m in partitions.items()} == {0: [2, 1], 1: [3, 2]}
    assert {p: m.leader for p, m in partitions.items()} == {0: 2, 1: 3}


def test_topic_configs_are_altered_incrementally_and_reset(admin: AdminClient, topic: str) -> None:
    the_result(admin.create_topics([NewTopic(topic, 1, 3, config={"retention.ms": "1000000"})]))

    def alter(name: str, value: str | None, operation: AlterConfigOpType) -> dict[Any, Future[Any]]:
        entry = ConfigEntry(name, value, incremental_operation=operation)
        futures: dict[Any, Future[Any]] = admin.incremental_alter_configs(
            [ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])]
        )
        return futures

    def value(name: str) -> str:
        return str(configs_of(admin, ResourceType.TOPIC, topic)[name].value)

    the_result(alter("segment.bytes", "1048576", AlterConfigOpType.SET))
    wait_until(lambda: value("segment.bytes") == "1048576", what="the altered config")
    assert value("retention.ms") == "1000000"
    the_result(alter("cleanup.policy", "compact", AlterConfigOpType.APPEND))
    wait_until(lambda: set(value("cleanup.policy").split(",")) == {"delete", "compact"}, what="the appended config")
    the_result(alter("retention.ms", None, AlterConfigOpType.DELETE))
    wait_until(lambda: value("retention.ms") == "604800000", what="the default to be back")
    assert error_code(alter("segment.bytes", "many", AlterConfigOpType.SET)) == KafkaError.INVALID_CONFIG


def test_legacy_alter_configs_replaces_all(admin: AdminClient, topic: str) -> None:
    the_result(admin.create_topics([NewTopic(topic, 1, 3, config={"retention.ms": "1000000"})]))
    resource = ConfigResource(ResourceType.TOPIC, topic, set_config={"max.message.bytes": "50000"})
    the_result(admin.alter_configs([resource]))
    wait_until(
        lambda: configs_of(admin, ResourceType.TOPIC, topic)["max.message.bytes"].value == "50000",
        what="the altered config",
    )
    assert configs_of(admin, ResourceType.TOPIC, topic)["retention.ms"].is_default


def test_every_broker_config_is_listed_with_its_source(admin: AdminClient) -> None:
    entries = configs_of(admin, ResourceType.BROKER, "1")
    assert len(entries) > 150
    assert entries["default.replication.factor"].value == "3"
    assert entries["default.replication.factor"].source == ConfigSource.STATIC_BROKER_CONFIG.value
    assert entries["log.retention.hours"].is_default and entries["log.retention.hours"].value == "168"


def test_configs_of_an_unknown_topic(admin: AdminClient, topic: str) -> None:
    futures = admin.describe_configs([ConfigResource(ResourceType.TOPIC, topic)])
    assert error_code(futures) == KafkaError.UNKNOWN_TOPIC_OR_PART


def test_partitions_are_added_and_take_records(cluster: Cluster, admin: AdminClient, topic: str) -> None:
    the_result(admin.create_topics([NewTopic(topic, 1, 3)]))
    the_result(admin.create_partitions([NewPartitions(topic, 5)]))
    wait_until(lambda: len(admin.list_topics(topic, timeout=20).topics[topic].partitions) == 5, what="5 partitions")
    assert error_code(admin.create_partitions([NewPartitions(topic, 2)])) == KafkaError.INVALID_PARTITIONS
    delivered: list[int] = []
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all"})
    producer.produce(topic, b"x", partition=4, on_delivery=lambda e, m: delivered.append(e.code() if e else 0))
    assert producer.flush(30) == 0
    assert delivered == [0]


def test_offsets_are_listed_by_every_spec(cluster: Cluster, admin: AdminClient, topic: str) -> None:
    the_result(admin.create_topics([NewTopic(topic, 1, 3)]))
    write(cluster, topic, 10)

    def offset(spec: OffsetSpec) -> int:
        return int(the_result(admin.list_offsets({TopicPartition(topic, 0): spec})).offset)

    assert offset(OffsetSpec.earliest()) == 0
    assert offset(OffsetSpec.latest()) == 10
    assert offset(OffsetSpec.for_timestamp(1_700_000_000_004)) == 4
    assert offset(OffsetSpec.max_timestamp()) == 9


def test_deleted_records_move_the_log_start(cluster: Cluster, admin: AdminClient, topic: str) -> None:
    the_result(admin.create_topics([NewTopic(topic, 1, 3)]))
    write(cluster, topic, 10)
    assert the_result(admin.delete_records([TopicPartition(topic, 0, 6)])).low_watermark == 6
    earliest = the_result(admin.list_offsets({TopicPartition(topic, 0): OffsetSpec.earliest()}))
    assert earliest.offset == 6
    assert error_code(admin.delete_records([TopicPartition(topic, 0, 99)])) == KafkaError.OFFSET_OUT_OF_RANGE


def test_the_cluster_describes_itself(cluster: Cluster, admin: AdminClient) -> None:
    described = admin.describe_cluster().result(20)
    assert described.cluster_id == cluster.state()["cluster_id"]
    assert sorted(node.id for node in described.nodes) == [1, 2, 3]
    assert described.controller.id in (1, 2, 3)
    assert {f"{node.host}:{node.port}" for node in described.nodes} == set(cluster.bootstrap.split(","))


def test_preferred_leaders_are_elected_on_request(admin: AdminClient, topic: str) -> None:
    the_result(admin.create_topics([NewTopic(topic, 1, 3)]))
    partition = TopicPartition(topic, 0)
    outcome = admin.elect_leaders(ElectionType.PREFERRED, [partition]).result(20)
    assert outcome[partition] is None or outcome[partition].code() == KafkaError.ELECTION_NOT_NEEDED
