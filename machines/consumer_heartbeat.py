"""ConsumerGroupHeartbeat: how a member of a KIP-848 group joins, keeps up, is told what to own, and leaves.

One call does it all. What a member says is written down if it is new; then the target assignment is brought to the
group's epoch, the member takes one step towards it, and the answer has the assignment if that changed. Members that
wait for partitions of others are asked to come again soon.
"""

from __future__ import annotations

from dataclasses import replace

from machines.assignors import by_topic
from machines.consumer_changes import assign, bump, remove, resolve, step_towards_target, subscribe
from machines.consumer_changes import replace as replace_static
from machines.consumer_group import ConsumerGroup
from machines.consumer_member import LEFT, LEFT_FOR_A_WHILE, ConsumerMember, MemberState, Progress, Subscription
from machines.consumer_records import progress_record
from machines.group_events import GroupConfig, GroupRequest, Reply
from machines.topic_regex import BadPattern, TopicRegex
from machines.topic_view import NO_PARTITIONS, Partitions
from model.error_codes import ErrorCode
from protocol.k68_consumer_group_heartbeat import (
    Assignment,
    ConsumerGroupHeartbeatRequest,
    ConsumerGroupHeartbeatResponse,
    TopicPartitions,
)

MEMBER_ID_FROM_CLIENT = 1  # the version from which on a member names itself
SOON_MS = 200
"""When to come again for a member that waits for partitions of others."""


class Refused(Exception):
    """The request is answered with this error and changes nothing."""

    def __init__(self, error: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.error = error
        self.message = message


def validate(config: GroupConfig, event: GroupRequest, body: ConsumerGroupHeartbeatRequest) -> None:
    """Raises Refused for a request that makes no sense in any group."""
    message = _complaint(event, body)
    if message:
        raise Refused(ErrorCode.INVALID_REQUEST, message)
    known = config.consumer_assignors
    if body.server_assignor is not None and body.server_assignor not in known:
        message = f"ServerAssignor {body.server_assignor} is not supported."
        raise Refused(ErrorCode.UNSUPPORTED_ASSIGNOR, f"{message} Supported assignors: {', '.join(known)}.")
    if body.subscribed_topic_regex:
        try:
            TopicRegex(body.subscribed_topic_regex)
        except BadPattern as error:
            message = f"SubscribedTopicRegex `{body.subscribed_topic_regex}` is not a valid regular expression"
            raise Refused(ErrorCode.INVALID_REGULAR_EXPRESSION, f"{message}: {error}.") from None


def heartbeat(group: ConsumerGroup, event: GroupRequest, body: ConsumerGroupHeartbeatRequest, now_ms: int) -> None:
    """Answer one that is valid. The group may be one that does not exist yet. Raises Refused."""
    if body.member_epoch < 0:
        _leave(group, event, body)
    else:
        _beat(group, event, body, now_ms)


def _reply(group: ConsumerGroup, event: GroupRequest, response: ConsumerGroupHeartbeatResponse) -> None:
    group.effects.append(Reply(event.token, response))


# -- what is refused ---------------------------------------------------------------------------------------------------


def _complaint(event: GroupRequest, body: ConsumerGroupHeartbeatRequest) -> str:
    """What is wrong with the request, or an empty string."""
    epoch = body.member_epoch
    if not body.member_id and (epoch != 0 or event.version >= MEMBER_ID_FROM_CLIENT):
        return "MemberId can't be empty."
    if body.instance_id == "":
        return "InstanceId can't be empty."
    if body.rack_id == "":
        return "RackId can't be empty."
    if epoch < LEFT_FOR_A_WHILE:
        return f"MemberEpoch is {epoch}, but must be greater than or equal to -2."
    if epoch == LEFT_FOR_A_WHILE and body.instance_id is None:
        return "InstanceId can't be null."
    if epoch != 0:
        return ""
    if body.rebalance_timeout_ms == -1:
        return "RebalanceTimeoutMs must be provided in first request."
    if body.topic_partitions is None or body.topic_partitions:
        return "TopicPartitions must be empty when (re-)joining."
    if body.subscribed_topic_names is None and body.subscribed_topic_regex is None:
        return "Either SubscribedTopicNames or SubscribedTopicRegex must be set in first request."
    return ""


_FENCED = (
    "The consumer group member has a {} member epoch ({}) than the one known by the group coordinator ({})."
    " The member must abandon all its partitions and rejoin."
)


def _check_epoch(member: ConsumerMember, epoch: int, owned: Partitions | None) -> None:
    """A member may be one epoch behind, for the answer that told it of the new one may be lost; then it is told again.

    It is believed to be that member as long as it owns nothing that the new epoch does not give it.
    """
    progress = member.progress
    if epoch > progress.epoch:
        raise Refused(ErrorCode.FENCED_MEMBER_EPOCH, _FENCED.format("greater", epoch, progress.epoch))
    if epoch < progress.epoch and (
        epoch != progress.previous_epoch or owned is None or not owned <= progress.assigned
    ):
        raise Refused(ErrorCode.FENCED_MEMBER_EPOCH, _FENCED.format("smaller", epoch, progress.epoch))


# -- join and stay -----------------------------------------------------------------------------------------------------


def _beat(group: ConsumerGroup, event: GroupRequest, body: ConsumerGroupHeartbeatRequest, now_ms: int) -> None:
    member_id = body.member_id or event.fresh_id
    is_known = member_id in group.members or body.instance_id in group.statics
    if not is_known and len(group.members) >= group.config.consumer_max_size:
        message = (
            f"The consumer group has reached its maximum capacity of {group.config.consumer_max_size} members."
        )
        raise Refused(ErrorCode.GROUP_MAX_SIZE_REACHED, message)
    owned = None
    if body.topic_partitions is not None:
        owned = frozenset((bytes(row.topic_id), number) for row in body.topic_partitions for number in row.partitions)
    former = _find(group, member_id, body, owned)
    if former is not None:
        replace_static(group, former, member_id)
    assigned_before = group.members[member_id].progress.assigned if member_id in group.members else NO_PARTITIONS
    _subscribe(group, event, member_id, body)
    member = group.members[member_id]
    assign(group, event.topics, event.wall_ms)
    step_towards_target(group, member, owned, now_ms)
    group.heard(member, now_ms)
    is_full = body.member_epoch == 0 or (
        body.rebalance_timeout_ms != -1
        and (body.subscribed_topic_names is not None or body.subscribed_topic_regex is not None)
        and owned is not None
    )
    progress = member.progress
    pace_ms = SOON_MS if progress.state is MemberState.UNRELEASED else event.pace_ms
    response = ConsumerGroupHeartbeatResponse(
        member_id=member_id,
        member_epoch=progress.epoch,
        heartbeat_interval_ms=min(pace_ms, group.config.consumer_heartbeat_interval_ms),
    )
    if is_full or progress.assigned != assigned_before:
        rows = [
            TopicPartitions(topic_id=topic_id, partitions=numbers)
            for topic_id, numbers in by_topic(progress.assigned).items()
        ]
        response.assignment = Assignment(topic_partitions=rows)
    _reply(group, event, response)


def _find(
    group: ConsumerGroup, member_id: str, body: ConsumerGroupHeartbeatRequest, owned: Partitions | None
) -> ConsumerMember | None:
    """Raises Refused unless the member may be who it says it is. Returns the static member whose place it takes."""
    if body.instance_id is not None:
        owner_id = group.statics.get(body.instance_id)
        if body.member_epoch == 0:
            if owner_id is None:
                return None
            owner = group.members[owner_id]
            if owner_id != member_id and owner.progress.epoch != LEFT_FOR_A_WHILE and not owner.is_classic:
                message = f"Static member {member_id} with instance id {body.instance_id} cannot join the group because"
                message += f" the instance id is owned by {owner_id} member."
                raise Refused(ErrorCode.UNRELEASED_INSTANCE_ID, message)
            return owner
        if owner_id is None:
            message = f"Instance id {body.instance_id} is unknown."
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, message)
        if owner_id != member_id:
            message = f"Static member {member_id} with instance id {body.instance_id} was fenced by member {owner_id}."
            raise Refused(ErrorCode.FENCED_INSTANCE_ID, message)
    if body.member_epoch == 0:
        return None
    member = group.members.get(member_id)
    if member is None:
        raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, f"Member {member_id} is not a member of group {group.group_id}.")
    _check_epoch(member, body.member_epoch, owned)
    return None


def _subscribe(
    group: ConsumerGroup, event: GroupRequest, member_id: str, body: ConsumerGroupHeartbeatRequest
) -> None:
    """Take in what the member says of itself; null stands for what it said before."""
    known = group.members.get(member_id)
    before = known.subscription if known is not None else Subscription()
    said = replace(
        before,
        instance_id=body.instance_id if body.instance_id is not None else before.instance_id,
        rack_id=body.rack_id if body.rack_id is not None else before.rack_id,
        client_id=event.client_id,
        client_host=event.client_host,
        topics=before.topics if body.subscribed_topic_names is None else tuple(sorted(body.subscribed_topic_names)),
        regex=before.regex if body.subscribed_topic_regex is None else body.subscribed_topic_regex or None,
        rebalance_timeout_ms=before.rebalance_timeout_ms
        if body.rebalance_timeout_ms == -1
        else body.rebalance_timeout_ms,
        assignor=body.server_assignor if body.server_assignor is not None else before.assignor,
        classic=None,
        session_timeout_ms=-1,
    )
    is_changed = subscribe(group, member_id, said)
    if said.regex is not None and (is_changed or said.regex not in group.regexes):
        resolve(group, said.regex, event.topics, event.wall_ms)
    if is_changed:
        bump(group, event.topics)


# -- leave -------------------------------------------------------------------------------------------------------------


def _leave(group: ConsumerGroup, event: GroupRequest, body: ConsumerGroupHeartbeatRequest) -> None:
    error = group.member_error(body.member_id, body.instance_id)
    if error is not ErrorCode.NONE:
        raise Refused(error, f"{body.member_id} is not a member of group {group.group_id}, or no longer.")
    member = group.members[body.member_id]
    response = ConsumerGroupHeartbeatResponse(member_id=body.member_id, member_epoch=body.member_epoch)
    if body.member_epoch == LEFT_FOR_A_WHILE:
        progress = member.progress
        away = Progress(LEFT_FOR_A_WHILE, progress.epoch, MemberState.STABLE, progress.assigned)
        group.write([progress_record(group.group_id, member.member_id, away)])
    else:
        assert body.member_epoch == LEFT
        remove(group, [member], event.topics)
    _reply(group, event, response)
