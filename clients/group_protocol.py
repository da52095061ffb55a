"""What the members of a classic group tell each other: subscriptions one way, assignments the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from clients import assignors
from clients.assignors import Member
from clients.cluster import ClusterClient
from model.ids import TopicPartition
from protocol.codec import Buffer
from protocol.consumer_protocol import (
    AssignedTopic,
    ConsumerProtocolAssignment,
    ConsumerProtocolSubscription,
    OwnedTopic,
)
from protocol.k11_join_group import JoinGroupRequestProtocol, JoinGroupResponseMember
from protocol.version_prefix import decode_with_version, encode_with_version

if TYPE_CHECKING:
    from clients.membership import MembershipHost

_SUBSCRIPTION_VERSION: Final = 3
_ASSIGNMENT_VERSION: Final = 1


class MemberProtocol:
    """The assignors of one member, and the one that the group has chosen."""

    def __init__(self, cluster: ClusterClient, host: MembershipHost) -> None:
        config = cluster.config
        own = config.get_object("partition.assignment.strategy")
        given = own if own is not None else config.get_list("partition.assignment.strategy")
        self._assignors = assignors.make(list(given) if isinstance(given, (list, tuple)) else [given])
        self._cluster = cluster
        self._host = host
        self._rack = config.get_str("client.rack") or None
        # as in Java: members keep their partitions through a rebalance only if every assignor allows it
        self.is_cooperative = all(each.is_cooperative for each in self._assignors)

    def offers(self, generation: int) -> list[JoinGroupRequestProtocol]:
        """Our subscription, for each assignor we know."""
        owned: dict[str, list[int]] = {}
        for topic, partition in self._host.owned():
            owned.setdefault(topic, []).append(partition)
        subscription = ConsumerProtocolSubscription(
            topics=sorted(self._host.topics()),
            owned_partitions=[OwnedTopic(topic=topic, partitions=numbers) for topic, numbers in owned.items()],
            generation_id=generation,
            rack_id=self._rack,
        )
        offers = []
        for each in self._assignors:
            subscription.user_data = each.user_data() if isinstance(each, assignors.TalkingAssignor) else None
            encoded = encode_with_version(subscription, _SUBSCRIPTION_VERSION)
            offers.append(JoinGroupRequestProtocol(name=each.name, metadata=encoded))
        return offers

    async def deal_out(self, name: str, rows: list[JoinGroupResponseMember]) -> dict[str, bytes]:
        """As the group's leader: every member's assignment, encoded."""
        members: list[Member] = []
        for row in rows:
            said = decode_with_version(ConsumerProtocolSubscription, row.metadata)
            owned = [TopicPartition(each.topic, n) for each in said.owned_partitions for n in each.partitions]
            members.append(
                Member(
                    row.member_id,
                    list(said.topics),
                    owned,
                    said.generation_id,
                    row.group_instance_id,
                    said.rack_id,
                    None if said.user_data is None else bytes(said.user_data),
                )
            )
        topics = {topic for member in members for topic in member.topics}
        await self._cluster.know(topics)
        if not topics <= set(self._host.topics()):  # of theirs the consumer would not notice what changes afterwards
            await self._cluster.refresh()
        views = self._cluster.metadata.topics
        partitions = {topic: len(views[topic].partitions) for topic in topics if topic in views}
        assignor = next(each for each in self._assignors if each.name == name)
        dealt = assignor.assign(partitions, members)
        news = assignor.assignment_data() if isinstance(assignor, assignors.TalkingAssignor) else None
        return {member_id: _encode(places, news) for member_id, places in dealt.items()}

    def read(self, assignment: Buffer) -> list[TopicPartition]:
        """What we were given; an empty message means nothing."""
        if not len(assignment):
            return []
        said = decode_with_version(ConsumerProtocolAssignment, assignment)
        for each in self._assignors:
            if isinstance(each, assignors.TalkingAssignor) and said.user_data is not None:
                each.on_assignment(bytes(said.user_data))
        return [TopicPartition(row.topic, number) for row in said.assigned_partitions for number in row.partitions]


def _encode(places: list[TopicPartition], user_data: bytes | None) -> bytes:
    topics: dict[str, list[int]] = {}
    for topic, partition in places:
        topics.setdefault(topic, []).append(partition)
    rows = [AssignedTopic(topic=topic, partitions=numbers) for topic, numbers in topics.items()]
    assignment = ConsumerProtocolAssignment(assigned_partitions=rows, user_data=user_data)
    return encode_with_version(assignment, _ASSIGNMENT_VERSION)
