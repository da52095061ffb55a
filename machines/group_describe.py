"""Groups as DescribeGroups and ConsumerGroupDescribe show them."""

from __future__ import annotations

from machines.assignors import by_topic
from machines.classic_group import ClassicGroup, GroupState
from machines.consumer_group import ConsumerGroup
from machines.consumer_member import ConsumerMember
from machines.topic_view import NO_PARTITIONS, Partitions, TopicView
from protocol import k69_consumer_group_describe as k69
from protocol.k15_describe_groups import DescribedGroup, DescribedGroupMember

CLASSIC_MEMBER, CONSUMER_MEMBER = 0, 1


def described_classic(classic: ClassicGroup) -> DescribedGroup:
    """What members said of themselves is shown while the group is stable."""
    protocol = classic.protocol if classic.state is GroupState.STABLE else None
    return DescribedGroup(
        group_id=classic.group_id,
        group_state=classic.state.value,
        protocol_type=classic.protocol_type or "",
        protocol_data=protocol or "",
        members=[
            DescribedGroupMember(
                member_id=member.member_id,
                group_instance_id=member.group_instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                member_metadata=member.metadata(protocol),
                member_assignment=member.assignment if protocol is not None else b"",
            )
            for member in classic.members.values()
        ],
    )


def described_consumer(group: ConsumerGroup, topics: TopicView) -> k69.DescribedGroup:
    """Members with what they own and what they are to own."""
    return k69.DescribedGroup(
        group_id=group.group_id,
        group_state=group.state,
        group_epoch=group.epoch,
        assignment_epoch=group.assignment_epoch,
        assignor_name=group.assignor,
        members=[_member(group, member, topics) for member in group.members.values()],
    )


def _member(group: ConsumerGroup, member: ConsumerMember, topics: TopicView) -> k69.Member:
    said = member.subscription
    return k69.Member(
        member_id=member.member_id,
        instance_id=said.instance_id,
        rack_id=said.rack_id,
        member_epoch=member.progress.epoch,
        client_id=said.client_id,
        client_host=said.client_host,
        subscribed_topic_names=list(said.topics),
        subscribed_topic_regex=said.regex or "",
        assignment=_assignment(member.progress.assigned, topics),
        target_assignment=_assignment(group.targets.get(member.member_id, NO_PARTITIONS), topics),
        member_type=CLASSIC_MEMBER if member.is_classic else CONSUMER_MEMBER,
    )


def _assignment(partitions: Partitions, topics: TopicView) -> k69.Assignment:
    rows = [
        k69.TopicPartitions(topic_id=topic_id, topic_name=topics.name_of(topic_id) or "", partitions=numbers)
        for topic_id, numbers in by_topic(partitions).items()
    ]
    return k69.Assignment(topic_partitions=rows)
