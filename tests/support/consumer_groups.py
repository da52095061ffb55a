"""A KIP-848 group under test: clients that do as librdkafka and Java do, over the stage of `groups.py`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from groups import GroupUnderTest

from machines.group import Group
from machines.group_events import GroupRequest, TimerFired, TopicsChanged
from machines.topic_view import TopicShape
from model.error_codes import ErrorCode
from protocol.k68_consumer_group_heartbeat import ConsumerGroupHeartbeatRequest, TopicPartitions


def id_of(name: str) -> bytes:
    return name.encode().ljust(16, b"-")


class Topics:
    """A TopicView of a dict: name → partitions."""

    def __init__(self, **sizes: int) -> None:
        self.sizes = dict(sizes)

    def names(self) -> Iterable[str]:
        return self.sizes

    def shape(self, name: str) -> TopicShape | None:
        return TopicShape(id_of(name), self.sizes[name]) if name in self.sizes else None

    def name_of(self, topic_id: bytes) -> str | None:
        return next((name for name in self.sizes if id_of(name) == topic_id), None)


class ConsumerGroupUnderTest(GroupUnderTest):
    """`topics` are what every event sees."""

    def __init__(self, topics: Topics | None = None, **config: Any) -> None:
        super().__init__(**config)
        self.topics = topics or Topics(t=4)

    def send(self, body: Any, version: int) -> int:
        self._token += 1
        fresh_id = f"{self._token:04}"
        self.step(
            GroupRequest(
                body, version, self._token, "client", "/host", self.wall_ms, fresh_id=fresh_id, topics=self.topics
            )
        )
        return self._token

    def ring(self) -> None:
        self.step(TimerFired(self.wall_ms, self.topics))

    def wait(self, ms: int) -> None:
        end_ms = self.now_ms + ms
        while self.group.next_deadline_ms <= end_ms:
            self.wall_ms += max(self.group.next_deadline_ms - self.now_ms, 0)
            self.now_ms = max(self.group.next_deadline_ms, self.now_ms)
            self.ring()
        self.wall_ms += end_ms - self.now_ms
        self.now_ms = end_ms

    def change_topics(self, **sizes: int) -> None:
        """New sizes; 0 deletes."""
        self.topics.sizes = {name: size for name, size in {**self.topics.sizes, **sizes}.items() if size}
        self.step(TopicsChanged(self.topics, self.wall_ms))

    def beat(self, member_id: str, epoch: int, *, version: int = 1, **said: Any) -> Any:
        """One heartbeat; `owned` as {topic: [partitions]}."""
        owned = said.pop("owned", None)
        rows = None
        if owned is not None:
            rows = [TopicPartitions(topic_id=id_of(name), partitions=list(ps)) for name, ps in owned.items()]
        body = ConsumerGroupHeartbeatRequest(
            group_id="g", member_id=member_id, member_epoch=epoch, topic_partitions=rows, **said
        )
        return self.answers[self.send(body, version)]

    def crash(self) -> None:
        """The coordinator dies and another one replays what it wrote."""
        self.group = self.replay()
        self.group.after_replay(self.now_ms)


@dataclass
class Consumer:
    """One client: it revokes as soon as it is told to (unless it is `slow`), and says what changed."""

    g: ConsumerGroupUnderTest
    member_id: str
    topics: tuple[str, ...] = ("t",)
    regex: str | None = None
    instance: str | None = None
    assignor: str | None = None
    epoch: int = 0
    owned: set[tuple[str, int]] = field(default_factory=set)
    to_revoke: set[tuple[str, int]] = field(default_factory=set)
    is_slow: bool = False
    must_report: bool = False
    must_say_all: bool = False

    def beat(self, *, is_answer_lost: bool = False) -> Any:
        """The next heartbeat, and what comes of it. After a lost answer everything is said again."""
        said: dict[str, Any] = {}
        if self.epoch == 0 or self.must_say_all:
            said = {"rebalance_timeout_ms": 30_000, "owned": self._rows()}
            said |= {"subscribed_topic_names": list(self.topics)} if self.regex is None else {}
            said |= {"subscribed_topic_regex": self.regex} if self.regex is not None else {}
            said |= {"server_assignor": self.assignor}
        elif self.must_report:
            said = {"owned": self._rows()}
        answer = self.g.beat(self.member_id, self.epoch, instance_id=self.instance, **said)
        self.must_say_all = is_answer_lost
        if not is_answer_lost:
            self._hear(answer)
        return answer

    def _rows(self) -> dict[str, list[int]]:
        rows: dict[str, list[int]] = {}
        for name, partition in sorted(self.owned | self.to_revoke):
            rows.setdefault(name, []).append(partition)
        return rows

    def _hear(self, answer: Any) -> None:
        if answer.error_code:
            self.epoch = 0
            self.owned, self.to_revoke = set(), set()
            return
        self.epoch = answer.member_epoch
        self.must_report = False
        if answer.assignment is not None:
            target = {
                (name, number)
                for row in answer.assignment.topic_partitions
                if (name := self.g.topics.name_of(row.topic_id) or row.topic_id.decode().rstrip("-"))
                for number in row.partitions
            }
            self.to_revoke |= self.owned - target
            self.owned = target
            self.must_report = True
            if not self.is_slow:
                self.revoke()

    def revoke(self) -> None:
        """Its listener has done its work."""
        self.to_revoke.clear()
        self.must_report = True

    def subscribe(self, *topics: str) -> Any:
        self.topics = topics
        answer = self.g.beat(
            self.member_id, self.epoch, instance_id=self.instance, subscribed_topic_names=list(topics)
        )
        self._hear(answer)
        return answer

    def leave(self, epoch: int = -1) -> Any:
        answer = self.g.beat(self.member_id, epoch, instance_id=self.instance)
        self.epoch, self.owned, self.to_revoke = 0, set(), set()
        return answer


def settle(*consumers: Consumer, rounds: int = 12) -> None:
    """Let everyone beat until nothing moves any more."""
    for _ in range(rounds):
        for consumer in consumers:
            consumer.beat()


def durable_consumer(group: Group) -> Any:
    """What must be the same live and after a replay."""
    consumer = group.consumer
    members = {m.member_id: (m.subscription, m.progress) for m in consumer.members.values()}
    return (
        consumer.exists, consumer.epoch, consumer.metadata_hash, consumer.assignment_epoch, members, consumer.statics,
        dict(consumer.targets.items()), consumer.regexes, consumer.owners,
        group.classic.generation, list(group.classic.members), group.offsets.committed,
    )  # fmt: skip


__all__ = ["Consumer", "ConsumerGroupUnderTest", "ErrorCode", "Topics", "durable_consumer", "id_of", "settle"]
