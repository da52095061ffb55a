"""Whom a leader pushes to: who asks to be, who is gone, who has to ask again.

A follower is pushed to from where its log and ours are the same. Where they disagree it is told so, truncates and asks
anew (KIP-101, KIP-320).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from machines.leader_events import (
    Effect,
    Followed,
    FollowerGone,
    LogStartMoved,
    Push,
    SendDiverged,
    SendLead,
    SendStartAt,
)

if TYPE_CHECKING:
    from machines.leader import LeaderMachine


def on_followed(leader: LeaderMachine, event: Followed, now_ms: int) -> list[Effect]:
    """A follower asks to be pushed to, and says where its log ends."""
    progress = leader.progress.get(event.follower)
    if progress is None or event.attempt < progress.attempt:  # an old question that comes late
        return []
    progress.incarnation, progress.attempt = event.incarnation, event.attempt
    progress.last_heard_ms = progress.led_ms = now_ms
    progress.is_gone = False
    progress.forget_in_flight()
    if event.log_end_offset < leader.log_start_offset or event.last_epoch > leader.leader_epoch:
        progress.is_following = False
        return [SendStartAt(event.follower, leader.log_start_offset, event.attempt)]
    if event.last_epoch >= 0:
        epoch, end_offset = event.epoch_end
        if epoch < 0:  # older than all that we keep: nothing of its log can be matched
            progress.is_following = False
            return [SendStartAt(event.follower, leader.log_start_offset, event.attempt)]
        if epoch < event.last_epoch or end_offset < event.log_end_offset:
            progress.is_following = False
            return [SendDiverged(event.follower, epoch, end_offset, event.attempt)]
    elif event.log_end_offset > leader.log_end_offset:  # it is empty, but stands where we have never been
        progress.is_following = False
        return [SendStartAt(event.follower, leader.log_start_offset, event.attempt)]
    progress.is_following = True
    progress.log_end_offset = progress.next_offset = event.log_end_offset
    progress.goal_offset, progress.goal_ms = leader.log_end_offset, now_ms
    if event.log_end_offset == leader.log_end_offset:
        progress.caught_up_ms = now_ms
    effects: list[Effect] = leader.push(event.follower, progress) or [
        Push(event.follower, event.log_end_offset, 0, event.attempt)
    ]
    effects += leader.advance()
    effects += leader.maybe_grow(event.follower, progress, now_ms)
    return effects


def on_gone(leader: LeaderMachine, event: FollowerGone) -> list[Effect]:
    """A follower's process is gone; what it acknowledged stays true, but nothing more goes to it."""
    progress = leader.progress.get(event.follower)
    if progress is not None:
        progress.is_following = False
        progress.is_gone = True
        progress.forget_in_flight()
    return []


def on_log_start(leader: LeaderMachine, event: LogStartMoved, now_ms: int) -> list[Effect]:
    """Whoever still needs what is gone has to ask again, to be told where to start."""
    leader.log_start_offset = event.log_start_offset
    effects: list[Effect] = []
    for follower, progress in leader.progress.items():
        if progress.is_following and progress.log_end_offset < event.log_start_offset:
            progress.is_following = False
            progress.forget_in_flight()
            progress.led_ms = now_ms
            effects.append(SendLead(follower))
    return effects
