"""A classic group against a model, with members that join, forget, die and come back, and coordinators that crash."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from groups import GroupUnderTest, durable
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from model.error_codes import ErrorCode

PARTITIONS = 4


@dataclass
class Client:
    """What a consumer knows; `waits_for` is a token, `waits_as` what it asked for."""

    instance: str | None
    member_id: str = ""
    generation: int = -1
    waits_for: int | None = None
    waits_as: str = ""
    members: list[str] = field(default_factory=list)
    owned: frozenset[int] = frozenset()
    is_synced: bool = False
    must_join: bool = False

    def forget(self) -> None:
        self.is_synced = self.must_join = False
        self.generation, self.waits_for, self.owned, self.members = -1, None, frozenset(), []


class GroupAgainstModel(RuleBasedStateMachine):
    """Owners are kept by generation and partition; what was committed, by partition."""

    def __init__(self) -> None:
        super().__init__()
        self.g = GroupUnderTest()
        self.clients = [Client(None), Client(None), Client("s"), Client("s")]
        self.owners: dict[tuple[int, int], str] = {}
        self.committed: dict[int, int] = {}
        self.generations: list[int] = [0]

    who = st.integers(0, 3)

    @rule(who=who)
    def join(self, who: int) -> None:
        client = self.clients[who]
        if client.waits_for is None:
            client.waits_for = self.g.join(client.member_id, instance=client.instance)
            client.waits_as = "join"
        self._hear()

    @rule(who=who)
    def sync(self, who: int) -> None:
        client = self.clients[who]
        if client.waits_for is None and client.generation >= 0:
            assignments = {
                member_id: bytes(p for p in range(PARTITIONS) if p % len(client.members) == i)
                for i, member_id in enumerate(client.members)
            }
            client.waits_for = self.g.sync(client.member_id, client.generation, assignments, client.instance)
            client.waits_as = "sync"
        self._hear()

    @rule(rounds=st.integers(2, 6))
    def settle(self, rounds: int) -> None:
        """Every client does what it should do next."""
        for _ in range(rounds):
            for who, client in enumerate(self.clients[:3]):
                if client.generation < 0 or client.must_join:
                    self.join(who)
                elif not client.is_synced:
                    self.sync(who)
                else:
                    self.heartbeat(who)

    @rule(who=who)
    def heartbeat(self, who: int) -> None:
        client = self.clients[who]
        if client.generation >= 0:
            self._react(client, self.g.heartbeat(client.member_id, client.generation, client.instance))

    @rule(who=who)
    def leave(self, who: int) -> None:
        client = self.clients[who]
        if client.member_id and client.waits_for is None:
            self.g.leave(client.member_id, instance=client.instance)
            client.forget()
            client.member_id = ""
        self._hear()

    @rule(who=who)
    def die(self, who: int) -> None:
        """The process is gone; another one starts with the same configuration."""
        self.clients[who].forget()
        self.clients[who].member_id = ""

    @rule(ms=st.sampled_from([1, 10, 100, 1_000, 4_000, 4_000, 11_000, 31_000]))
    def wait(self, ms: int) -> None:
        self.g.wait(ms)
        self._hear()

    @rule(pick=st.integers(0, PARTITIONS - 1), ahead=st.integers(1, 5))
    def commit(self, pick: int, ahead: int) -> None:
        owners = [(client, partition) for client in self.clients for partition in client.owned]
        if owners:
            client, partition = owners[pick % len(owners)]
            offset = self.committed.get(partition, 0) + ahead
            error = self.g.commit(
                client.member_id, client.generation, offset, partition=partition, instance=client.instance
            )
            if error is ErrorCode.NONE:
                assert self.owners[client.generation, partition] == client.member_id
                self.committed[partition] = offset
            self._react(client, error)

    @rule()
    def crash(self) -> None:
        """The coordinator dies; what it had not written is lost, and so are the requests that wait."""
        self.g.group = self.g.replay()
        self.g.group.after_replay(self.g.now_ms)
        for client in self.clients:
            client.waits_for = None
        # Generations that were begun and never written begin anew, perhaps with other members.
        written = self.g.group.classic.generation
        self.owners = {key: owner for key, owner in self.owners.items() if key[0] <= written}

    def _hear(self) -> None:
        """Let the clients read what was answered."""
        for client in self.clients:
            if client.waits_for in self.g.answers:
                answer, client.waits_for = self.g.answers[client.waits_for], None
                self._on_answer(client, answer)

    def _on_answer(self, client: Client, answer: Any) -> None:
        if answer.error_code:
            if client.waits_as == "join" and answer.error_code == ErrorCode.MEMBER_ID_REQUIRED:
                client.member_id = answer.member_id
            else:
                self._react(client, ErrorCode(answer.error_code))
        elif client.waits_as == "join":
            client.member_id, client.generation = answer.member_id, answer.generation_id
            client.members = [row.member_id for row in answer.members]
            client.owned, client.is_synced, client.must_join = frozenset(), False, False
        else:
            client.is_synced = True
            client.owned = frozenset(answer.assignment)
            for partition in client.owned:
                owner = self.owners.setdefault((client.generation, partition), client.member_id)
                is_successor = client.instance is not None and owner.startswith(f"{client.instance}-")
                assert owner == client.member_id or is_successor, "two owners in one generation"
                self.owners[client.generation, partition] = client.member_id

    @staticmethod
    def _react(client: Client, error: ErrorCode) -> None:
        if error in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION, ErrorCode.FENCED_INSTANCE_ID):
            client.forget()
            client.member_id = ""
        elif error is ErrorCode.REBALANCE_IN_PROGRESS:
            client.must_join = True

    @invariant()
    def commits_never_go_back(self) -> None:
        for partition, offset in self.committed.items():
            assert self.g.committed(partition=partition) == offset

    @invariant()
    def a_replay_gives_the_live_state(self) -> None:
        if self.g.group.state in ("Stable", "Empty") and not self.g.group.classic.pending:
            assert durable(self.g.replay()) == durable(self.g.group)


TestGroupAgainstModel = GroupAgainstModel.TestCase
TestGroupAgainstModel.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
