"""Our own clients, against our cluster over TCP and ZeroMQ, or against any Kafka cluster.

ODRADEK_TEST_BOOTSTRAP=host:port has the same tests run against that one.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from clients.errors import BufferFull, CommitFailed, IllegalUse, NoOffset, WokenUp
from clients.interceptors import OutgoingRecord, ProducerInterceptor
from model.coordinator_errors import NonEmptyGroup
from model.errors import MessageTooLarge, ProducerFenced, TopicAlreadyExists, UnknownTopicOrPartition
from odradek import (
    Admin,
    AsyncConsumer,
    AsyncProducer,
    Consumer,
    NewTopic,
    OffsetAndMetadata,
    Producer,
    RebalanceListener,
    TopicPartition,
)

pytestmark = pytest.mark.compat

FOREIGN = os.environ.get("ODRADEK_TEST_BOOTSTRAP", "")
REPLICAS = int(os.environ.get("ODRADEK_TEST_REPLICAS", "3" if not FOREIGN else "1"))


@pytest.fixture(params=["tcp", "zmq"])
def where(request: pytest.FixtureRequest) -> str:
    """What bootstrap.servers is."""
    if FOREIGN:
        if request.param == "zmq":
            pytest.skip("only our own brokers speak ZeroMQ")
        return FOREIGN
    cluster = request.getfixturevalue("cluster")
    return f"zmq://{cluster.data_dir}" if request.param == "zmq" else str(cluster.bootstrap)


@pytest.fixture
def admin(where: str) -> Iterator[Admin]:
    with Admin(bootstrap_servers=where) as admin:
        yield admin


@pytest.fixture
def made(admin: Admin, topic: str) -> str:
    """A topic of three partitions."""
    admin.create_topics([NewTopic(topic, 3, REPLICAS)])
    if FOREIGN:  # Kafka answers before its leaders know; what acks=0 sends until then is lost
        admin.list_offsets(dict.fromkeys(places(topic), -1))
    return topic


def places(topic: str, count: int = 3) -> list[TopicPartition]:
    return [TopicPartition(topic, number) for number in range(count)]


def a_consumer(where: str, **configs: Any) -> Consumer:
    return Consumer(
        {"bootstrap.servers": where, "auto.offset.reset": "earliest", "heartbeat.interval.ms": 300}, **configs
    )


def read(consumer: Consumer, count: int, timeout_s: float = 30.0) -> list[Any]:
    records: list[Any] = []
    deadline = time.monotonic() + timeout_s
    while len(records) < count and time.monotonic() < deadline:
        records += consumer.poll(200)
    assert len(records) == count
    return records


def read_topic(where: str, topic: str, count: int, **configs: Any) -> list[Any]:
    with a_consumer(where, **configs) as consumer:
        consumer.assign(places(topic))
        return read(consumer, count)


def until(claim: Callable[[], Any], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not claim():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# -- producing and reading ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_records_round_trip_with_all_they_carry(where: str, made: str, codec: str) -> None:
    with Producer(bootstrap_servers=where, compression_type=codec) as producer:
        metadata = producer.send(
            made, b"value" * 50, b"key", partition=1, timestamp_ms=1_700_000_000_000, headers=[("h", b"1"), ("n", None)]
        ).result(30)
        assert metadata == (made, 1, 0, 1_700_000_000_000)
        producer.send(made, None, b"tombstone", partition=1)
    first, second = read_topic(where, made, 2)
    assert (first.topic, first.partition, first.offset, first.timestamp) == (made, 1, 0, 1_700_000_000_000)
    assert (first.key, first.value, first.headers) == (b"key", b"value" * 50, [("h", b"1"), ("n", None)])
    assert (second.key, second.value, second.offset) == (b"tombstone", None, 1)


@pytest.mark.parametrize("configs", [{}, {"acks": 1}, {"acks": 0}, {"enable_idempotence": False}, {"linger_ms": 0}])
def test_many_records_arrive_once_and_in_order(where: str, made: str, configs: dict[str, Any]) -> None:
    told: list[Any] = []
    with Producer(bootstrap_servers=where, batch_size=2_000, **configs) as producer:
        for number in range(3_000):
            producer.send(made, b"%d" % number, b"%d" % (number % 7), on_delivery=lambda m, e: told.append((m, e)))
    assert len(told) == 3_000 and all(error is None for _, error in told)
    records = read_topic(where, made, 3_000)
    for partition in range(3):
        numbers = [int(record.value) for record in records if record.partition == partition]
        assert numbers == sorted(numbers)
    assert sorted(int(record.value) for record in records) == list(range(3_000))


def test_send_many(where: str, made: str) -> None:
    with Producer(bootstrap_servers=where, buffer_memory=200_000, batch_size=20_000) as producer:
        deliveries = producer.send_many(made, [b"%07d" % n for n in range(50_000)])
        assert all(delivery.result(30).offset >= 0 for delivery in deliveries)
    assert len({record.value for record in read_topic(where, made, 50_000, max_poll_records=5_000)}) == 50_000


def test_serializers_partitioner_and_interceptors(where: str, made: str) -> None:
    class Stamp(ProducerInterceptor):
        acknowledged = 0

        def on_send(self, record: OutgoingRecord) -> OutgoingRecord:
            return record._replace(headers=[*record.headers, ("seen", b"1")])

        def on_acknowledgement(self, metadata: Any, error: BaseException | None) -> None:
            self.acknowledged += 1

    stamp = Stamp()
    with Producer(
        bootstrap_servers=where,
        key_serializer=str.encode,
        value_serializer=lambda number: str(number).encode(),
        partitioner=lambda topic, key, value, partitions: len(key) % partitions,
        interceptors=[stamp],
    ) as producer:
        producer.send(made, 42, "kk")
    with a_consumer(where, key_deserializer=bytes.decode, value_deserializer=int) as consumer:
        consumer.assign(places(made))
        (record,) = read(consumer, 1)
    assert (record.partition, record.key, record.value, record.header("seen")) == (2, "kk", 42, b"1")
    assert stamp.acknowledged == 1


def test_a_full_buffer_blocks_or_raises(where: str, made: str) -> None:
    with Producer(bootstrap_servers=where, buffer_memory=50_000, linger_ms=1_000, max_block_ms=0) as impatient:
        until(lambda: _is_known(impatient, made))
        with pytest.raises(BufferFull):
            for _ in range(100_000):
                impatient.send(made, b"x" * 1_000)
    with Producer(bootstrap_servers=where, buffer_memory=50_000) as patient:
        for _ in range(1_000):
            patient.send(made, b"x" * 1_000)
        assert patient.flush(30)
        assert patient.metrics()["record-send-total"] == 1_000


def _is_known(producer: Producer, topic: str) -> bool:
    try:
        producer.send(topic, b"x")
    except UnknownTopicOrPartition:
        return False
    return True


def test_what_can_not_be_sent_says_so(where: str, made: str) -> None:
    with Producer(bootstrap_servers=where, max_block_ms=2_000) as producer:
        with pytest.raises(MessageTooLarge):
            producer.send(made, b"x" * 2_000_000)
        with pytest.raises(UnknownTopicOrPartition, match="has 3 partitions"):
            producer.send(made, b"x", partition=7)
        with pytest.raises(TypeError):
            producer.send(made, "text")
        assert producer.send(made, b"still works").result(30).offset >= 0


def test_a_batch_too_large_for_its_topic_is_split(where: str, admin: Admin, topic: str) -> None:
    admin.create_topics([NewTopic(topic, 1, REPLICAS, configs={"max.message.bytes": "5000"})])
    with Producer(bootstrap_servers=where, linger_ms=100) as producer:
        deliveries = [producer.send(topic, b"%04d" % n * 250) for n in range(40)]
        assert [delivery.result(30).offset for delivery in deliveries] == list(range(40))
        with pytest.raises(MessageTooLarge):
            producer.send(topic, b"x" * 6_000).result(30)
        assert producer.send(topic, b"after").result(30).offset == 40
    with a_consumer(where) as consumer:
        consumer.assign(places(topic, 1))
        assert [record.value[:4] for record in read(consumer, 41)][:40] == [b"%04d" % n for n in range(40)]


# -- reading -----------------------------------------------------------------------------------------------------------


def test_seeking_pausing_and_lag(where: str, made: str) -> None:
    place, other = places(made)[:2]
    with Producer(bootstrap_servers=where) as producer:
        for number in range(100):
            producer.send(made, b"%d" % number, partition=0, timestamp_ms=1_700_000_000_000 + number * 1_000)
        producer.send(made, b"other", partition=1)
    with a_consumer(where) as consumer:
        consumer.assign([place, other])
        assert consumer.beginning_offsets([place]) == {place: 0} and consumer.end_offsets([place]) == {place: 100}
        found = consumer.offsets_for_times({place: 1_700_000_030_000, other: 9_999_999_999_999})
        assert found[place] is not None and found[place].offset == 30 and found[other] is None
        consumer.pause([other])
        consumer.seek(place, 97)
        assert [record.value for record in read(consumer, 3)] == [b"97", b"98", b"99"]
        assert consumer.position(place) == 100 and consumer.lag(place) == 0
        consumer.seek_to_time(1_700_000_098_000, [place])
        assert read(consumer, 2)[0].value == b"98"
        consumer.seek_to_beginning([place])
        assert consumer.position(place) == 0
        assert consumer.poll(10_000, max_records=1)[0].value == b"0"
        consumer.seek_to_end([place])
        assert consumer.position(place) == 100
        assert consumer.paused() == {other}
        consumer.resume([other])
        assert read(consumer, 1)[0].value == b"other"
        batches = consumer.poll_batches(0)
        assert batches == {}


def test_where_reading_begins_without_an_offset(where: str, made: str) -> None:
    with Producer(bootstrap_servers=where) as producer:
        producer.send(made, b"old", partition=0).result(30)
        with a_consumer(where, auto_offset_reset="latest") as consumer:
            consumer.assign(places(made, 1))
            assert consumer.position(places(made)[0]) == 1
            producer.send(made, b"new", partition=0).result(30)
            assert read(consumer, 1)[0].value == b"new"
        with a_consumer(where, auto_offset_reset="none") as consumer:
            consumer.assign(places(made, 1))
            with pytest.raises(NoOffset):
                consumer.poll(10_000)
            consumer.seek(places(made)[0], 1)
            assert read(consumer, 1)[0].value == b"new"


def test_an_offset_out_of_range_is_reset(where: str, made: str, admin: Admin) -> None:
    with Producer(bootstrap_servers=where) as producer:
        for number in range(10):
            producer.send(made, b"%d" % number, partition=0)
    assert admin.delete_records({places(made)[0]: 6}) == {places(made)[0]: 6}
    with a_consumer(where) as consumer:
        consumer.assign(places(made, 1))
        consumer.seek(places(made)[0], 2)
        assert [record.value for record in read(consumer, 4)] == [b"6", b"7", b"8", b"9"]


def test_another_thread_wakes_a_poll(where: str, made: str) -> None:
    with a_consumer(where) as consumer:
        consumer.assign(places(made))
        threading.Timer(0.2, consumer.wakeup).start()
        began = time.monotonic()
        with pytest.raises(WokenUp):
            consumer.poll(20_000)
        assert time.monotonic() - began < 10
        assert consumer.poll(0) == []


def test_calls_in_an_order_that_makes_no_sense(where: str, made: str) -> None:
    with a_consumer(where) as consumer:
        with pytest.raises(IllegalUse, match=r"group\.id"):
            consumer.subscribe([made])
        with pytest.raises(IllegalUse, match="not assigned"):
            consumer.seek(TopicPartition(made, 0), 0)
        with pytest.raises(IllegalUse, match=r"group\.id"):
            consumer.commit({TopicPartition(made, 0): 1})
    with a_consumer(where, group_id="g") as consumer:
        consumer.subscribe([made])
        with pytest.raises(IllegalUse, match="subscribed"):
            consumer.assign(places(made))


# -- groups ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def group() -> str:
    return f"g-{uuid.uuid4().hex[:10]}"


class Log(RebalanceListener):
    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def on_partitions_assigned(self, partitions: Any) -> None:
        self.calls.append(("assigned", len(partitions)))

    def on_partitions_revoked(self, partitions: Any) -> None:
        self.calls.append(("revoked", len(partitions)))


def test_a_group_commits_and_goes_on_where_it_was(where: str, made: str, group: str) -> None:
    with Producer(bootstrap_servers=where) as producer:
        producer.send_many(made, [b"%d" % n for n in range(10)], partition=0)
    place = places(made)[0]
    with a_consumer(where, group_id=group, enable_auto_commit=False) as consumer:
        consumer.subscribe([made])
        read(consumer, 10)
        consumer.commit({place: OffsetAndMetadata(4, "note")})
        assert consumer.committed([place, places(made)[1]]) == {place: (4, "note", -1), places(made)[1]: None}
    with a_consumer(where, group_id=group, enable_auto_commit=False) as consumer:
        consumer.subscribe([made])
        assert read(consumer, 6)[0].offset == 4
        done: list[Any] = []
        consumer.commit_async(on_commit=lambda offsets, error: done.append((offsets, error)))
        until(lambda: done)
        assert done[0][0][place].offset == 10 and done[0][1] is None


def test_auto_commit_covers_what_was_polled_even_at_close(where: str, made: str, group: str, admin: Admin) -> None:
    with Producer(bootstrap_servers=where) as producer:
        producer.send_many(made, [b"x"] * 10, partition=0)
    with a_consumer(where, group_id=group) as consumer:
        consumer.subscribe([made])
        read(consumer, 10)
    assert admin.list_group_offsets(group)[places(made)[0]].offset == 10


def test_an_iteration_commits_only_what_it_yielded(where: str, made: str, group: str, admin: Admin) -> None:
    with Producer(bootstrap_servers=where) as producer:
        producer.send_many(made, [b"%d" % n for n in range(10)], partition=0)
    with a_consumer(where, group_id=group) as consumer:
        consumer.subscribe([made])
        for record in consumer:
            if record.value == b"3":
                break
        consumer.commit()
        assert consumer.committed([places(made)[0]])[places(made)[0]] == (4, "", -1)
        assert consumer.poll(5_000, 1)[0].value == b"4"


@pytest.mark.parametrize("strategy", ["range", "roundrobin", "sticky", "cooperative-sticky"])
def test_members_share_the_partitions(where: str, made: str, group: str, strategy: str) -> None:
    logs = [Log(), Log()]
    one = a_consumer(where, group_id=group, partition_assignment_strategy=strategy)
    two = a_consumer(where, group_id=group, partition_assignment_strategy=strategy)
    with one, two:
        one.subscribe([made], listener=logs[0])

        def both_have_some() -> bool:
            one.poll(20)
            two.poll(20)
            return bool(one.assignment() and two.assignment()) and len(one.assignment() | two.assignment()) == 3

        until(lambda: (one.poll(50), len(one.assignment()) == 3)[1])
        two.subscribe([made], listener=logs[1])
        until(both_have_some)
        assert one.assignment().isdisjoint(two.assignment())
        revoked = next(count for kind, count in logs[0].calls if kind == "revoked")
        assert revoked == (1 if strategy == "cooperative-sticky" else 3)
        two.close()
        until(lambda: (one.poll(50), len(one.assignment()) == 3)[1])
    assert logs[1].calls[-1][0] == "revoked"


def test_members_share_what_the_broker_assigns(where: str, made: str, group: str) -> None:
    with Producer(bootstrap_servers=where) as producer:
        producer.send_many(made, [b"%d" % n for n in range(10)], partition=0)
    with (
        a_consumer(where, group_id=group, group_protocol="consumer") as one,
        a_consumer(where, group_id=group, group_protocol="consumer") as two,
    ):
        one.subscribe([made])
        read(one, 10)
        one.commit()
        two.subscribe([made])
        until(lambda: (one.poll(50), two.poll(50), one.assignment() and two.assignment())[2])
        until(lambda: (one.poll(50), two.poll(50), len(one.assignment()) + len(two.assignment()) == 3)[2])
        assert one.assignment().isdisjoint(two.assignment())
        two.close()
        until(lambda: (one.poll(50), len(one.assignment()) == 3)[1])
        assert one.committed([places(made)[0]])[places(made)[0]].offset == 10  # type: ignore[union-attr]


def test_a_pattern_finds_topics_that_are_made_later(where: str, admin: Admin, topic: str, group: str) -> None:
    admin.create_topics([NewTopic(f"{topic}.a", 1, REPLICAS)])
    with a_consumer(where, group_id=group, metadata_max_age_ms=500) as consumer:
        consumer.subscribe(pattern=rf"{topic}\..*")
        until(lambda: (consumer.poll(50), len(consumer.assignment()) == 1)[1])
        admin.create_topics([NewTopic(f"{topic}.b", 2, REPLICAS)])
        until(lambda: (consumer.poll(50), len(consumer.assignment()) == 3)[1])


def test_a_listener_may_seek_elsewhere(where: str, made: str, group: str) -> None:
    with Producer(bootstrap_servers=where) as producer:
        producer.send_many(made, [b"%d" % n for n in range(10)], partition=0)

    class FromDatabase(RebalanceListener):
        def on_partitions_assigned(self, partitions: Any) -> None:
            for place in partitions:
                consumer.seek(place, 7 if place.partition == 0 else 0)

    with a_consumer(where, group_id=group) as consumer:
        consumer.subscribe([made], listener=FromDatabase())
        assert [record.value for record in read(consumer, 3)] == [b"7", b"8", b"9"]


def test_who_does_not_poll_leaves_and_may_come_back(where: str, made: str, group: str) -> None:
    log = Log()
    with a_consumer(where, group_id=group, max_poll_interval_ms=1_000, enable_auto_commit=False) as slow:
        slow.subscribe([made], listener=log)
        until(lambda: (slow.poll(50), slow.assignment())[1])
        with Admin(bootstrap_servers=where) as admin:
            until(lambda: admin.describe_group(group).state == "Empty")
        with pytest.raises(CommitFailed):
            slow.commit({places(made)[0]: 1})
        until(lambda: (slow.poll(50), log.calls[-1] == ("assigned", 3) and len(log.calls) >= 3)[1])
        slow.commit({places(made)[0]: 1})


def test_a_static_member_keeps_its_partitions_through_a_restart(where: str, made: str, group: str) -> None:
    other = a_consumer(where, group_id=group, group_instance_id="two")
    with other:
        log = Log()
        other.subscribe([made], listener=log)
        one = a_consumer(where, group_id=group, group_instance_id="one")
        one.subscribe([made])
        until(lambda: (one.poll(20), other.poll(20), one.assignment() and other.assignment())[2])
        until(lambda: (one.poll(20), other.poll(20), len(one.assignment()) + len(other.assignment()) == 3)[2])
        had, calls = one.assignment(), len(log.calls)
        one.close()
        with a_consumer(where, group_id=group, group_instance_id="one") as again:
            again.subscribe([made])
            until(lambda: (again.poll(20), other.poll(20), again.assignment())[2])
            assert again.assignment() == had and len(log.calls) == calls


# -- transactions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_newer", [True, False], ids=["TV2", "TV1"])
def test_transactions_commit_abort_and_fence(where: str, made: str, group: str, is_newer: bool) -> None:
    name = f"tx-{uuid.uuid4().hex[:8]}"
    with Producer(bootstrap_servers=where, transactional_id=name) as producer:
        producer.init_transactions()
        producer._core.identity.is_newer &= is_newer  # type: ignore[attr-defined]
        with pytest.raises(IllegalUse, match="begin a transaction first"):
            producer.send(made, b"outside")
        for turn in range(3):
            with producer.transaction():
                producer.send(made, b"committed %d" % turn)
                producer.send_offsets_to_transaction({places(made)[0]: turn}, _member_of(where, group))
            with pytest.raises(ZeroDivisionError), producer.transaction():
                producer.send(made, b"aborted %d" % turn)
                producer.flush()
                producer.send(made, b"never sent")
                1 / 0  # noqa: B018
        with Admin(bootstrap_servers=where) as admin:
            assert admin.list_group_offsets(group)[places(made)[0]].offset == 2
            # the answer to an abort may come before its markers are written
            until(lambda: admin.describe_transaction(name).state in ("Empty", "CompleteAbort", "CompleteCommit"))
        with Producer(bootstrap_servers=where, transactional_id=name) as successor:
            successor.init_transactions()
            with pytest.raises(ProducerFenced), producer.transaction():
                producer.send(made, b"from the grave")
            with successor.transaction():
                successor.send(made, b"committed 3")
    seen = read_topic(where, made, 4, isolation_level="read_committed")
    assert sorted(record.value for record in seen) == [b"committed %d" % n for n in range(4)]


def _member_of(where: str, group: str) -> Any:
    with Consumer(bootstrap_servers=where, group_id=group) as consumer:
        return consumer.group_metadata()


# -- admin -------------------------------------------------------------------------------------------------------------


def test_topics_and_configs(where: str, admin: Admin, topic: str) -> None:
    admin.create_topics([NewTopic(topic, 2, REPLICAS, configs={"retention.ms": "3600000"})])
    with pytest.raises(TopicAlreadyExists):
        admin.create_topics([topic])
    assert topic in admin.list_topics()
    described = admin.describe_topics([topic])[topic]
    assert len(described.partitions) == 2 and len(described.partitions[0].replicas) == REPLICAS
    assert admin.describe_topic_configs(topic)["retention.ms"].value == "3600000"
    admin.alter_topic_configs(topic, {"retention.ms": None, "cleanup.policy": "compact"})
    configs = admin.describe_topic_configs(topic)
    assert configs["retention.ms"].is_default and configs["cleanup.policy"].value == "compact"
    admin.create_partitions({topic: 5})
    until(lambda: len(admin.describe_topics([topic])[topic].partitions) == 5)
    assert any(row.partition.topic == topic for row in admin.describe_log_dirs())
    admin.elect_leaders([TopicPartition(topic, 0)])
    admin.delete_topics([topic])
    until(lambda: topic not in admin.list_topics())
    with pytest.raises(UnknownTopicOrPartition):
        admin.delete_topics([topic])


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_groups_as_an_admin_sees_them(where: str, admin: Admin, made: str, group: str, protocol: str) -> None:
    assert admin.describe_group(group).state == "Dead"
    with a_consumer(where, group_id=group, client_id="watched", group_protocol=protocol) as consumer:
        consumer.subscribe([made])
        until(lambda: (consumer.poll(50), consumer.assignment())[1])
        until(lambda: (consumer.poll(50), admin.describe_group(group).state == "Stable")[1])
        described = admin.describe_group(group)
        assert (described.kind, described.members[0].client_id) == (protocol, "watched")
        assert set(described.members[0].assignment) == set(places(made))
        with pytest.raises(NonEmptyGroup):
            admin.delete_groups([group])
    admin.alter_group_offsets(group, {places(made)[0]: 5})
    assert admin.list_group_offsets(group)[places(made)[0]].offset == 5
    admin.delete_group_offsets(group, [places(made)[0]])
    assert places(made)[0] not in admin.list_group_offsets(group)
    assert group in [row.group for row in admin.list_groups()]
    admin.delete_groups([group])
    assert group not in [row.group for row in admin.list_groups()]


# -- asyncio -----------------------------------------------------------------------------------------------------------


def test_the_asynchronous_clients(where: str, made: str, group: str) -> None:
    async def scenario() -> None:
        async with AsyncProducer(bootstrap_servers=where) as producer:
            metadata = await (await producer.send(made, b"0", partition=0))
            assert metadata.offset == 0
            for number in range(1, 500):
                await producer.send(made, b"%d" % number, partition=0)
        calls: list[str] = []

        class Listener(RebalanceListener):
            async def on_partitions_assigned(self, partitions: Any) -> None:
                calls.append("assigned")

        async with AsyncConsumer(bootstrap_servers=where, group_id=group, auto_offset_reset="earliest") as consumer:
            await consumer.subscribe([made], listener=Listener())
            seen = 0
            async with asyncio.timeout(30):
                async for record in consumer:
                    assert record.value == b"%d" % seen
                    seen += 1
                    if seen == 500:
                        break
            await consumer.commit()
            assert (await consumer.committed([places(made)[0]]))[places(made)[0]] == (500, "", -1)
            assert await consumer.end_offsets([places(made)[0]]) == {places(made)[0]: 500}
        assert calls == ["assigned"]
        name = f"tx-{uuid.uuid4().hex[:8]}"
        async with AsyncProducer(bootstrap_servers=where, transactional_id=name) as producer:
            await producer.init_transactions()
            async with producer.transaction():
                await producer.send(made, b"in a transaction", partition=1)

    asyncio.run(scenario())
    committed = read_topic(where, made, 501, isolation_level="read_committed", max_poll_records=1_000)
    assert [record.value for record in committed if record.partition == 1] == [b"in a transaction"]
