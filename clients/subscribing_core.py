"""A consumer's subscription: which topics, through which group, and what the group's member needs of the consumer."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Iterable

from clients.cluster import ClusterClient
from clients.configs import ClientConfig
from clients.errors import IllegalUse
from clients.membership import GroupMembership
from clients.rebalance import RebalanceCall, RebalanceListener
from clients.subscription import Subscription
from model.errors import KafkaError
from model.ids import TopicPartition


class SubscribingCore:
    """The base of ConsumerCore, and the MembershipHost of its member.

    `calls` and `errors` are what the next poll finds: steps of a rebalance, and what it is to raise.
    """

    def __init__(self, config: ClientConfig, cluster: ClusterClient, notify: Callable[[], None]) -> None:
        self.config = config
        self.cluster = cluster
        self.notify = notify
        self.subscription = Subscription()
        self.group: GroupMembership | None = None
        self.listener = RebalanceListener()
        self.calls: deque[RebalanceCall] = deque()
        self.errors: deque[BaseException] = deque()
        self.is_polling = False
        self.pattern: re.Pattern[str] | None = None
        self._names: list[str] = []
        self._is_manual = False
        self._counts: dict[str, int] = {}
        self._last_poll = time.monotonic()
        cluster.on_metadata.append(self._on_metadata)
        cluster.on_refused.append(self._refused)

    def check_may_subscribe(self) -> None:
        if self._is_manual:
            raise IllegalUse("this consumer assigned itself partitions: unsubscribe before it subscribes")
        if not self.config.get_str("group.id"):
            raise IllegalUse("subscribing needs a group.id; without a group use assign")

    async def subscribe(
        self, names: Iterable[str], pattern: re.Pattern[str] | None, listener: RebalanceListener | None
    ) -> None:
        self.listener = listener or RebalanceListener()
        self._names, self.pattern = list(names), pattern
        self.cluster.follows_all = pattern is not None
        self.cluster.topics |= set(self._names)
        self._counts = self._topic_counts()
        if self.group is not None:
            self.group.rejoin("the subscription changed")
            return
        self.group = self._make_member()
        self.cluster.want_refresh()
        self.group.start()

    async def unsubscribe(self) -> None:
        """Leave the group, forget every partition."""
        if self.group is not None:
            await self.group.leave()
            self.group = None
        self._names, self.pattern, self._is_manual = [], None, False
        self.cluster.follows_all = False
        for call in self.calls:
            call.finish()
        self.calls.clear()
        self.subscription.assign(())

    def _make_member(self) -> GroupMembership:
        if self.config.get_str("group.protocol") == "consumer":
            from clients.consumer_group_member import ConsumerGroupMember

            return ConsumerGroupMember(self.cluster, self)
        from clients.group_member import ClassicMember

        return ClassicMember(self.cluster, self)

    def _topic_counts(self) -> dict[str, int]:
        views = self.cluster.metadata.topics
        return {name: len(views[name].partitions) for name in self.topics() if name in views}

    def _on_metadata(self) -> None:
        if self.group is None:
            return
        before, self._counts = self._counts, self._topic_counts()
        if before == self._counts or not self.group.is_member:
            return
        if self.group.is_leader or (self.pattern is not None and before.keys() != self._counts.keys()):
            self.group.rejoin("topics changed")

    def _refused(self, refusal: KafkaError) -> None:
        if not self.errors:  # once for each poll is enough
            self.fail(refusal)

    # -- what the membership needs (MembershipHost) ----------------------------------------------------------------

    def topics(self) -> list[str]:
        if self.pattern is None:
            return self._names
        hides_internal = self.config.get_bool("exclude.internal.topics")
        return [
            name
            for name, view in self.cluster.metadata.topics.items()
            if self.pattern.fullmatch(name) and not (view.is_internal and hides_internal)
        ]

    def owned(self) -> list[TopicPartition]:
        return list(self.subscription.assigned)

    def queue(self, call: RebalanceCall) -> None:
        self.calls.append(call)
        self.notify()

    def idle_s(self, now: float) -> float:
        return 0.0 if self.is_polling else now - self._last_poll

    def fail(self, error: BaseException) -> None:
        self.errors.append(error)
        self.notify()
