"""What a group's member needs of the consumer it belongs to."""

from __future__ import annotations

from typing import Protocol

from clients.committed import Membership
from clients.rebalance import RebalanceCall
from model.ids import TopicPartition


class MembershipHost(Protocol):
    """The consumer, as its membership sees it. All of it is called on the client's loop."""

    def topics(self) -> list[str]:
        """The topics subscribed to, patterns resolved."""
        ...

    def owned(self) -> list[TopicPartition]:
        """The partitions assigned now."""
        ...

    def queue(self, call: RebalanceCall) -> None:
        """Have the polling thread make this call."""
        ...

    def idle_s(self, now: float) -> float:
        """How long nobody has polled; 0 while somebody does."""
        ...

    def fail(self, error: BaseException) -> None:
        """Have the next poll raise this."""
        ...


class GroupMembership(Protocol):
    """A member of a classic group, or of one of the newer protocol (KIP-848)."""

    group: str
    member: Membership
    is_leader: bool

    @property
    def is_member(self) -> bool: ...

    def start(self) -> None: ...

    def rejoin(self, reason: str) -> None: ...

    def polled(self) -> None: ...

    async def leave(self) -> None: ...
