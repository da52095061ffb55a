"""What the parts of the admin share: the cluster, patience, and errors from rows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeVar

from clients.cluster import GROUP_KEY, ClusterClient
from clients.errors import Disconnected
from model.errors import ErrorCode, LeaderNotAvailable, UnknownTopicOrPartition, kafka_error
from model.ids import TopicPartition

T = TypeVar("T")

# a producer may hope that these pass; whoever administers wants to know at once
_GIVES_UP_ON: Final = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE,
        ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE,
        ErrorCode.ELECTION_NOT_NEEDED,
        ErrorCode.THROTTLING_QUOTA_EXCEEDED,
    }
)
_NEWS_ROUNDS: Final = 3  # a topic just made may not be known everywhere yet


class AdminPart:
    """Mixed into AsyncAdmin. Where several things are asked for at once, the first error is raised."""

    cluster: ClusterClient
    timeout_s: float

    async def _until_done(self, attempt: Callable[[], Awaitable[T]], what: str) -> T:
        return await self.cluster.retrying(attempt, self.timeout_s, what, gives_up_on=_GIVES_UP_ON)

    @property
    def _timeout_ms(self) -> int:
        return int(self.timeout_s * 1000)

    async def _leaders(self, places: Iterable[TopicPartition]) -> dict[int, list[TopicPartition]]:
        """Leader → partitions. Raises retriable errors for those without one."""
        wanted = [TopicPartition(*place) for place in places]
        self.cluster.topics |= {place.topic for place in wanted}
        for _ in range(_NEWS_ROUNDS):
            if all(self.cluster.metadata.leader_of(*place) >= 0 for place in wanted):
                break
            await self.cluster.refresh()
        by_node: dict[int, list[TopicPartition]] = {}
        for place in wanted:
            leader = self.cluster.metadata.leader_of(*place)
            if leader < 0:
                known = place.topic in self.cluster.metadata.topics
                raise (LeaderNotAvailable if known else UnknownTopicOrPartition)(str(place))
            by_node.setdefault(leader, []).append(place)
        return by_node

    async def _brokers(self) -> list[int]:
        if not self.cluster.metadata.brokers:
            await self.cluster.refresh()
        if not self.cluster.metadata.brokers:
            raise Disconnected("the cluster names no brokers")
        return sorted(self.cluster.metadata.brokers)

    def _check_group(self, group: str, code: int, message: str | None = None) -> None:
        if code:
            error = kafka_error(code, message or group)
            self.cluster.forget_coordinator(GROUP_KEY, group, error)
            raise error


def raise_first(rows: Iterable[tuple[int, str | None, str]]) -> None:
    """From (error code, message, what it is about, which may be nothing in particular): the first that is an error."""
    for code, message, about in rows:
        if code:
            raise kafka_error(code, ": ".join(word for word in (about, message) if word))


def by_topic(places: Iterable[TopicPartition]) -> dict[str, list[int]]:
    topics: dict[str, list[int]] = {}
    for topic, partition in places:
        topics.setdefault(topic, []).append(partition)
    return topics
