"""librdkafka in groups of both protocols: rebalances as listeners see them, commits, reading, the admin's calls."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import (
    Consumer,
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from odradek import Cluster, wait_until

pytestmark = pytest.mark.compat

PARTITIONS = 4
CALLBACKS = ("error_cb", "on_commit")


@pytest.fixture
def group() -> str:
    return f"g-{uuid.uuid4().hex[:10]}"


@pytest.fixture(params=["classic", "consumer"])
def protocol(request: pytest.FixtureRequest) -> str:
    """The tests of what only one of them has name it: `classic_only`, `consumer_only`."""
    return str(request.param)


classic_only = pytest.mark.parametrize("protocol", ["classic"])
consumer_only = pytest.mark.parametrize("protocol", ["consumer"])


@pytest.fixture
def admin(cluster: Cluster) -> AdminClient:
    return AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 2})


@pytest.fixture
def filled(cluster: Cluster, admin: AdminClient, topic: str) -> str:
    """A topic of four partitions with ten records each."""
    admin.create_topics([NewTopic(topic, PARTITIONS, 3)])[topic].result(30)
    produce(cluster, topic, 10)
    return topic


def produce(cluster: Cluster, topic: str, count: int, *, first: int = 0) -> None:
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "log_level": 2})
    for number in range(first, first + count):
        for partition in range(PARTITIONS):
            producer.produce(topic, b"%d" % number, partition=partition)
    assert producer.flush(30) == 0


class Member:
    """A consumer of the group, its rebalances written down in order as the listener saw them."""

    def __init__(self, cluster: Cluster, group: str, topic: str, **conf: Any) -> None:
        self.events: list[tuple[str, list[int]]] = []
        self.consumer = Consumer(
            {
                "bootstrap.servers": cluster.bootstrap,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "log_level": 2,
                **{name if name in CALLBACKS else name.replace("_", "."): value for name, value in conf.items()},
            }
        )
        self.consumer.subscribe(
            [topic], on_assign=self._note("assign"), on_revoke=self._note("revoke"), on_lost=self._note("lost")
        )

    def _note(self, kind: str) -> Callable[[Consumer, list[TopicPartition]], None]:
        def note(_: Consumer, partitions: list[TopicPartition]) -> None:
            self.events.append((kind, sorted(p.partition for p in partitions)))

        return note

    @property
    def owned(self) -> list[int]:
        return sorted(p.partition for p in self.consumer.assignment())

    def read(self, count: int, timeout_s: float = 30) -> list[Message]:
        found: list[Message] = []
        deadline = time.monotonic() + timeout_s
        while len(found) < count and time.monotonic() < deadline:
            found += [m for m in self.consumer.consume(count - len(found), timeout=0.2) if not m.error()]
        return found

    def positions(self) -> dict[int, int]:
        return {p.partition: p.offset for p in self.consumer.position(self.consumer.assignment())}


def settle(*members: Member, timeout_s: float = 30) -> None:
    """Poll them all until they own every partition, each its share."""

    def settled() -> bool:
        for member in members:
            member.consumer.poll(0.02)
        owned = [member.owned for member in members]
        share = PARTITIONS // len(members)
        return sorted(itertools.chain(*owned)) == list(range(PARTITIONS)) and min(map(len, owned)) == share

    wait_until(settled, timeout_s=timeout_s, what="a balanced group", every_s=0)


@pytest.fixture
def members(cluster: Cluster, group: str, filled: str, protocol: str) -> Iterator[Callable[..., Member]]:
    """Makes members of one group; those that a test leaves open are closed after it."""
    made: list[Member] = []

    def make(**conf: Any) -> Member:
        made.append(Member(cluster, group, filled, **{"group_protocol": protocol, **conf}))
        return made[-1]

    yield make
    for member in made:
        member.consumer.close()


def committed(cluster: Cluster, group: str, topic: str) -> list[int]:
    reader = Consumer({"bootstrap.servers": cluster.bootstrap, "group.id": group, "log_level": 2})
    try:
        rows = reader.committed([TopicPartition(topic, p) for p in range(PARTITIONS)], timeout=30)
        return [row.offset for row in rows]
    finally:
        reader.close()


def test_a_member_alone_reads_everything_once(members: Callable[..., Member]) -> None:
    member = members()
    found = member.read(10 * PARTITIONS)
    assert sorted((m.partition(), int(m.value() or b"")) for m in found) == [
        (p, n) for p in range(PARTITIONS) for n in range(10)
    ]
    assert member.consumer.poll(0.3) is None
    assert member.events == [("assign", [0, 1, 2, 3])]


@classic_only
@pytest.mark.parametrize("strategy", ["range", "roundrobin"])
def test_an_eager_rebalance_revokes_all_before_it_assigns_anew(
    members: Callable[..., Member], strategy: str
) -> None:
    first = members(partition_assignment_strategy=strategy)
    settle(first)
    second = members(partition_assignment_strategy=strategy)
    settle(first, second)
    assert [kind for kind, _ in first.events] == ["assign", "revoke", "assign"]
    assert first.events[0][1] == first.events[1][1] == [0, 1, 2, 3]
    assert len(first.events[2][1]) == 2
    assert [kind for kind, _ in second.events] == ["assign"]
    second.consumer.close()
    settle(first)
    assert [kind for kind, _ in first.events[3:]] == ["revoke", "assign"]


def test_a_cooperative_rebalance_takes_only_what_moves(members: Callable[..., Member], protocol: str) -> None:
    how = {"partition_assignment_strategy": "cooperative-sticky"} if protocol == "classic" else {}
    first = members(**how)
    settle(first)
    second = members(**how)
    settle(first, second)
    revoked = [partitions for kind, partitions in first.events if kind == "revoke"]
    assert revoked == [second.owned]
    assert first.events[0] == ("assign", [0, 1, 2, 3])
    assert [row for row in first.events[1:] if row[0] == "assign" and row[1]] == []
    assert [row for row in second.events if row[1]] == [("assign", second.owned)]
    second.consumer.close()
    settle(first)
    assert not [row for row in first.events if row[0] == "lost"]


def test_while_partitions_move_nothing_committed_is_read_again(
    cluster: Cluster, group: str, filled: str, members: Callable[..., Member]
) -> None:
    first = members()
    seen = [(m.partition(), m.offset()) for m in first.read(15)]
    first.consumer.commit(asynchronous=False)
    second = members()
    deadline = time.monotonic() + 30
    while len(seen) < 40 and time.monotonic() < deadline:
        for member in (first, second):
            message = member.consumer.poll(0.05)
            if message is not None and not message.error():
                seen.append((message.partition(), message.offset()))
                member.consumer.commit(message=message, asynchronous=False)
    assert sorted(seen) == [(p, o) for p in range(PARTITIONS) for o in range(10)]
    assert committed(cluster, group, filled) == [10] * PARTITIONS


# -- commits -----------------------------------------------------------------------------------------------------------


def test_auto_commit_goes_on_where_it_was(
    cluster: Cluster, group: str, filled: str, members: Callable[..., Member]
) -> None:
    member = members(enable_auto_commit=True, auto_commit_interval_ms=200)
    member.read(40)
    member.consumer.poll(0)
    wait_until(lambda: committed(cluster, group, filled) == [10] * PARTITIONS, what="the automatic commit")
    member.consumer.close()
    produce(cluster, filled, 2, first=10)
    found = members(enable_auto_commit=True).read(2 * PARTITIONS)
    assert {int(m.value() or b"") for m in found} == {10, 11}


def test_closing_commits_what_was_read(
    cluster: Cluster, group: str, filled: str, members: Callable[..., Member]
) -> None:
    member = members(enable_auto_commit=True, auto_commit_interval_ms=3_600_000)
    member.read(40)
    member.consumer.close()
    assert committed(cluster, group, filled) == [10] * PARTITIONS


def test_sync_commits_of_a_message_of_offsets_and_of_everything(
    cluster: Cluster, group: str, filled: str, members: Callable[..., Member]
) -> None:
    member = members()
    found = member.read(40)
    (row,) = member.consumer.commit(message=found[0], asynchronous=False) or []
    assert (row.partition, row.offset, row.error) == (found[0].partition(), found[0].offset() + 1, None)
    member.consumer.commit(offsets=[TopicPartition(filled, 2, 5, metadata="halfway")], asynchronous=False)
    (row,) = member.consumer.committed([TopicPartition(filled, 2)], timeout=30)
    assert (row.offset, row.metadata) == (5, "halfway")
    member.consumer.commit(asynchronous=False)
    assert committed(cluster, group, filled) == [10] * PARTITIONS


def test_async_commits_call_back(cluster: Cluster, group: str, filled: str, members: Callable[..., Member]) -> None:
    outcomes: list[tuple[KafkaError | None, list[int]]] = []
    member = members(on_commit=lambda error, rows: outcomes.append((error, [row.offset for row in rows])))
    settle(member)
    for offset in (1, 2, 3):
        member.consumer.commit(offsets=[TopicPartition(filled, 0, offset)], asynchronous=True)

    def called_back() -> bool:
        member.consumer.poll(0.05)
        return len(outcomes) == 3

    wait_until(called_back, what="the callbacks", every_s=0)
    assert outcomes == [(None, [1]), (None, [2]), (None, [3])]
    assert committed(cluster, group, filled)[0] == 3


def test_stored_offsets_are_what_is_committed(
    cluster: Cluster, group: str, filled: str, members: Callable[..., Member]
) -> None:
    member = members(enable_auto_offset_store=False)
    found = member.read(40)
    member.consumer.store_offsets(next(m for m in found if (m.partition(), m.offset()) == (1, 3)))
    member.consumer.commit(asynchronous=False)
    assert committed(cluster, group, filled) == [-1001, 4, -1001, -1001]


@classic_only
def test_a_member_that_was_put_out_may_not_commit(members: Callable[..., Member], filled: str) -> None:
    slow = members(max_poll_interval_ms=6_000, session_timeout_ms=6_000)
    settle(slow)
    time.sleep(6.5)  # longer than it may stay away
    with pytest.raises(KafkaException) as caught:
        slow.consumer.commit(offsets=[TopicPartition(filled, 0, 1)], asynchronous=False)
    assert caught.value.args[0].code() in (
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError._MAX_POLL_EXCEEDED,
        KafkaError._STATE,
    )


# -- reading -----------------------------------------------------------------------------------------------------------


def test_seek_goes_back_and_forth(members: Callable[..., Member], filled: str) -> None:
    member = members()
    member.read(40)
    member.consumer.seek(TopicPartition(filled, 1, 4))
    assert [(m.partition(), m.offset()) for m in member.read(6)] == [(1, offset) for offset in range(4, 10)]


def test_paused_partitions_rest_and_resume(cluster: Cluster, members: Callable[..., Member], filled: str) -> None:
    member = members()
    member.read(40)
    member.consumer.pause([TopicPartition(filled, 0), TopicPartition(filled, 1)])
    produce(cluster, filled, 1, first=10)
    assert sorted(m.partition() or 0 for m in member.read(2)) == [2, 3]
    assert member.consumer.poll(0.3) is None
    member.consumer.resume([TopicPartition(filled, 0), TopicPartition(filled, 1)])
    assert sorted(m.partition() or 0 for m in member.read(2)) == [0, 1]


def test_a_pattern_finds_topics_that_come_later(
    cluster: Cluster, admin: AdminClient, group: str, topic: str, protocol: str
) -> None:
    how = {"topic_metadata_refresh_interval_ms": 300, "group_protocol": protocol}
    member = Member(cluster, group, f"^{topic}-.*", **how)
    try:
        for name in (f"{topic}-a", f"{topic}-b"):
            admin.create_topics([NewTopic(name, PARTITIONS, 3)])[name].result(30)
            produce(cluster, name, 1)
            assert {m.topic() for m in member.read(PARTITIONS)} == {name}
            member.consumer.commit(asynchronous=False)
    finally:
        member.consumer.close()


# -- static members ----------------------------------------------------------------------------------------------------


def test_a_static_member_that_comes_back_takes_its_partitions_up_without_a_rebalance(
    members: Callable[..., Member],
) -> None:
    first, second = members(group_instance_id="one"), members(group_instance_id="two")
    settle(first, second)
    owned, events = second.owned, list(first.events)
    second.consumer.close()
    again = members(group_instance_id="two")
    wait_until(lambda: again.consumer.poll(0.02) is None and again.owned == owned, what="its partitions", every_s=0)
    first.consumer.poll(0.5)
    assert first.events == events


@classic_only
def test_of_two_members_with_one_instance_id_the_older_is_fenced(members: Callable[..., Member]) -> None:
    errors: list[KafkaError] = []
    older = members(group_instance_id="one", error_cb=errors.append)
    settle(older)
    newer = members(group_instance_id="one")
    settle(newer)

    def is_fenced() -> bool:
        message = older.consumer.poll(0.1)
        if message is not None and message.error():
            errors.append(message.error())
        return any(error.code() in (KafkaError.FENCED_INSTANCE_ID, KafkaError._FATAL) for error in errors)

    wait_until(is_fenced, what="the fence", every_s=0)


@consumer_only
def test_of_two_members_with_one_instance_id_the_newer_has_to_wait(members: Callable[..., Member]) -> None:
    errors: list[KafkaError] = []
    older = members(group_instance_id="one")
    settle(older)
    newer = members(group_instance_id="one", error_cb=errors.append)

    def is_refused() -> bool:
        older.consumer.poll(0.02)
        message = newer.consumer.poll(0.1)
        if message is not None and message.error():
            errors.append(message.error())
        return any(error.code() in (KafkaError.UNRELEASED_INSTANCE_ID, KafkaError._FATAL) for error in errors)

    wait_until(is_refused, what="the refusal", every_s=0)
    assert older.owned == list(range(PARTITIONS))


# -- from one protocol to the other ------------------------------------------------------------------------------------


def group_type(admin: AdminClient, group: str) -> str:
    return str({row.group_id: row.type.name for row in admin.list_consumer_groups().result().valid}[group])


@classic_only
@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_members_roll_from_classic_to_consumer_and_back(
    cluster: Cluster, admin: AdminClient, group: str, filled: str, members: Callable[..., Member], strategy: str
) -> None:
    """Nobody reads anything twice on the way there and back: offsets are committed before a member goes."""
    classic = {"partition_assignment_strategy": strategy, "heartbeat_interval_ms": 200}
    consumer = {"group_protocol": "consumer"}
    pair = [members(**classic), members(**classic)]
    settle(*pair)
    assert group_type(admin, group) == "CLASSIC"
    for conf, kind in ((consumer, "CONSUMER"), (classic, "CLASSIC")):
        for place in range(2):
            pair[place].consumer.close()
            pair[place] = members(**conf)
            settle(*pair)
        assert group_type(admin, group) == kind


# -- the admin's calls -------------------------------------------------------------------------------------------------


def test_groups_are_listed_and_described(
    admin: AdminClient, group: str, filled: str, members: Callable[..., Member], protocol: str
) -> None:
    settle(members(client_id="first"), members(client_id="second"))
    listed = {row.group_id: row for row in admin.list_consumer_groups().result().valid}
    assert (listed[group].state, listed[group].type.name) == (ConsumerGroupState.STABLE, protocol.upper())
    found = admin.describe_consumer_groups([group], include_authorized_operations=True)[group].result()
    assert (found.state, found.partition_assignor, found.is_simple_consumer_group) == (
        ConsumerGroupState.STABLE,
        "range" if protocol == "classic" else "uniform",
        False,
    )
    assert sorted(member.client_id for member in found.members) == ["first", "second"]
    owned = [(p.topic, p.partition) for member in found.members for p in member.assignment.topic_partitions]
    assert sorted(owned) == [(filled, p) for p in range(PARTITIONS)]
    only_empty = admin.list_consumer_groups(states={ConsumerGroupState.EMPTY}).result().valid
    assert group not in {row.group_id for row in only_empty}


def test_offsets_are_altered_and_listed_while_nobody_is_there(admin: AdminClient, group: str, filled: str) -> None:
    wanted = [TopicPartition(filled, 0, 7), TopicPartition(filled, 1, 3)]
    altered = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, wanted)])[group].result()
    assert [row.error for row in altered.topic_partitions] == [None, None]
    listed = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result()
    assert {(row.topic, row.partition): row.offset for row in listed.topic_partitions} == {
        (filled, 0): 7,
        (filled, 1): 3,
    }


def test_offsets_of_a_group_with_members_are_not_altered(
    admin: AdminClient, group: str, filled: str, members: Callable[..., Member]
) -> None:
    settle(members())
    request = ConsumerGroupTopicPartitions(group, [TopicPartition(filled, 0, 7)])
    try:
        rows = admin.alter_consumer_group_offsets([request])[group].result().topic_partitions
        assert rows[0].error.code() == KafkaError.UNKNOWN_MEMBER_ID
    except KafkaException as error:
        assert error.args[0].code() == KafkaError.UNKNOWN_MEMBER_ID


def test_groups_are_deleted_when_nobody_is_left(
    cluster: Cluster, admin: AdminClient, group: str, filled: str, members: Callable[..., Member]
) -> None:
    member = members()
    member.read(40)
    member.consumer.commit(asynchronous=False)
    with pytest.raises(KafkaException) as caught:
        admin.delete_consumer_groups([group])[group].result()
    assert caught.value.args[0].code() == KafkaError.NON_EMPTY_GROUP
    member.consumer.close()
    assert admin.delete_consumer_groups([group])[group].result() is None
    assert committed(cluster, group, filled) == [-1001] * PARTITIONS
    with pytest.raises(KafkaException) as caught:
        admin.delete_consumer_groups([group])[group].result()
    assert caught.value.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND


def test_what_was_committed_for_a_deleted_topic_is_forgotten(
    cluster: Cluster, admin: AdminClient, group: str, filled: str, members: Callable[..., Member]
) -> None:
    member = members()
    member.read(40)
    member.consumer.commit(asynchronous=False)
    member.consumer.close()
    admin.delete_topics([filled])[filled].result(30)
    wait_until(lambda: committed(cluster, group, filled) == [-1001] * PARTITIONS, what="the offsets to go")
