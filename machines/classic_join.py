"""How a member gets into a classic group (JoinGroup).

- A dynamic member without an id gets one and comes back with it (v4+), so that a lost answer leaves no ghost behind.
- A static member (`group.instance.id`) without an id takes the place of its predecessor, who is fenced. While the
  group is stable and the protocol stays the same that costs no rebalance.
- A known member that joins again with nothing new is answered with the generation as it is, except the leader of a
  stable one: it asks for a rebalance that way.
"""

from __future__ import annotations

from machines.classic_group import ClassicGroup, GroupState
from machines.classic_member import (
    NEW_MEMBER_JOIN_TIMEOUT_MS,
    ClassicMember,
    common_protocols,
    elect_protocol,
    protocols_of,
    rebalance_timeout_of,
    topics_of,
)
from machines.classic_rebalance import dismiss, maybe_complete_join, prepare_rebalance
from machines.group_events import GroupRequest, Recall
from model.error_codes import ErrorCode
from protocol.k11_join_group import JoinGroupRequest

MEMBER_ID_REQUIRED_FROM = 4
SKIP_ASSIGNMENT_FROM = 9


def join(group: ClassicGroup, event: GroupRequest, body: JoinGroupRequest, now_ms: int) -> None:
    """Take a JoinGroup in; it is answered now or when the others have come."""
    error = _join_error(group, body)
    if error is not ErrorCode.NONE:
        group.refuse_join(event, error, body.member_id)
    elif body.member_id:
        _join_known(group, event, body, now_ms)
    elif body.group_instance_id is not None:
        _join_static(group, event, body, now_ms)
    elif event.version >= MEMBER_ID_REQUIRED_FROM:
        member_id = f"{event.client_id}-{event.fresh_id}"
        group.pending[member_id] = now_ms + body.session_timeout_ms
        group.watch(group.pending[member_id])
        group.refuse_join(event, ErrorCode.MEMBER_ID_REQUIRED, member_id)
    else:
        _add(group, event, body, f"{event.client_id}-{event.fresh_id}", now_ms)


def _join_error(group: ClassicGroup, body: JoinGroupRequest) -> ErrorCode:
    config = group.config
    if not config.min_session_timeout_ms <= body.session_timeout_ms <= config.max_session_timeout_ms:
        return ErrorCode.INVALID_SESSION_TIMEOUT
    if not body.protocol_type or not body.protocols:
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if group.members:
        names = {row.name for row in body.protocols}
        others = [member for member in group.members.values() if member.member_id != body.member_id]
        if body.protocol_type != group.protocol_type or (others and not names & common_protocols(others)):
            return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if not _has_room(group, body):
        return ErrorCode.GROUP_MAX_SIZE_REACHED
    return ErrorCode.NONE


def _has_room(group: ClassicGroup, body: JoinGroupRequest) -> bool:
    member = group.members.get(body.member_id)
    if group.state is GroupState.PREPARING_REBALANCE:
        if member is not None and member.joining is not None:
            return True
        return sum(m.joining is not None for m in group.members.values()) < group.config.max_size
    return member is not None or body.group_instance_id in group.statics or len(group.members) < group.config.max_size


def _join_known(group: ClassicGroup, event: GroupRequest, body: JoinGroupRequest, now_ms: int) -> None:
    if body.member_id in group.pending:
        del group.pending[body.member_id]
        _add(group, event, body, body.member_id, now_ms)
        return
    error = group.member_error(body.member_id, body.group_instance_id)
    if error is not ErrorCode.NONE:
        group.refuse_join(event, error, body.member_id)
        return
    member = group.members[body.member_id]
    is_same = member.protocols == protocols_of(body)
    if is_same and (
        group.state is GroupState.COMPLETING_REBALANCE
        or (group.state is GroupState.STABLE and member.member_id != group.leader)
    ):
        member.heard(now_ms)
        group.answer_join(event, member)
        return
    _rejoin(group, member, event, body, now_ms)


def _add(group: ClassicGroup, event: GroupRequest, body: JoinGroupRequest, member_id: str, now_ms: int) -> None:
    """A new member: it waits for the next generation."""
    member = ClassicMember(
        member_id,
        body.group_instance_id,
        event.client_id,
        event.client_host,
        rebalance_timeout_of(body),
        body.session_timeout_ms,
        protocols_of(body),
        deadline_ms=now_ms + NEW_MEMBER_JOIN_TIMEOUT_MS,
        is_new=True,
        joining=event,
    )
    if not group.members:
        group.protocol_type = body.protocol_type
    group.members[member_id] = member
    if body.group_instance_id is not None:
        group.statics[body.group_instance_id] = member_id
    group.leader = group.leader or member_id
    group.has_newcomer = True
    group.watch(member.deadline_ms)
    _rebalance(group, event.wall_ms, now_ms)


def _rejoin(
    group: ClassicGroup, member: ClassicMember, event: GroupRequest, body: JoinGroupRequest, now_ms: int
) -> None:
    """A member joins the rebalance under way, or its joining starts one."""
    if member.joining is not None:  # it asks again over a new connection
        group.refuse_join(member.joining, ErrorCode.REBALANCE_IN_PROGRESS, member.member_id)
    member.update(body)
    member.client_id, member.client_host = event.client_id, event.client_host
    if member.syncing is not None:
        dismiss(group, member, ErrorCode.REBALANCE_IN_PROGRESS)
    member.joining = event
    _rebalance(group, event.wall_ms, now_ms)


def _rebalance(group: ClassicGroup, wall_ms: int, now_ms: int) -> None:
    if group.state is GroupState.PREPARING_REBALANCE:
        maybe_complete_join(group, wall_ms, now_ms)
    else:
        prepare_rebalance(group, wall_ms, now_ms)


def _join_static(group: ClassicGroup, event: GroupRequest, body: JoinGroupRequest, now_ms: int) -> None:
    assert body.group_instance_id is not None
    member_id = f"{body.group_instance_id}-{event.fresh_id}"
    former_id = group.statics.get(body.group_instance_id)
    if former_id is None:
        _add(group, event, body, member_id, now_ms)
        return
    former = group.members[former_id]
    dismiss(group, former, ErrorCode.FENCED_INSTANCE_ID)
    if group.state is GroupState.STABLE and _changes_nothing(group, former, body):
        _take_place(group, former, event, body, member_id, now_ms)
        return
    led = group.leader == former_id
    group.members = {
        (member_id if id_ == former_id else id_): member for id_, member in group.members.items()
    }
    former.member_id = member_id
    group.statics[body.group_instance_id] = member_id
    if led:
        group.leader = member_id
    group.heard(former, now_ms)
    _rejoin(group, former, event, body, now_ms)


def _changes_nothing(group: ClassicGroup, former: ClassicMember, body: JoinGroupRequest) -> bool:
    """Whether the successor of a static member may just go on: same assignor for all, same topics for itself."""
    successor = ClassicMember("", None, "", "", 0, 0, protocols_of(body))
    others = [member for member in group.members.values() if member is not former]
    if not common_protocols([*others, successor]) or elect_protocol([*others, successor]) != group.protocol:
        return False
    before, after = former.metadata(group.protocol), successor.metadata(group.protocol)
    topics = topics_of(before)
    return before == after or topics is None or topics == topics_of(after)


def _take_place(
    group: ClassicGroup,
    former: ClassicMember,
    event: GroupRequest,
    body: JoinGroupRequest,
    member_id: str,
    now_ms: int,
) -> None:
    """The successor gets the id, the assignment stays: written down so that the next coordinator knows the new id."""
    former_leader = group.leader
    value = group.to_value(group.state_since_ms)
    for record in value.members:
        if record.member_id == former.member_id:
            record.member_id = member_id
            record.client_id, record.client_host = event.client_id, event.client_host
            record.session_timeout, record.rebalance_timeout = body.session_timeout_ms, rebalance_timeout_of(body)
            record.subscription = dict(protocols_of(body)).get(group.protocol or "", b"")
    if value.leader == former.member_id:
        value.leader = member_id
    group.write(value)
    group.effects.append(Recall())
    member = group.members[member_id]
    member.update(body)
    group.heard(member, now_ms)
    if event.version < SKIP_ASSIGNMENT_FROM:
        # The former leader is named: a client that doesn't find itself in that place won't compute an assignment.
        group.answer_join(event, member, former_leader)
    else:
        group.answer_join(event, member, may_skip=True)
