"""confluent-kafka (librdkafka): what goes in comes out, with every codec, acks mode and way to start reading."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_END,
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from odradek import Cluster

pytestmark = pytest.mark.compat


def create(cluster: Cluster, topic: str, partitions: int = 1, **config: str) -> None:
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    dotted = {name.replace("_", "."): value for name, value in config.items()}
    admin.create_topics([NewTopic(topic, partitions, 3, config=dotted)])[topic].result(20)


def produce(cluster: Cluster, topic: str, values: list[bytes], *, partition: int = 0, **conf: object) -> list[Message]:
    delivered: list[Message] = []

    def on_delivery(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        delivered.append(message)

    producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 5, **conf})
    for value in values:
        producer.produce(topic, value, key=b"k", partition=partition, on_delivery=on_delivery)
    assert producer.flush(30) == 0
    return delivered


def consume(cluster: Cluster, at: list[TopicPartition], count: int, **conf: object) -> list[Message]:
    consumer = Consumer(
        {"bootstrap.servers": cluster.bootstrap, "group.id": "reader", "enable.auto.commit": False, **conf}
    )
    consumer.assign(at)
    messages: list[Message] = []
    deadline = time.monotonic() + 30
    while len(messages) < count and time.monotonic() < deadline:
        messages += consumer.consume(count - len(messages), timeout=0.5)
    consumer.close()
    assert [m.error() for m in messages if m.error()] == []
    return messages


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
@pytest.mark.parametrize("acks", ["0", "1", "all"])
def test_every_codec_and_acks_mode_round_trips(cluster: Cluster, topic: str, codec: str, acks: str) -> None:
    create(cluster, topic)
    values = [f"value {i} ".encode() * 20 for i in range(200)]
    produce(cluster, topic, values, **{"acks": acks, "compression.type": codec})
    messages = consume(cluster, [TopicPartition(topic, 0, OFFSET_BEGINNING)], len(values))
    assert [m.value() for m in messages] == values
    assert [m.offset() for m in messages] == list(range(len(values)))


def test_an_idempotent_producer_writes_each_record_once(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    values = [str(i).encode() for i in range(5000)]
    delivered = produce(cluster, topic, values, **{"enable.idempotence": True, "batch.num.messages": 100})
    assert [m.offset() for m in delivered] == list(range(5000))
    messages = consume(cluster, [TopicPartition(topic, 0, OFFSET_BEGINNING)], 5000)
    assert [m.value() for m in messages] == values


def test_keys_headers_and_timestamps_survive(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    producer = Producer({"bootstrap.servers": cluster.bootstrap})
    producer.produce(topic, None, key=b"tombstone", headers=[("a", b"1"), ("a", None)], timestamp=1_700_000_000_123)
    producer.produce(topic, b"", key=b"", timestamp=1_700_000_000_124)
    assert producer.flush(30) == 0
    tombstone, empty = consume(cluster, [TopicPartition(topic, 0, OFFSET_BEGINNING)], 2)
    assert (tombstone.key(), tombstone.value()) == (b"tombstone", None)
    assert tombstone.headers() == [("a", b"1"), ("a", None)]
    assert tombstone.timestamp() == (TIMESTAMP_CREATE_TIME, 1_700_000_000_123)
    assert (empty.key(), empty.value()) == (b"", b"")


def test_log_append_time_is_the_brokers_clock(cluster: Cluster, topic: str) -> None:
    create(cluster, topic, message_timestamp_type="LogAppendTime")
    before_ms = time.time() * 1000
    produce(cluster, topic, [b"x"])
    (message,) = consume(cluster, [TopicPartition(topic, 0, OFFSET_BEGINNING)], 1)
    kind, stamp_ms = message.timestamp()
    assert kind == TIMESTAMP_LOG_APPEND_TIME
    assert before_ms - 5 <= stamp_ms <= time.time() * 1000 + 5


@pytest.mark.parametrize(
    ("start", "expected"),
    [(lambda t: TopicPartition(t, 0, OFFSET_BEGINNING), 0), (lambda t: TopicPartition(t, 0, 70), 70)],
    ids=["beginning", "offset"],
)
def test_reading_starts_where_it_is_told(
    cluster: Cluster, topic: str, start: Callable[[str], TopicPartition], expected: int
) -> None:
    create(cluster, topic)
    produce(cluster, topic, [str(i).encode() for i in range(100)], **{"batch.num.messages": 9})
    messages = consume(cluster, [start(topic)], 100 - expected)
    assert [m.offset() for m in messages] == list(range(expected, 100))


def test_reading_from_a_timestamp(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    producer = Producer({"bootstrap.servers": cluster.bootstrap})
    for i in range(50):
        producer.produce(topic, str(i).encode(), timestamp=1_700_000_000_000 + i * 1000)
    assert producer.flush(30) == 0
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "reader"})
    (found,) = consumer.offsets_for_times([TopicPartition(topic, 0, 1_700_000_000_000 + 20_500)], timeout=20)
    (beyond,) = consumer.offsets_for_times([TopicPartition(topic, 0, 1_800_000_000_000)], timeout=20)
    consumer.close()
    assert found.offset == 21
    assert beyond.offset == OFFSET_END
    assert consume(cluster, [found], 1)[0].value() == b"21"


def test_watermarks_and_reading_past_the_end(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    produce(cluster, topic, [b"x"] * 10)
    conf = {"bootstrap.servers": cluster.bootstrap, "group.id": "reader", "auto.offset.reset": "error"}
    consumer = Consumer({**conf, "enable.partition.eof": True})
    assert consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=20) == (0, 10)
    consumer.assign([TopicPartition(topic, 0, 10)])
    end = consumer.poll(20)
    assert end is not None and end.error().code() == KafkaError._PARTITION_EOF
    consumer.assign([TopicPartition(topic, 0, 999)])
    beyond = consumer.poll(20)
    assert beyond is not None and beyond.error().code() == KafkaError._AUTO_OFFSET_RESET
    consumer.close()


def test_a_waiting_fetch_wakes_as_soon_as_there_is_a_record(cluster: Cluster, topic: str) -> None:
    create(cluster, topic)
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": "reader", "fetch.wait.max.ms": 20_000})
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    assert consumer.poll(0.5) is None  # its long fetch is at the broker now
    produce(cluster, topic, [b"awake"])
    message = consumer.poll(10)
    consumer.close()
    assert message is not None and message.value() == b"awake"


def test_a_record_beyond_max_message_bytes_is_refused(cluster: Cluster, topic: str) -> None:
    create(cluster, topic, max_message_bytes="10000")
    errors: list[KafkaError] = []
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "on_delivery": lambda e, m: errors.append(e)})
    for size in (20_000, 2_000):
        producer.produce(topic, bytes(size))
        assert producer.flush(30) == 0
    assert [e.code() if e else 0 for e in errors] == [KafkaError.MSG_SIZE_TOO_LARGE, 0]


def test_a_large_record_passes_when_the_limits_allow_it(cluster: Cluster, topic: str) -> None:
    create(cluster, topic, max_message_bytes="20000000")
    value = bytes(range(256)) * 40_000
    produce(cluster, topic, [value], **{"message.max.bytes": 20_000_000})
    (message,) = consume(
        cluster, [TopicPartition(topic, 0, OFFSET_BEGINNING)], 1, **{"fetch.message.max.bytes": 1_000_000}
    )
    assert message.value() == value


def test_many_partitions_keep_each_partitions_order(cluster: Cluster, topic: str) -> None:
    create(cluster, topic, partitions=12)
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "linger.ms": 5})
    for i in range(6000):
        producer.produce(topic, str(i).encode(), partition=i % 12)
        producer.poll(0)
    assert producer.flush(30) == 0
    messages = consume(cluster, [TopicPartition(topic, p, OFFSET_BEGINNING) for p in range(12)], 6000)
    for partition in range(12):
        numbers = [int(m.value()) for m in messages if m.partition() == partition]
        assert numbers == list(range(partition, 6000, 12))


def test_producing_to_an_unknown_topic_creates_it(cluster: Cluster, topic: str) -> None:
    produce(cluster, topic, [b"first"], partition=-1)
    metadata = AdminClient({"bootstrap.servers": cluster.bootstrap}).list_topics(topic, timeout=20).topics[topic]
    assert len(metadata.partitions) == 3  # num.partitions of the fixture
    assert all(len(p.replicas) == 3 for p in metadata.partitions.values())


def test_a_bad_topic_name_is_refused(cluster: Cluster) -> None:
    with pytest.raises(KafkaException) as caught:
        create(cluster, "no/slashes")
    assert caught.value.args[0].code() == KafkaError.TOPIC_EXCEPTION
