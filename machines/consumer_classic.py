"""Members of a KIP-848 group that still speak the classic protocol, while a group is on its way from one to the other.

To them the member epoch is the generation. They are told to join again whenever there is a step for them to take, are
never the leader, and find what they are to own in the answer to SyncGroup.
"""

from __future__ import annotations

from machines.assignors import by_topic
from machines.classic_group import CONSUMER_PROTOCOL_TYPE, NULL_PROTOCOL_FROM
from machines.classic_join import MEMBER_ID_REQUIRED_FROM
from machines.classic_member import common_names, protocols_of, rebalance_timeout_of, subscription_of
from machines.consumer_changes import assign, bump, remove, step_towards_target, subscribe
from machines.consumer_changes import replace as replace_static
from machines.consumer_group import ConsumerGroup
from machines.consumer_member import LEFT_FOR_A_WHILE, ConsumerMember, MemberState, Subscription
from machines.group_events import NEVER_MS, GroupRequest, Reply
from machines.topic_view import Partitions, TopicView
from model.error_codes import ErrorCode
from protocol.consumer_protocol import AssignedTopic, ConsumerProtocolAssignment, ConsumerProtocolSubscription
from protocol.k11_join_group import JoinGroupRequest, JoinGroupResponse
from protocol.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from protocol.k13_leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse
from protocol.k14_sync_group import SyncGroupRequest, SyncGroupResponse
from protocol.version_prefix import encode_with_version

LEAVE_SEVERAL_FROM = 3


# -- join --------------------------------------------------------------------------------------------------------------


def join(group: ConsumerGroup, event: GroupRequest, body: JoinGroupRequest, now_ms: int) -> None:
    """Take a classic member in, or on to its next step."""
    subscription = subscription_of(body.protocols[0].metadata) if body.protocols else None
    error = _join_error(group, body, subscription)
    member_id = body.member_id
    if error is ErrorCode.NONE and not member_id:
        prefix = event.client_id if body.group_instance_id is None else body.group_instance_id
        member_id = f"{prefix}-{event.fresh_id}"
        if body.group_instance_id is None and event.version >= MEMBER_ID_REQUIRED_FROM:
            error = ErrorCode.MEMBER_ID_REQUIRED
    if error is not ErrorCode.NONE:
        protocol = None if event.version >= NULL_PROTOCOL_FROM else ""
        response = JoinGroupResponse(error_code=error, protocol_name=protocol, leader="", member_id=member_id)
        group.effects.append(Reply(event.token, response))
        return
    assert subscription is not None
    owner_id = group.statics.get(body.group_instance_id) if body.group_instance_id is not None else None
    if owner_id is not None:
        replace_static(group, group.members[owner_id], member_id)
    _subscribe(group, event, member_id, body, subscription)
    member = group.members[member_id]
    assign(group, event.topics, event.wall_ms)
    step_towards_target(group, member, _owned(subscription, event.topics), now_ms)
    group.heard(member, now_ms)
    member.join_deadline_ms = now_ms + member.subscription.rebalance_timeout_ms  # to sync
    group.watch(member.join_deadline_ms)
    response = JoinGroupResponse(
        generation_id=member.progress.epoch,
        protocol_type=CONSUMER_PROTOCOL_TYPE,
        protocol_name=body.protocols[0].name,
        leader="",
        member_id=member_id,
    )
    group.effects.append(Reply(event.token, response))


def _join_error(
    group: ConsumerGroup, body: JoinGroupRequest, subscription: ConsumerProtocolSubscription | None
) -> ErrorCode:
    config = group.config
    if not config.min_session_timeout_ms <= body.session_timeout_ms <= config.max_session_timeout_ms:
        return ErrorCode.INVALID_SESSION_TIMEOUT
    if body.protocol_type != CONSUMER_PROTOCOL_TYPE or subscription is None:
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    others = [
        member.subscription.classic
        for member in group.members.values()
        if member.subscription.classic is not None and member.member_id != body.member_id
    ]
    if others and not {row.name for row in body.protocols} & common_names(others):
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if body.group_instance_id is not None and body.member_id:
        error = group.member_error(body.member_id, body.group_instance_id)
        if error is not ErrorCode.NONE:
            return error
    is_known = body.member_id in group.members or body.group_instance_id in group.statics
    if not is_known and len(group.members) >= config.consumer_max_size:
        return ErrorCode.GROUP_MAX_SIZE_REACHED
    return ErrorCode.NONE


def _subscribe(
    group: ConsumerGroup,
    event: GroupRequest,
    member_id: str,
    body: JoinGroupRequest,
    subscription: ConsumerProtocolSubscription,
) -> None:
    said = Subscription(
        instance_id=body.group_instance_id,
        rack_id=subscription.rack_id,
        client_id=event.client_id,
        client_host=event.client_host,
        topics=tuple(sorted(subscription.topics)),
        rebalance_timeout_ms=rebalance_timeout_of(body),
        classic=protocols_of(body),
        session_timeout_ms=body.session_timeout_ms,
    )
    if subscribe(group, member_id, said):
        bump(group, event.topics)


def _owned(subscription: ConsumerProtocolSubscription, topics: TopicView) -> Partitions:
    found: set[tuple[bytes, int]] = set()
    for row in subscription.owned_partitions:
        shape = topics.shape(row.topic)
        if shape is not None:
            found.update((shape.topic_id, number) for number in row.partitions)
    return frozenset(found)


# -- sync, heartbeat, leave --------------------------------------------------------------------------------------------


def sync(group: ConsumerGroup, event: GroupRequest, body: SyncGroupRequest, now_ms: int) -> None:
    """Give a member what it is to own; there is no leader to bring anything."""
    error = _member_error(group, body.member_id, body.group_instance_id, body.generation_id)
    if error is ErrorCode.NONE:
        member = group.members[body.member_id]
        is_same = body.protocol_type in (None, CONSUMER_PROTOCOL_TYPE)
        if not is_same or body.protocol_name not in (None, _protocol_of(member)):
            error = ErrorCode.INCONSISTENT_GROUP_PROTOCOL
        elif member.progress.epoch < group.epoch and member.progress.state is not MemberState.UNREVOKED:
            error = ErrorCode.REBALANCE_IN_PROGRESS
            _expect_join(group, member, now_ms)
    if error is not ErrorCode.NONE:
        group.effects.append(Reply(event.token, SyncGroupResponse(error_code=error, assignment=b"")))
        return
    member.join_deadline_ms = NEVER_MS
    group.heard(member, now_ms)
    response = SyncGroupResponse(
        protocol_type=CONSUMER_PROTOCOL_TYPE,
        protocol_name=_protocol_of(member),
        assignment=assignment_bytes(member.progress.assigned, event.topics),
    )
    group.effects.append(Reply(event.token, response))


def heartbeat(group: ConsumerGroup, event: GroupRequest, body: HeartbeatRequest, now_ms: int) -> None:
    """Keep the member, and have it join again when there is a step for it to take."""
    error = _member_error(group, body.member_id, body.group_instance_id, body.generation_id)
    if error is ErrorCode.NONE:
        member = group.members[body.member_id]
        group.heard(member, now_ms)
        if group.must_rejoin(member):
            error = ErrorCode.REBALANCE_IN_PROGRESS
            _expect_join(group, member, now_ms)
    group.effects.append(Reply(event.token, HeartbeatResponse(error_code=error)))


def leave(group: ConsumerGroup, event: GroupRequest, body: LeaveGroupRequest) -> None:
    """Take the named members out, if they are classic ones; each has its own outcome."""
    is_one = event.version < LEAVE_SEVERAL_FROM
    identities = [MemberIdentity(member_id=body.member_id)] if is_one else body.members
    gone: dict[str, ConsumerMember] = {}
    rows = []
    for identity in identities:
        member_id, instance_id = identity.member_id, identity.group_instance_id
        if not member_id and instance_id is not None:
            member_id = group.statics.get(instance_id, "")
        error = group.member_error(member_id, instance_id)
        if error is ErrorCode.NONE and not group.members[member_id].is_classic:
            error = ErrorCode.UNKNOWN_MEMBER_ID
        if error is ErrorCode.NONE:
            gone[member_id] = group.members[member_id]
        rows.append(
            MemberResponse(member_id=identity.member_id, group_instance_id=instance_id, error_code=error)
        )
    remove(group, list(gone.values()), event.topics)
    response = LeaveGroupResponse(error_code=rows[0].error_code) if is_one else LeaveGroupResponse(members=rows)
    group.effects.append(Reply(event.token, response))


def _member_error(group: ConsumerGroup, member_id: str, instance_id: str | None, generation: int) -> ErrorCode:
    error = group.member_error(member_id, instance_id)
    if error is not ErrorCode.NONE:
        return error
    member = group.members[member_id]
    if not member.is_classic or member.progress.epoch == LEFT_FOR_A_WHILE:
        return ErrorCode.UNKNOWN_MEMBER_ID
    return ErrorCode.NONE if member.progress.epoch == generation else ErrorCode.ILLEGAL_GENERATION


def _protocol_of(member: ConsumerMember) -> str:
    """Nobody elects one: each goes on with the first of its own."""
    assert member.subscription.classic is not None
    return member.subscription.classic[0][0]


def _expect_join(group: ConsumerGroup, member: ConsumerMember, now_ms: int) -> None:
    """It was told to join again; its time to do so runs from the first time that it was."""
    if member.join_deadline_ms == NEVER_MS:
        member.join_deadline_ms = now_ms + member.subscription.rebalance_timeout_ms
        group.watch(member.join_deadline_ms)


def assignment_bytes(partitions: Partitions, topics: TopicView) -> bytes:
    """What a classic consumer finds in its SyncGroup answer."""
    rows = [
        AssignedTopic(topic=name, partitions=numbers)
        for topic_id, numbers in by_topic(partitions).items()
        if (name := topics.name_of(topic_id)) is not None
    ]
    return encode_with_version(ConsumerProtocolAssignment(assigned_partitions=rows), 0)

