"""Our consumer as a member of a group: who has which partitions, and what is committed."""

from __future__ import annotations

from typing import Any

import pytest
from own_clients import REPLICAS, a_consumer, admin, group, made, places, read, where

from clients.errors import CommitFailed
from odradek import Admin, NewTopic, OffsetAndMetadata, Producer, RebalanceListener, wait_until

__all__ = ["admin", "group", "made", "where"]

pytestmark = pytest.mark.compat


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
        wait_until(lambda: done)
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

        wait_until(lambda: (one.poll(50), len(one.assignment()) == 3)[1])
        two.subscribe([made], listener=logs[1])
        wait_until(both_have_some)
        assert one.assignment().isdisjoint(two.assignment())
        revoked = next(count for kind, count in logs[0].calls if kind == "revoked")
        assert revoked == (1 if strategy == "cooperative-sticky" else 3)
        two.close()
        wait_until(lambda: (one.poll(50), len(one.assignment()) == 3)[1])
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
        wait_until(lambda: (one.poll(50), two.poll(50), one.assignment() and two.assignment())[2])
        wait_until(lambda: (one.poll(50), two.poll(50), len(one.assignment()) + len(two.assignment()) == 3)[2])
        assert one.assignment().isdisjoint(two.assignment())
        two.close()
        wait_until(lambda: (one.poll(50), len(one.assignment()) == 3)[1])
        assert one.committed([places(made)[0]])[places(made)[0]].offset == 10  # type: ignore[union-attr]


def test_a_pattern_finds_topics_that_are_made_later(where: str, admin: Admin, topic: str, group: str) -> None:
    admin.create_topics([NewTopic(f"{topic}.a", 1, REPLICAS)])
    with a_consumer(where, group_id=group, metadata_max_age_ms=500) as consumer:
        consumer.subscribe(pattern=rf"{topic}\..*")
        wait_until(lambda: (consumer.poll(50), len(consumer.assignment()) == 1)[1])
        admin.create_topics([NewTopic(f"{topic}.b", 2, REPLICAS)])
        wait_until(lambda: (consumer.poll(50), len(consumer.assignment()) == 3)[1])


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
        wait_until(lambda: (slow.poll(50), slow.assignment())[1])
        with Admin(bootstrap_servers=where) as admin:
            wait_until(lambda: admin.describe_group(group).state == "Empty")
        with pytest.raises(CommitFailed):
            slow.commit({places(made)[0]: 1})
        wait_until(lambda: (slow.poll(50), log.calls[-1] == ("assigned", 3) and len(log.calls) >= 3)[1])
        slow.commit({places(made)[0]: 1})


def test_a_static_member_keeps_its_partitions_through_a_restart(where: str, made: str, group: str) -> None:
    other = a_consumer(where, group_id=group, group_instance_id="two")
    with other:
        log = Log()
        other.subscribe([made], listener=log)
        one = a_consumer(where, group_id=group, group_instance_id="one")
        one.subscribe([made])
        wait_until(lambda: (one.poll(20), other.poll(20), one.assignment() and other.assignment())[2])
        wait_until(lambda: (one.poll(20), other.poll(20), len(one.assignment()) + len(other.assignment()) == 3)[2])
        had, calls = one.assignment(), len(log.calls)
        one.close()
        with a_consumer(where, group_id=group, group_instance_id="one") as again:
            again.subscribe([made])
            wait_until(lambda: (again.poll(20), other.poll(20), again.assignment())[2])
            assert again.assignment() == had and len(log.calls) == calls
