"""Consumer groups and their offsets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from clients.admin_base import AdminPart, by_topic, raise_first
from clients.admin_types import GroupDescription, GroupListing, GroupMemberDescription
from clients.cluster import GROUP_KEY
from clients.committed import Membership, OffsetAndMetadata, commit_once, fetch_committed
from clients.positions import as_offsets
from model.errors import ErrorCode, UnsupportedVersion
from model.ids import TopicPartition
from protocol.codec import MalformedMessage
from protocol.consumer_protocol import ConsumerProtocolAssignment
from protocol.version_prefix import decode_with_version

_DEAD: Final = "Dead"


class GroupsPart(AdminPart):
    """Mixed into AsyncAdmin."""

    async def list_groups(self, *, states: Iterable[str] = ()) -> list[GroupListing]:
        """Every broker's, sorted by name."""
        from protocol.k16_list_groups import ListGroupsRequest

        async def attempt() -> list[GroupListing]:
            found: dict[str, GroupListing] = {}
            for node in await self._brokers():
                answer = await self.cluster.ask(node, ListGroupsRequest(states_filter=list(states)))
                raise_first([(answer.error_code, None, f"broker {node}")])
                for row in answer.groups:
                    kind = row.group_type or "classic"
                    found[row.group_id] = GroupListing(row.group_id, row.protocol_type, row.group_state, kind)
            return [found[name] for name in sorted(found)]

        return await self._until_done(attempt, "listing groups")

    async def describe_group(self, group: str) -> GroupDescription:
        """State "Dead" for one that doesn't exist. A group of either protocol (KIP-848)."""
        from protocol.k15_describe_groups import DescribeGroupsRequest

        async def attempt() -> GroupDescription:
            answer = await self.cluster.ask_coordinator(GROUP_KEY, group, DescribeGroupsRequest(groups=[group]))
            row = answer.groups[0]
            if row.error_code == ErrorCode.GROUP_ID_NOT_FOUND or (row.group_state or _DEAD) == _DEAD:
                newer = await self._describe_newer(group)
                if newer is not None:
                    return newer
            else:
                self._check_group(group, row.error_code, row.error_message)
            members = tuple(
                GroupMemberDescription(
                    each.member_id,
                    each.group_instance_id,
                    each.client_id,
                    each.client_host,
                    _assignment(bytes(each.member_assignment)),
                )
                for each in row.members
            )
            return GroupDescription(
                group,
                row.group_state or _DEAD,
                row.protocol_type,
                row.protocol_data,
                await self.cluster.coordinator(GROUP_KEY, group),
                members,
            )

        return await self._until_done(attempt, "describing a group")

    async def _describe_newer(self, group: str) -> GroupDescription | None:
        """Of the newer protocol; None when there is none of that name, or the cluster doesn't know the protocol."""
        from protocol.k69_consumer_group_describe import ConsumerGroupDescribeRequest

        request = ConsumerGroupDescribeRequest(group_ids=[group])
        try:
            answer = await self.cluster.ask_coordinator(GROUP_KEY, group, request)
        except UnsupportedVersion:
            return None
        row = answer.groups[0]
        if row.error_code == ErrorCode.GROUP_ID_NOT_FOUND:
            return None
        self._check_group(group, row.error_code, row.error_message)
        members = tuple(
            GroupMemberDescription(
                each.member_id,
                each.instance_id,
                each.client_id,
                each.client_host,
                tuple(
                    TopicPartition(topic.topic_name, number)
                    for topic in each.assignment.topic_partitions
                    for number in topic.partitions
                ),
            )
            for each in row.members
        )
        coordinator = await self.cluster.coordinator(GROUP_KEY, group)
        return GroupDescription(group, row.group_state, "consumer", row.assignor_name, coordinator, members, "consumer")

    async def delete_groups(self, groups: Iterable[str]) -> None:
        """Raises NonEmptyGroup, GroupIdNotFound."""
        from protocol.k42_delete_groups import DeleteGroupsRequest

        for group in groups:

            async def attempt(group: str = group) -> None:
                answer = await self.cluster.ask_coordinator(GROUP_KEY, group, DeleteGroupsRequest(groups_names=[group]))
                self._check_group(group, answer.results[0].error_code)

            await self._until_done(attempt, "deleting groups")

    async def list_group_offsets(
        self, group: str, places: Iterable[TopicPartition] | None = None
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """What a group has committed, of these partitions or of all."""
        wanted = None if places is None else [TopicPartition(*place) for place in places]
        return await self._until_done(lambda: fetch_committed(self.cluster, group, wanted), "listing a group's offsets")

    async def alter_group_offsets(self, group: str, offsets: Mapping[TopicPartition, OffsetAndMetadata | int]) -> None:
        """Commit on behalf of a group that has no members. Raises UnknownMemberId when it has."""
        wanted = as_offsets(offsets)
        await self._until_done(
            lambda: commit_once(self.cluster, group, wanted, Membership()), "altering a group's offsets"
        )

    async def delete_group_offsets(self, group: str, places: Iterable[TopicPartition]) -> None:
        """Raises GroupSubscribedToTopic while members read the topic."""
        from protocol.k47_offset_delete import (
            OffsetDeleteRequest,
            OffsetDeleteRequestPartition,
            OffsetDeleteRequestTopic,
        )

        rows = [
            OffsetDeleteRequestTopic(
                name=topic, partitions=[OffsetDeleteRequestPartition(partition_index=number) for number in numbers]
            )
            for topic, numbers in by_topic(places).items()
        ]

        async def attempt() -> None:
            answer = await self.cluster.ask_coordinator(
                GROUP_KEY, group, OffsetDeleteRequest(group_id=group, topics=rows)
            )
            self._check_group(group, answer.error_code)
            raise_first(
                (row.error_code, None, f"{topic.name}-{row.partition_index}")
                for topic in answer.topics
                for row in topic.partitions
            )

        await self._until_done(attempt, "deleting a group's offsets")

    async def remove_members(self, group: str, members: Iterable[str] | None = None) -> None:
        """Put members (by id), or all of them, out of a classic group."""
        from protocol.k13_leave_group import LeaveGroupRequest, MemberIdentity

        wanted = set(members) if members is not None else None
        described = await self.describe_group(group)
        rows = [
            MemberIdentity(member_id=each.member_id, group_instance_id=each.instance_id, reason="removed by an admin")
            for each in described.members
            if wanted is None or each.member_id in wanted
        ]
        if not rows:
            return

        async def attempt() -> None:
            request = LeaveGroupRequest(group_id=group, members=rows)
            answer = await self.cluster.ask_coordinator(GROUP_KEY, group, request)
            self._check_group(group, answer.error_code)
            raise_first((row.error_code, None, row.member_id) for row in answer.members)

        await self._until_done(attempt, "removing members")


def _assignment(encoded: bytes) -> tuple[TopicPartition, ...]:
    if not encoded:
        return ()
    try:
        said = decode_with_version(ConsumerProtocolAssignment, encoded)
    except MalformedMessage:
        return ()  # not a consumer group
    return tuple(TopicPartition(row.topic, number) for row in said.assigned_partitions for number in row.partitions)
