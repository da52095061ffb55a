"""One member of a classic group, and the vote over the protocol (assignor) that all members support."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from machines.group_events import NEVER_MS, GroupRequest
from protocol.codec import Buffer
from protocol.consumer_protocol import ConsumerProtocolSubscription
from protocol.internal_topics import MemberMetadata
from protocol.k11_join_group import JoinGroupRequest
from protocol.varint import MalformedMessage
from protocol.version_prefix import decode_with_version

NEW_MEMBER_JOIN_TIMEOUT_MS = 300_000
"""A new member whose first JoinGroup is not answered after this long is given up: it can't heartbeat yet."""


@dataclass(slots=True)
class ClassicMember:
    """`joining` and `syncing` are its requests that wait for the others; a member that waits has no deadline."""

    member_id: str
    group_instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]
    assignment: bytes = b""
    deadline_ms: int = NEVER_MS
    is_new: bool = False
    joining: GroupRequest | None = None
    syncing: GroupRequest | None = None

    @classmethod
    def of_record(cls, record: MemberMetadata, protocol: str) -> ClassicMember:
        """As a replay finds it: of its protocols only the chosen one is known."""
        return cls(
            record.member_id,
            record.group_instance_id,
            record.client_id,
            record.client_host,
            record.rebalance_timeout if record.rebalance_timeout >= 0 else record.session_timeout,
            record.session_timeout,
            ((protocol, bytes(record.subscription)),),
            bytes(record.assignment),
        )

    def to_record(self, protocol: str) -> MemberMetadata:
        return MemberMetadata(
            member_id=self.member_id,
            group_instance_id=self.group_instance_id,
            client_id=self.client_id,
            client_host=self.client_host,
            rebalance_timeout=self.rebalance_timeout_ms,
            session_timeout=self.session_timeout_ms,
            subscription=self.metadata(protocol),
            assignment=self.assignment,
        )

    def update(self, request: JoinGroupRequest) -> None:
        """Take the newest JoinGroup's word on protocols and timeouts."""
        self.protocols = protocols_of(request)
        self.session_timeout_ms = request.session_timeout_ms
        self.rebalance_timeout_ms = rebalance_timeout_of(request)

    def metadata(self, protocol: str | None) -> bytes:
        """What it said for this protocol; empty for one that it doesn't know."""
        for name, metadata in self.protocols:
            if name == protocol:
                return metadata
        return b""

    @property
    def is_waiting(self) -> bool:
        return self.joining is not None or self.syncing is not None

    def heard(self, now_ms: int) -> None:
        """Start its session anew."""
        self.deadline_ms = now_ms + self.session_timeout_ms

    def is_late(self, now_ms: int) -> bool:
        """Whether its session ran out. A member that waits for us is alive, unless it is new (see the constant)."""
        return now_ms >= self.deadline_ms and (self.is_new or not self.is_waiting)


def protocols_of(request: JoinGroupRequest) -> tuple[tuple[str, bytes], ...]:
    return tuple((row.name, bytes(row.metadata)) for row in request.protocols)


def rebalance_timeout_of(request: JoinGroupRequest) -> int:
    """Version 0 has none: the session timeout stands for it."""
    return request.rebalance_timeout_ms if request.rebalance_timeout_ms >= 0 else request.session_timeout_ms


def common_protocols(members: Iterable[ClassicMember]) -> set[str]:
    """The names that every member supports."""
    return common_names(member.protocols for member in members)


def common_names(protocols: Iterable[Sequence[tuple[str, bytes]]]) -> set[str]:
    """The names that are in every list."""
    common: set[str] | None = None
    for rows in protocols:
        names = {name for name, _ in rows}
        common = names if common is None else common & names
    return common or set()


def elect_protocol(members: Sequence[ClassicMember]) -> str:
    """Each member votes for the first of its protocols that all support; the first of those with most votes wins."""
    common = common_protocols(members)
    votes = Counter(next(name for name, _ in member.protocols if name in common) for member in members)
    return votes.most_common(1)[0][0]


def subscription_of(metadata: Buffer) -> ConsumerProtocolSubscription | None:
    """A consumer's subscription; None when the bytes are no such thing."""
    try:
        return decode_with_version(ConsumerProtocolSubscription, metadata)
    except MalformedMessage:
        return None


def topics_of(metadata: bytes) -> frozenset[str] | None:
    """The topics of a consumer's subscription; None when the bytes are no such thing."""
    subscription = subscription_of(metadata)
    return None if subscription is None else frozenset(subscription.topics)
