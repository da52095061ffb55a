"""kafka-python 3 in classic groups: rebalances as listeners see them, ways to commit and to read, the admin's calls."""

from __future__ import annotations

import itertools
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import MemberToRemove, OffsetSpec
from kafka.consumer.fetcher import ConsumerRecord
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.coordinator.assignors.sticky.sticky_assignor import StickyPartitionAssignor
from kafka.structs import OffsetAndMetadata

from odradek import Cluster, wait_until

pytestmark = pytest.mark.compat

PARTITIONS = 4


@pytest.fixture
def group() -> str:
    return f"g-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def admin(cluster: Cluster) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    yield client
    client.close()


@pytest.fixture
def filled(cluster: Cluster, admin: KafkaAdminClient, topic: str) -> str:
    """A topic of four partitions with ten records each."""
    admin.create_topics({topic: {"num_partitions": PARTITIONS, "replication_factor": 3}}, wait_for_metadata=True)
    produce(cluster, topic, 10)
    return topic


def produce(cluster: Cluster, topic: str, count: int) -> None:
    producer = KafkaProducer(bootstrap_servers=cluster.bootstrap)
    for number in range(count):
        for partition in range(PARTITIONS):
            producer.send(topic, b"%d" % number, partition=partition)
    producer.flush(30)
    producer.close()


class Listener(ConsumerRebalanceListener):
    """Writes down, in order, what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, list[int]]] = []

    def on_partitions_revoked(self, revoked: Any) -> None:
        self.events.append(("revoke", sorted(p.partition for p in revoked)))

    def on_partitions_assigned(self, assigned: Any) -> None:
        self.events.append(("assign", sorted(p.partition for p in assigned)))


class Member:
    def __init__(self, cluster: Cluster, group: str, topic: str, **conf: Any) -> None:
        self.listener = Listener()
        settings: dict[str, Any] = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
        settings |= {"heartbeat_interval_ms": 200, "session_timeout_ms": 6_000} | conf
        self.consumer = KafkaConsumer(bootstrap_servers=cluster.bootstrap, group_id=group, **settings)
        self.consumer.subscribe([topic], listener=self.listener)

    @property
    def owned(self) -> list[int]:
        return sorted(p.partition for p in self.consumer.assignment())

    def read(self, count: int) -> list[ConsumerRecord]:
        records: list[ConsumerRecord] = []
        deadline = time.monotonic() + 30
        while len(records) < count and time.monotonic() < deadline:
            for batch in self.consumer.poll(timeout_ms=300, max_records=count - len(records)).values():
                records += batch
        return records


def settle(*members: Member) -> None:
    """Poll them all until they own every partition, each its share.

    Side by side and without haste: a poll that times out between the answer to its SyncGroup and what is to be done
    with it forgets its assignment.
    """

    def settled() -> bool:
        with ThreadPoolExecutor(len(members)) as threads:
            list(threads.map(lambda member: member.consumer.poll(timeout_ms=1_000, max_records=1), members))
        owned = [member.owned for member in members]
        share = PARTITIONS // len(members)
        return sorted(itertools.chain(*owned)) == list(range(PARTITIONS)) and min(map(len, owned)) == share

    wait_until(settled, timeout_s=40, what="a balanced group", every_s=0)


@pytest.fixture
def members(cluster: Cluster, group: str, filled: str) -> Iterator[Callable[..., Member]]:
    made: list[Member] = []

    def make(**conf: Any) -> Member:
        made.append(Member(cluster, group, filled, **conf))
        return made[-1]

    yield make
    for member in made:
        member.consumer.close(autocommit=False, timeout_ms=5_000)


def committed(admin: KafkaAdminClient, group: str) -> dict[int, int]:
    return {p.partition: row.offset for p, row in admin.list_group_offsets({group: None})[group].items()}


ALL_READ = dict.fromkeys(range(PARTITIONS), 10)


@pytest.mark.parametrize("assignor", [RangePartitionAssignor, StickyPartitionAssignor])
def test_an_eager_rebalance_revokes_all_before_it_assigns_anew(
    members: Callable[..., Member], assignor: type[Any]
) -> None:
    first = members(partition_assignment_strategy=[assignor])
    settle(first)
    second = members(partition_assignment_strategy=[assignor])
    settle(first, second)
    told = [row for row in first.listener.events if row[1]]
    assert told == [("assign", [0, 1, 2, 3]), ("revoke", [0, 1, 2, 3]), ("assign", first.owned)]
    assert [row for row in second.listener.events if row[1]] == [("assign", second.owned)]


def test_a_cooperative_rebalance_takes_only_what_moves(members: Callable[..., Member]) -> None:
    first = members(partition_assignment_strategy=[CooperativeStickyAssignor])
    settle(first)
    second = members(partition_assignment_strategy=[CooperativeStickyAssignor])
    settle(first, second)
    told = [row for row in first.listener.events if row[1]]
    assert told == [("assign", [0, 1, 2, 3]), ("revoke", second.owned)]
    assert [row for row in second.listener.events if row[1]] == [("assign", second.owned)]


def test_a_member_that_leaves_hands_over_what_it_had(members: Callable[..., Member]) -> None:
    first = members()
    settle(first)
    second = members()
    settle(first, second)
    second.consumer.close(autocommit=False)
    settle(first)


def test_auto_commit_goes_on_where_it_was(
    cluster: Cluster, admin: KafkaAdminClient, group: str, filled: str, members: Callable[..., Member]
) -> None:
    member = members(enable_auto_commit=True, auto_commit_interval_ms=200)
    assert len(member.read(40)) == 40

    def is_committed() -> bool:
        member.consumer.poll(timeout_ms=50)
        return committed(admin, group) == ALL_READ

    wait_until(is_committed, what="the automatic commit")
    member.consumer.close()
    produce(cluster, filled, 1)
    assert [r.offset for r in members().read(PARTITIONS)] == [10] * PARTITIONS


def test_sync_and_async_commits(
    admin: KafkaAdminClient, group: str, filled: str, members: Callable[..., Member]
) -> None:
    member = members()
    member.read(40)
    partition = TopicPartition(filled, 0)
    member.consumer.commit({partition: OffsetAndMetadata(4, "four", -1)})
    assert committed(admin, group) == {0: 4}
    assert member.consumer.committed(partition, metadata=True).metadata == "four"
    outcomes: list[Any] = []
    member.consumer.commit_async(
        {partition: OffsetAndMetadata(5, "", -1)}, callback=lambda offsets, outcome: outcomes.append(outcome)
    )

    def called_back() -> bool:
        member.consumer.poll(timeout_ms=50)
        return bool(outcomes)

    wait_until(called_back, what="the callback")
    assert not isinstance(outcomes[0], Exception)
    assert committed(admin, group) == {0: 5}
    member.consumer.commit()
    assert committed(admin, group) == ALL_READ


def test_seek_goes_back(filled: str, members: Callable[..., Member]) -> None:
    member = members()
    member.read(40)
    member.consumer.seek(TopicPartition(filled, 1), 4)
    assert [(r.partition, r.offset) for r in member.read(6)] == [(1, offset) for offset in range(4, 10)]


def test_paused_partitions_rest(cluster: Cluster, filled: str, members: Callable[..., Member]) -> None:
    """That they go on after it is left to other clients: this one may park an empty answer and wait for ever."""
    member = members()
    member.read(40)
    partitions = [TopicPartition(filled, number) for number in range(PARTITIONS)]
    member.consumer.pause(*partitions[:2])
    produce(cluster, filled, 1)
    assert sorted(r.partition for r in member.read(2)) == [2, 3]
    assert not member.consumer.poll(timeout_ms=300)
    member.consumer.resume(*partitions[:2])
    assert not member.consumer.paused()


def test_a_static_member_comes_back_without_a_rebalance(members: Callable[..., Member]) -> None:
    first = members(group_instance_id="one", session_timeout_ms=20_000)
    settle(first)
    second = members(group_instance_id="two", session_timeout_ms=20_000)
    settle(first, second)
    owned, events = second.owned, list(first.listener.events)
    second.consumer.close(autocommit=False)
    again = members(group_instance_id="two", session_timeout_ms=20_000)

    def is_back() -> bool:
        again.consumer.poll(timeout_ms=1_000)
        return again.owned == owned

    wait_until(is_back, what="its partitions")
    first.consumer.poll(timeout_ms=500)
    assert first.listener.events == events


def test_an_operator_puts_a_static_member_out(
    admin: KafkaAdminClient, group: str, members: Callable[..., Member]
) -> None:
    settle(members(group_instance_id="one"))
    admin.remove_group_members(group, [MemberToRemove(group_instance_id="one")])
    wait_until(lambda: not admin.describe_groups([group])[group]["members"], what="an empty group")


def test_groups_are_listed_described_and_deleted(
    admin: KafkaAdminClient, group: str, filled: str, members: Callable[..., Member]
) -> None:
    member = members()
    settle(member)
    listed = {row["group_id"]: row for row in admin.list_groups()}
    assert (listed[group]["group_state"], listed[group]["protocol_type"]) == ("Stable", "consumer")
    assert group not in {row["group_id"] for row in admin.list_groups(states_filter=["Empty"])}
    found = admin.describe_groups([group])[group]
    assert (found["group_state"], found["protocol_data"], len(found["members"])) == ("Stable", "range", 1)
    member.consumer.commit({TopicPartition(filled, 0): OffsetAndMetadata(1, "", -1)})
    refused = admin.delete_groups([group])
    assert "NonEmptyGroup" in str(refused)
    member.consumer.close(autocommit=False)
    admin.delete_groups([group])
    assert group not in {row["group_id"] for row in admin.list_groups()}


def test_offsets_are_altered_reset_and_deleted(admin: KafkaAdminClient, group: str, filled: str) -> None:
    first, second = TopicPartition(filled, 0), TopicPartition(filled, 1)
    admin.alter_group_offsets(group, {first: OffsetAndMetadata(7, "", -1), second: OffsetAndMetadata(3, "", -1)})
    assert committed(admin, group) == {0: 7, 1: 3}
    admin.reset_group_offsets(group, {first: OffsetSpec.EARLIEST, second: OffsetSpec.LATEST})
    assert committed(admin, group) == {0: 0, 1: 10}
    admin.delete_group_offsets(group, [first])
    assert committed(admin, group) == {1: 10}


def test_offsets_of_a_topic_in_use_are_not_deleted(
    admin: KafkaAdminClient, group: str, filled: str, members: Callable[..., Member]
) -> None:
    member = members()
    settle(member)
    partition = TopicPartition(filled, 0)
    member.consumer.commit({partition: OffsetAndMetadata(1, "", -1)})
    outcome = admin.delete_group_offsets(group, [partition])
    assert "GroupSubscribedToTopic" in str(outcome)
    assert committed(admin, group) == {0: 1}
