"""A KIP-848 group, clients that lose answers, dawdle, die and come back, topics that change, coordinators that crash.

Whatever happens: no partition is with two members (as the clients see it), a replay gives the live state, commits never
go back; and once everyone behaves, everything is owned and the group is stable.
"""

from __future__ import annotations

from consumer_groups import Consumer, ConsumerGroupUnderTest, Topics, durable_consumer, settle
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from model.error_codes import ErrorCode

SESSION_MS = 20_000


class ConsumerGroupAgainstModel(RuleBasedStateMachine):
    """Clients 0 and 1 are dynamic, 2 and 3 are static, 1 subscribes by pattern, 3 to two topics."""

    def __init__(self) -> None:
        super().__init__()
        self.g = ConsumerGroupUnderTest(Topics(t=4, u=2), consumer_session_timeout_ms=SESSION_MS)
        self.ids = 0
        self.clients = [self._client(who) for who in range(4)]
        self.committed: dict[tuple[str, int], int] = {}

    def _client(self, who: int) -> Consumer:
        self.ids += 1
        return Consumer(
            self.g,
            f"m{self.ids}",
            topics=("t", "u") if who == 3 else ("t",),
            regex="[tu]" if who == 1 else None,
            instance=f"i{who}" if who >= 2 else None,
            assignor="range" if who == 0 else None,
        )

    who = st.integers(0, 3)

    @rule(who=who)
    def beat(self, who: int) -> None:
        self.clients[who].beat()

    @initialize(order=st.permutations(range(4)))
    def everyone_joins(self, order: list[int]) -> None:
        self.a_round(order)

    @rule(order=st.permutations(range(4)))
    def a_round(self, order: list[int]) -> None:
        for who in order:
            self.clients[who].beat()

    @rule(who=who)
    def lose_an_answer(self, who: int) -> None:
        self.clients[who].beat(is_answer_lost=True)

    @rule(who=who, is_slow=st.booleans())
    def change_pace(self, who: int, is_slow: bool) -> None:
        self.clients[who].is_slow = is_slow
        if not is_slow:
            self.clients[who].revoke()

    @rule(who=who)
    def leave(self, who: int) -> None:
        client = self.clients[who]
        if client.epoch > 0:
            client.leave(-2 if client.instance is not None else -1)
        self.clients[who] = self._client(who)

    @rule(who=who)
    def die(self, who: int) -> None:
        """Another process takes its place, under another member id."""
        self.clients[who] = self._client(who)

    @rule(silent=who, rounds=st.integers(1, 7))
    def wait(self, silent: int, rounds: int) -> None:
        """One of them says nothing, maybe until its time is over."""
        for _ in range(rounds):
            self.g.wait(5_000)
            for who, client in enumerate(self.clients):
                if who != silent:
                    client.beat()

    @rule()
    def nobody_says_anything_for_too_long(self) -> None:
        self.g.wait(SESSION_MS + 1)

    @rule(name=st.sampled_from("tu"), size=st.integers(0, 5))
    def change_topics(self, name: str, size: int) -> None:
        self.g.change_topics(**{name: size})
        gone = [partition for partition in self.committed if self.g.topics.sizes.get(partition[0], 0) <= partition[1]]
        for partition in gone:
            del self.committed[partition]

    @rule(who=who, pick=st.integers(0, 5), ahead=st.integers(1, 5))
    def commit(self, who: int, pick: int, ahead: int) -> None:
        client = self.clients[who]
        if client.owned:
            name, partition = sorted(client.owned)[pick % len(client.owned)]
            offset = self.committed.get((name, partition), 0) + ahead
            error = self.g.commit(
                client.member_id, client.epoch, offset, topic=name, partition=partition, instance=client.instance
            )
            if error is ErrorCode.NONE:
                self.committed[name, partition] = offset

    @rule()
    def crash(self) -> None:
        self.g.crash()

    def _members(self) -> list[Consumer]:
        """Clients that the group takes for members at their epoch or the one before: what they own counts."""
        known = self.g.group.consumer.members
        return [c for c in self.clients if c.member_id in known and c.epoch > 0]

    @invariant()
    def a_partition_is_with_one_member(self) -> None:
        owned = [partition for client in self._members() for partition in client.owned | client.to_revoke]
        assert len(owned) == len(set(owned))

    @invariant()
    def a_replay_gives_the_live_state(self) -> None:
        assert durable_consumer(self.g.replay()) == durable_consumer(self.g.group)

    @invariant()
    def commits_never_go_back(self) -> None:
        for (name, partition), offset in self.committed.items():
            assert self.g.group.offsets.committed[name][partition].offset == offset

    def teardown(self) -> None:
        """Everyone behaves, and the dead are given up."""
        for client in self.clients:
            client.is_slow = False
            client.revoke()
        for _ in range(8):
            self.g.wait(SESSION_MS // 3)
            settle(*self.clients, rounds=4)
        sizes = self.g.topics.sizes
        owned = {partition for client in self.clients for partition in client.owned}
        assert owned == {(name, partition) for name, size in sizes.items() for partition in range(size)}
        assert self.g.group.state == "Stable"


TestConsumerGroupAgainstModel = ConsumerGroupAgainstModel.TestCase
TestConsumerGroupAgainstModel.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
