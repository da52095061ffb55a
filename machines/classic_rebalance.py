"""How one generation of a classic group follows the other: who is waited for, who is out, and what time does to it."""

from __future__ import annotations

from machines.classic_group import ClassicGroup, GroupState
from machines.classic_member import ClassicMember, elect_protocol
from machines.group_events import NEVER_MS, Recall
from model.error_codes import ErrorCode


def remove(group: ClassicGroup, member: ClassicMember, wall_ms: int, now_ms: int) -> None:
    """A member is out; the others share anew what it had."""
    _drop(group, member, ErrorCode.UNKNOWN_MEMBER_ID)
    if group.state in (GroupState.STABLE, GroupState.COMPLETING_REBALANCE):
        prepare_rebalance(group, wall_ms, now_ms)
    elif group.state is GroupState.PREPARING_REBALANCE:
        maybe_complete_join(group, wall_ms, now_ms)


def _drop(group: ClassicGroup, member: ClassicMember, error: ErrorCode) -> None:
    dismiss(group, member, error)
    del group.members[member.member_id]
    if member.group_instance_id is not None and group.statics.get(member.group_instance_id) == member.member_id:
        del group.statics[member.group_instance_id]
    if group.leader == member.member_id:
        group.leader = next(iter(group.members), None)


def dismiss(group: ClassicGroup, member: ClassicMember, error: ErrorCode) -> None:
    """Answer whatever a member waits for with an error."""
    joining, member.joining = member.joining, None
    syncing, member.syncing = member.syncing, None
    if joining is not None:
        group.refuse_join(joining, error, member.member_id)
    if syncing is not None:
        group.answer_sync(syncing, error)


def prepare_rebalance(group: ClassicGroup, wall_ms: int, now_ms: int) -> None:
    """Begin the next generation: everyone is to join (again), and hears of it if its heartbeat is here."""
    if group.state is GroupState.STABLE:
        group.effects.append(Recall())
    for member in group.members.values():
        syncing, member.syncing = member.syncing, None
        if syncing is not None:
            group.answer_sync(syncing, ErrorCode.REBALANCE_IN_PROGRESS)
            group.heard(member, now_ms)
    timeout_ms = max((member.rebalance_timeout_ms for member in group.members.values()), default=0)
    delay_ms = group.config.initial_rebalance_delay_ms
    group.is_delayed = group.state is GroupState.EMPTY and delay_ms > 0
    if group.is_delayed:
        group.delay_left_ms = max(timeout_ms - delay_ms, 0)
        timeout_ms = delay_ms
        group.has_newcomer = False
    group.state = GroupState.PREPARING_REBALANCE
    group.unsynced.clear()
    group.set_phase_deadline(now_ms + timeout_ms)
    maybe_complete_join(group, wall_ms, now_ms)


def maybe_complete_join(group: ClassicGroup, wall_ms: int, now_ms: int) -> None:
    """Go on as soon as every member waits and every id that was handed out has been used."""
    if group.state is not GroupState.PREPARING_REBALANCE or group.is_delayed or group.pending:
        return
    if all(member.joining is not None for member in group.members.values()):
        _complete_join(group, wall_ms, now_ms)


def _on_join_deadline(group: ClassicGroup, wall_ms: int, now_ms: int) -> None:
    if group.is_delayed and group.has_newcomer and group.delay_left_ms > 0:
        delay_ms = min(group.config.initial_rebalance_delay_ms, group.delay_left_ms)
        group.delay_left_ms -= delay_ms
        group.has_newcomer = False
        group.set_phase_deadline(now_ms + delay_ms)
        return
    _complete_join(group, wall_ms, now_ms)


def _complete_join(group: ClassicGroup, wall_ms: int, now_ms: int) -> None:
    """The joining is over: whoever has not come is out, except static members, who have their session to come back.

    With none there but absent static members there is nobody to lead: the joining goes on until one comes or all
    are late.
    """
    group.is_delayed = False
    for member in [m for m in group.members.values() if m.joining is None and m.group_instance_id is None]:
        _drop(group, member, ErrorCode.UNKNOWN_MEMBER_ID)
    present = [member for member in group.members.values() if member.joining is not None]
    if group.members and not present:
        timeout_ms = max(member.rebalance_timeout_ms for member in group.members.values())
        group.set_phase_deadline(now_ms + timeout_ms)
        return
    group.generation += 1
    if not group.members:
        group.phase_deadline_ms = NEVER_MS
        group.protocol = group.leader = None
        group.write(group.to_value(wall_ms))
        return
    if group.leader not in group.members or group.members[group.leader].joining is None:
        group.leader = present[0].member_id
    group.protocol = elect_protocol(list(group.members.values()))
    group.state = GroupState.COMPLETING_REBALANCE
    group.unsynced = set(group.members)
    group.set_phase_deadline(now_ms + max(member.rebalance_timeout_ms for member in group.members.values()))
    for member in present:
        joining, member.joining = member.joining, None
        member.is_new = False
        assert joining is not None
        group.answer_join(joining, member)
        group.heard(member, now_ms)


def _on_sync_deadline(group: ClassicGroup, wall_ms: int, now_ms: int) -> None:
    """Some have not synced within the rebalance timeout: they are out, and the others begin anew."""
    for member_id in group.unsynced & group.members.keys():
        _drop(group, group.members[member_id], ErrorCode.UNKNOWN_MEMBER_ID)
    prepare_rebalance(group, wall_ms, now_ms)


def on_timer(group: ClassicGroup, wall_ms: int, now_ms: int) -> None:
    """Put out who is late, end the phase that is over, look when to come again."""
    for member_id in [id_ for id_, deadline_ms in group.pending.items() if now_ms >= deadline_ms]:
        del group.pending[member_id]
    for member in [member for member in group.members.values() if member.is_late(now_ms)]:
        if member.member_id in group.members and member.is_late(now_ms):
            remove(group, member, wall_ms, now_ms)
    maybe_complete_join(group, wall_ms, now_ms)
    if now_ms >= group.phase_deadline_ms:
        if group.state is GroupState.PREPARING_REBALANCE:
            _on_join_deadline(group, wall_ms, now_ms)
        elif group.members:
            _on_sync_deadline(group, wall_ms, now_ms)
    deadlines = [m.deadline_ms for m in group.members.values() if m.is_new or not m.is_waiting]
    group.next_deadline_ms = min([group.phase_deadline_ms, *group.pending.values(), *deadlines], default=NEVER_MS)


def start_sessions(group: ClassicGroup, now_ms: int) -> None:
    """A new coordinator has replayed the group: every session starts anew.

    More members than `group.max.size` (it was lowered) are to join again, and the last of them find no room.
    """
    for member in group.members.values():
        group.heard(member, now_ms)
    if len(group.members) > group.config.max_size:
        prepare_rebalance(group, group.state_since_ms, now_ms)
