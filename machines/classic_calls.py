"""What a member of a classic group asks for once it is in: its assignment, a heartbeat, to leave."""

from __future__ import annotations

from machines.classic_group import ClassicGroup, GroupState
from machines.classic_rebalance import maybe_complete_join, remove
from machines.group_events import NEVER_MS, GroupRequest, Hold
from model.error_codes import ErrorCode
from protocol.k12_heartbeat import HeartbeatRequest, HeartbeatResponse
from protocol.k13_leave_group import LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse
from protocol.k14_sync_group import SyncGroupRequest

LEAVE_SEVERAL_FROM = 3
HOLD_MS = 2_900
"""A heartbeat is held a little less than the interval that clients beat in by default: most of the time one is here."""


def heartbeat(group: ClassicGroup, event: GroupRequest, body: HeartbeatRequest, now_ms: int) -> None:
    """Keep the member; where nothing is new and the client can wait, the answer is held until something is."""
    error = group.member_error(body.member_id, body.group_instance_id)
    if error is ErrorCode.NONE and body.generation_id != group.generation:
        error = ErrorCode.ILLEGAL_GENERATION
    if error is ErrorCode.NONE:
        member = group.members[body.member_id]
        member.heard(now_ms)
        if group.state is GroupState.PREPARING_REBALANCE:
            error = ErrorCode.REBALANCE_IN_PROGRESS
        elif event.may_wait and group.state is GroupState.STABLE and member.group_instance_id is None:
            group.effects.append(Hold(event.token, min(HOLD_MS, member.session_timeout_ms // 3)))
            return
    group.reply(event, HeartbeatResponse(error_code=error), is_urgent=True)


def sync(group: ClassicGroup, event: GroupRequest, body: SyncGroupRequest, now_ms: int) -> None:
    """Give a member its assignment; the leader brings everyone's."""
    error = _sync_error(group, body)
    if error is not ErrorCode.NONE:
        group.answer_sync(event, error)
        return
    member = group.members[body.member_id]
    group.unsynced.discard(member.member_id)
    if group.state is GroupState.STABLE:
        group.answer_sync(event, ErrorCode.NONE, member)
        group.heard(member, now_ms)
        if not group.unsynced:
            group.phase_deadline_ms = NEVER_MS
        return
    if member.syncing is not None:  # it asks again over a new connection
        group.answer_sync(member.syncing, ErrorCode.REBALANCE_IN_PROGRESS)
    member.syncing = event
    if member.member_id == group.leader:
        _assign(group, {row.member_id: bytes(row.assignment) for row in body.assignments}, event.wall_ms, now_ms)


def _sync_error(group: ClassicGroup, body: SyncGroupRequest) -> ErrorCode:
    error = group.member_error(body.member_id, body.group_instance_id)
    if error is not ErrorCode.NONE:
        return error
    if body.generation_id != group.generation:
        return ErrorCode.ILLEGAL_GENERATION
    if body.protocol_type is not None and body.protocol_type != group.protocol_type:
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if body.protocol_name is not None and body.protocol_name != group.protocol:
        return ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    if group.state is GroupState.PREPARING_REBALANCE:
        return ErrorCode.REBALANCE_IN_PROGRESS
    return ErrorCode.NONE


def _assign(group: ClassicGroup, assignments: dict[str, bytes], wall_ms: int, now_ms: int) -> None:
    """The leader's word: write the generation down and tell everyone who waits."""
    value = group.to_value(wall_ms)
    for record in value.members:
        record.assignment = assignments.get(record.member_id, b"")
    group.write(value)
    if not group.unsynced:
        group.phase_deadline_ms = NEVER_MS
    for member in group.members.values():
        waiting, member.syncing = member.syncing, None
        if waiting is not None:
            group.answer_sync(waiting, ErrorCode.NONE, member)
        group.heard(member, now_ms)


def leave(group: ClassicGroup, event: GroupRequest, body: LeaveGroupRequest, now_ms: int) -> None:
    """Take the named members out; each has its own outcome."""
    if event.version < LEAVE_SEVERAL_FROM:
        error = _leave_one(group, MemberIdentity(member_id=body.member_id), event.wall_ms, now_ms)
        group.reply(event, LeaveGroupResponse(error_code=error))
        return
    rows = []
    for member in body.members:
        error = _leave_one(group, member, event.wall_ms, now_ms)
        rows.append(
            MemberResponse(
                member_id=member.member_id, group_instance_id=member.group_instance_id, error_code=error
            )
        )
    group.reply(event, LeaveGroupResponse(members=rows))


def _leave_one(group: ClassicGroup, member: MemberIdentity, wall_ms: int, now_ms: int) -> ErrorCode:
    member_id, instance_id = member.member_id, member.group_instance_id
    if not member_id and instance_id is not None:  # an operator takes out whoever has the instance id
        member_id = group.statics.get(instance_id, "")
    if member_id in group.pending:
        del group.pending[member_id]
        maybe_complete_join(group, wall_ms, now_ms)
        return ErrorCode.NONE
    error = group.member_error(member_id, instance_id)
    if error is ErrorCode.NONE:
        remove(group, group.members[member_id], wall_ms, now_ms)
    return error
