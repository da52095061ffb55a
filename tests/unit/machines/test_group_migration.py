"""Groups that go from the classic protocol to KIP-848 and back with members in them."""

from __future__ import annotations

from typing import Any

from consumer_groups import Consumer, ConsumerGroupUnderTest, Topics, durable_consumer, settle

from machines.group_events import Recall
from model.error_codes import ErrorCode
from protocol.consumer_protocol import (
    AssignedTopic,
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    OwnedTopic,
)
from protocol.k11_join_group import JoinGroupRequest, JoinGroupRequestProtocol
from protocol.version_prefix import decode_with_version, encode_with_version


class ClassicConsumer:
    """A consumer of the classic protocol that gives everything away before it joins, or (cooperative) what it must."""

    def __init__(self, g: ConsumerGroupUnderTest, *, cooperative: bool = False, instance: str | None = None) -> None:
        self.g = g
        self.cooperative = cooperative
        self.instance = instance
        self.member_id = ""
        self.generation = -1
        self.owned: set[int] = set()

    def join(self) -> Any:
        """Joins until it is let in; returns the answer, None while it waits for others."""
        if not self.cooperative:
            self.owned = set()
        while True:
            owned = [OwnedTopic(topic="t", partitions=sorted(self.owned))] if self.owned else []
            subscription = ConsumerProtocolSubscription(topics=["t"], owned_partitions=owned)
            metadata = encode_with_version(subscription, 1 if self.cooperative else 0)
            name = "cooperative-sticky" if self.cooperative else "range"
            body = JoinGroupRequest(
                group_id="g",
                session_timeout_ms=10_000,
                rebalance_timeout_ms=30_000,
                member_id=self.member_id,
                group_instance_id=self.instance,
                protocol_type="consumer",
                protocols=[JoinGroupRequestProtocol(name=name, metadata=metadata)],
            )
            answer = self.g.answers.get(self.g.send(body, 9))
            if answer is None:
                return None
            self.member_id = answer.member_id or self.member_id
            if answer.error_code != ErrorCode.MEMBER_ID_REQUIRED:
                self.generation = answer.generation_id
                return answer

    def sync(self, assignments: dict[str, bytes] | None = None) -> ErrorCode:
        token = self.g.sync(self.member_id, self.generation, assignments, self.instance)
        answer = self.g.answers[token]
        if not answer.error_code:
            rows = decode_with_version(ConsumerProtocolAssignment, answer.assignment).assigned_partitions
            self.owned = {number for row in rows for number in row.partitions}
        return ErrorCode(answer.error_code)

    def heartbeat(self) -> ErrorCode:
        return self.g.heartbeat(self.member_id, self.generation, self.instance)

    def live(self) -> None:
        """One round of what it does in a KIP-848 group."""
        error = self.heartbeat()
        if error is ErrorCode.NONE:
            return
        assert error is ErrorCode.REBALANCE_IN_PROGRESS, error
        before = set(self.owned)
        self.join()
        if self.sync() is ErrorCode.NONE and self.cooperative and before - self.owned:
            self.owned &= before


def all_of_t(*numbers: int) -> bytes:
    rows = [AssignedTopic(topic="t", partitions=list(numbers))]
    return encode_with_version(ConsumerProtocolAssignment(assigned_partitions=rows), 0)


def a_classic_group(cooperative: bool = False, **config: Any) -> tuple[ConsumerGroupUnderTest, ClassicConsumer]:
    g = ConsumerGroupUnderTest(**config)
    old = ClassicConsumer(g, cooperative=cooperative)
    old.join()
    old.sync({old.member_id: all_of_t(0, 1, 2, 3)})
    assert old.owned == {0, 1, 2, 3}
    return g, old


def live_together(old: ClassicConsumer, new: Consumer, rounds: int = 6) -> None:
    for _ in range(rounds):
        old.live()
        new.beat()


def test_the_first_member_of_the_new_protocol_turns_the_group_over():
    g, old = a_classic_group()
    new = Consumer(g, "new")
    new.beat()
    assert Recall() in g.effects
    assert (g.group.group_type, g.group.state) == ("consumer", "Reconciling")
    assert old.heartbeat() is ErrorCode.REBALANCE_IN_PROGRESS
    live_together(old, new)
    assert (len(old.owned), len(new.owned)) == (2, 2)
    assert old.owned | {number for _, number in new.owned} == {0, 1, 2, 3}
    assert g.group.state == "Stable"


def test_a_cooperative_member_keeps_what_it_may():
    g, old = a_classic_group(cooperative=True)
    new = Consumer(g, "new")
    new.beat()
    live_together(old, new)
    assert (len(old.owned), len(new.owned)) == (2, 2)
    assert g.group.state == "Stable"


def test_commits_of_both_go_on():
    g, old = a_classic_group()
    assert g.commit(old.member_id, old.generation, 1) is ErrorCode.NONE
    new = Consumer(g, "new")
    new.beat()
    assert g.commit(old.member_id, old.generation, 2) is ErrorCode.NONE
    assert g.commit("new", new.epoch, 3) is ErrorCode.NONE
    assert g.commit(old.member_id, old.generation + 5, 4) is ErrorCode.ILLEGAL_GENERATION
    assert g.committed() == 3


def test_when_the_last_of_the_new_protocol_leaves_the_group_is_classic_again():
    g, old = a_classic_group()
    new = Consumer(g, "new")
    new.beat()
    live_together(old, new)
    new.leave()
    assert (g.group.group_type, g.group.state) == ("classic", "PreparingRebalance")
    assert old.heartbeat() is ErrorCode.REBALANCE_IN_PROGRESS
    assert old.join().leader == old.member_id
    old.sync({old.member_id: all_of_t(0, 1, 2, 3)})
    assert g.group.state == "Stable"


def test_or_when_its_session_ends():
    g, old = a_classic_group(consumer_session_timeout_ms=8_000)
    new = Consumer(g, "new")
    new.beat()
    live_together(old, new)
    g.wait(5_000)
    old.live()
    g.wait(5_000)
    assert g.group.group_type == "classic"
    assert list(g.group.classic.members) == [old.member_id]


def test_who_waits_in_a_classic_rebalance_is_told_to_begin_anew():
    g, _old = a_classic_group()
    other = ClassicConsumer(g)
    assert other.join() is None
    waiting = max(g.answers) + 1
    Consumer(g, "new").beat()
    assert g.answers[waiting].error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert g.group.group_type == "consumer"


def test_a_classic_member_that_joins_later_is_taken_in():
    g = ConsumerGroupUnderTest()
    new = Consumer(g, "new")
    new.beat()
    old = ClassicConsumer(g)
    joined = old.join()
    assert (joined.error_code, joined.leader, joined.protocol_name) == (0, "", "range")
    assert old.sync() is ErrorCode.NONE and old.owned == set()
    live_together(old, new)
    assert (len(old.owned), len(new.owned)) == (2, 2)


def test_a_classic_member_that_does_not_come_back_to_join_is_out():
    g, old = a_classic_group()
    new = Consumer(g, "new")
    new.beat()
    for _ in range(12):
        g.wait(4_000)
        if old.heartbeat() is ErrorCode.UNKNOWN_MEMBER_ID:
            break
        new.beat()
    settle(new)
    assert new.owned == {("t", number) for number in range(4)}


def test_a_static_member_may_come_back_with_the_other_protocol():
    g = ConsumerGroupUnderTest()
    old = ClassicConsumer(g, instance="one")
    old.join()
    old.sync({old.member_id: all_of_t(0, 1, 2, 3)})
    new = Consumer(g, "new", instance="one")
    new.beat()
    settle(new)
    assert list(g.group.consumer.members) == ["new"]
    assert new.owned == {("t", number) for number in range(4)}
    new.leave(-2)
    again = ClassicConsumer(g, instance="one")
    again.join()
    assert g.group.group_type == "classic"


def test_where_the_policy_forbids_it_the_newcomer_is_refused():
    g, _ = a_classic_group(may_upgrade=False)
    assert Consumer(g, "new").beat().error_code == ErrorCode.GROUP_ID_NOT_FOUND
    assert g.group.group_type == "classic"


def test_where_the_policy_forbids_it_the_group_stays_what_it_is():
    g, old = a_classic_group(may_downgrade=False)
    new = Consumer(g, "new")
    new.beat()
    live_together(old, new)
    new.leave()
    assert g.group.group_type == "consumer"
    old.live()
    old.live()
    assert old.owned == {0, 1, 2, 3}


def test_a_group_of_another_kind_than_consumers_is_left_alone():
    g = ConsumerGroupUnderTest()
    g.answers[g.join(g.answers[g.join(protocol_type="connect")].member_id, protocol_type="connect")]
    assert Consumer(g, "new").beat().error_code == ErrorCode.GROUP_ID_NOT_FOUND


def test_an_empty_group_takes_the_kind_of_whoever_comes():
    g, old = a_classic_group()
    g.commit(old.member_id, old.generation, 7)
    g.leave(old.member_id)
    new = Consumer(g, "new")
    new.beat()
    assert g.group.group_type == "consumer"
    new.leave()
    ClassicConsumer(g).join()
    assert g.group.group_type == "classic"
    assert g.committed() == 7


def test_a_crash_on_the_way_changes_nothing():
    for steps in range(8):
        g, old = a_classic_group()
        new = Consumer(g, "new")
        new.beat()
        for step in range(steps):
            (old.live, new.beat)[step % 2]()
        before = durable_consumer(g.group)
        g.crash()
        assert durable_consumer(g.group) == before
        live_together(old, new)
        assert (len(old.owned), len(new.owned)) == (2, 2)
        new.leave()
        replayed = g.replay()
        assert replayed.group_type == "classic" and replayed.classic.members.keys() == g.group.classic.members.keys()


def test_names_that_are_gone_are_left_out_of_what_a_classic_member_is_told():
    g = ConsumerGroupUnderTest(Topics(t=2))
    Consumer(g, "new").beat()
    old = ClassicConsumer(g)
    old.join()
    g.topics.sizes = {}
    assert old.sync() is ErrorCode.NONE
    assert old.owned == set()
