"""kafka-python 3: the client that sends the highest version of everything."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, OffsetSpec
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import TopicAlreadyExistsError

from odradek import Cluster, wait_until

pytestmark = pytest.mark.compat


@pytest.fixture
def admin(cluster: Cluster) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    yield client
    client.close()


@pytest.fixture
def the_topic(admin: KafkaAdminClient, topic: str) -> str:
    """One partition, three replicas, leader known."""
    admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 3}}, wait_for_metadata=True)
    return topic


def produce(cluster: Cluster, topic: str, values: list[bytes], **conf: object) -> None:
    producer = KafkaProducer(bootstrap_servers=cluster.bootstrap, **conf)
    sent = [producer.send(topic, value, key=b"k", timestamp_ms=1_700_000_000_000 + i) for i, value in enumerate(values)]
    producer.flush(30)
    for future in sent:
        future.get(30)
    producer.close()


def consume(consumer: KafkaConsumer, count: int) -> list[ConsumerRecord]:
    records: list[ConsumerRecord] = []
    deadline = time.monotonic() + 30
    while len(records) < count and time.monotonic() < deadline:
        for batch in consumer.poll(timeout_ms=500).values():
            records += batch
    return records


@pytest.fixture
def consumer(cluster: Cluster) -> Iterator[KafkaConsumer]:
    client = KafkaConsumer(bootstrap_servers=cluster.bootstrap, enable_auto_commit=False)
    yield client
    client.close()


@pytest.mark.parametrize("codec", [None, "gzip", "snappy", "lz4", "zstd"])
def test_every_codec_round_trips(cluster: Cluster, consumer: KafkaConsumer, the_topic: str, codec: str | None) -> None:
    values = [f"value {i} ".encode() * 20 for i in range(200)]
    produce(cluster, the_topic, values, compression_type=codec)
    partition = TopicPartition(the_topic, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    records = consume(consumer, len(values))
    assert [r.value for r in records] == values
    assert [r.offset for r in records] == list(range(len(values)))


@pytest.mark.parametrize("acks", [0, 1, "all"])
def test_every_acks_mode_is_written(cluster: Cluster, consumer: KafkaConsumer, the_topic: str, acks: int | str) -> None:
    produce(cluster, the_topic, [b"a", b"b"], acks=acks, enable_idempotence=False)
    partition = TopicPartition(the_topic, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    assert [r.value for r in consume(consumer, 2)] == [b"a", b"b"]


def test_an_idempotent_producer_is_served(cluster: Cluster, consumer: KafkaConsumer, the_topic: str) -> None:
    values = [str(i).encode() for i in range(2000)]
    produce(cluster, the_topic, values, enable_idempotence=True, acks="all", batch_size=512)
    partition = TopicPartition(the_topic, 0)
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    assert [r.value for r in consume(consumer, 2000)] == values


def test_offsets_by_position_and_time(cluster: Cluster, consumer: KafkaConsumer, the_topic: str) -> None:
    produce(cluster, the_topic, [str(i).encode() for i in range(20)])
    partition = TopicPartition(the_topic, 0)
    assert consumer.beginning_offsets([partition]) == {partition: 0}
    assert consumer.end_offsets([partition]) == {partition: 20}
    assert consumer.offsets_for_times({partition: 1_700_000_000_007})[partition].offset == 7
    assert consumer.offsets_for_times({partition: 1_800_000_000_000})[partition] is None
    consumer.assign([partition])
    consumer.seek(partition, 13)
    assert [r.offset for r in consume(consumer, 7)] == list(range(13, 20))


def test_offsets_by_spec(cluster: Cluster, admin: KafkaAdminClient, the_topic: str) -> None:
    produce(cluster, the_topic, [b"x"] * 5)
    partition = TopicPartition(the_topic, 0)
    for spec, offset in ((OffsetSpec.EARLIEST, 0), (OffsetSpec.LATEST, 5), (OffsetSpec.MAX_TIMESTAMP, 4)):
        assert admin.list_partition_offsets({partition: spec})[partition].offset == offset


def test_a_topic_lives_and_dies(admin: KafkaAdminClient, topic: str) -> None:
    admin.create_topics({topic: {"num_partitions": 2, "replication_factor": 3, "configs": {"retention.ms": "5000000"}}})
    with pytest.raises(TopicAlreadyExistsError):
        admin.create_topics({topic: {"num_partitions": 2, "replication_factor": 3}})
    (described,) = admin.describe_topics([topic])
    assert [p["partition_index"] for p in described["partitions"]] == [0, 1]
    assert all(sorted(p["isr_nodes"]) == [1, 2, 3] for p in described["partitions"])
    admin.create_partitions({topic: 4})
    wait_until(lambda: len(admin.describe_topics([topic])[0]["partitions"]) == 4, what="four partitions")
    page = admin.describe_topic_partitions([topic])
    assert [p["partition_index"] for p in page["topics"][0]["partitions"]] == [0, 1, 2, 3]
    admin.delete_topics([topic])
    wait_until(lambda: topic not in admin.list_topics(), what="the topic to be gone")


def test_a_topic_created_with_defaults(admin: KafkaAdminClient, topic: str) -> None:
    admin.create_topics([topic], wait_for_metadata=True)
    (described,) = admin.describe_topics([topic])
    assert len(described["partitions"]) == 3
    assert {len(p["replica_nodes"]) for p in described["partitions"]} == {3}


def test_configs_are_described_altered_and_reset(admin: KafkaAdminClient, the_topic: str) -> None:
    def retention() -> str:
        described = admin.describe_configs([ConfigResource("TOPIC", the_topic)], config_filter="all")
        return str(described["topic"][the_topic]["retention.ms"]["value"])

    assert retention() == "604800000"
    admin.alter_configs([ConfigResource("TOPIC", the_topic, {"retention.ms": "7000000"})])
    wait_until(lambda: retention() == "7000000", what="the altered config")
    admin.reset_configs([ConfigResource("TOPIC", the_topic, ["retention.ms"])])
    wait_until(lambda: retention() == "604800000", what="the default")
    brokers = admin.describe_configs([ConfigResource("BROKER", "2")], config_filter="all")
    assert brokers["broker"]["2"]["num.partitions"]["value"] == "3"


def test_deleted_records_are_gone(
    cluster: Cluster, admin: KafkaAdminClient, consumer: KafkaConsumer, the_topic: str
) -> None:
    produce(cluster, the_topic, [b"x"] * 10)
    partition = TopicPartition(the_topic, 0)
    assert admin.delete_records({partition: 4})[partition]["low_watermark"] == 4
    assert consumer.beginning_offsets([partition]) == {partition: 4}


def test_the_cluster_and_its_log_dirs(cluster: Cluster, admin: KafkaAdminClient, the_topic: str) -> None:
    produce(cluster, the_topic, [bytes(1000)] * 3)
    described = admin.describe_cluster()
    assert described["cluster_id"] == cluster.state()["cluster_id"]
    assert sorted(b["broker_id"] for b in described["brokers"]) == [1, 2, 3]
    for answer in admin.describe_log_dirs({the_topic: [0]}):
        (log_dir,) = answer["log_dirs"]
        assert log_dir["topics"][0]["partitions"][0]["partition_size"] > 3000


def test_a_partition_moves_to_other_brokers(cluster: Cluster, admin: KafkaAdminClient, topic: str) -> None:
    admin.create_topics({topic: {"assignments": {0: [1, 2]}}}, wait_for_metadata=True)
    produce(cluster, topic, [b"x"] * 10)
    partition = TopicPartition(topic, 0)
    assert admin.alter_partition_reassignments({partition: [3, 2]}) == {partition: None}

    def replicas() -> tuple[list[int], list[int]]:
        (described,) = admin.describe_topics([topic])[0]["partitions"]
        return described["replica_nodes"], sorted(described["isr_nodes"])

    wait_until(lambda: replicas() == ([3, 2], [2, 3]), what="the reassignment")
    assert admin.list_partition_reassignments() == {}
