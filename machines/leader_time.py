"""What time does to a led partition: what was lost is sent again, proposals are repeated, laggards leave the ISR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from machines.leader_events import Effect, Push, SendLead

if TYPE_CHECKING:
    from machines.leader import LeaderMachine

RETRANSMIT_AFTER_MS = 400
PROPOSAL_RETRY_MS = 300
LEAD_AGAIN_MS = 500


def on_timer(leader: LeaderMachine, now_ms: int) -> list[Effect]:
    """Once per timer round, as long as the partition is not quiet."""
    effects: list[Effect] = []
    for follower, progress in leader.progress.items():
        if not progress.is_following:
            if not progress.is_gone and now_ms - progress.led_ms >= LEAD_AGAIN_MS:
                progress.led_ms = now_ms
                effects.append(SendLead(follower))
            continue
        behind = progress.log_end_offset < leader.log_end_offset
        if behind and now_ms - progress.last_heard_ms >= RETRANSMIT_AFTER_MS:
            progress.next_offset = progress.log_end_offset
            progress.forget_in_flight()
            progress.last_heard_ms = now_ms
        pushed = leader.push(follower, progress)
        if not pushed and progress.told_high_watermark < leader.high_watermark and not progress.in_flight_bytes:
            pushed = [Push(follower, progress.next_offset, 0, progress.attempt)]
        effects += pushed
    if leader.proposed_isr is not None:
        if now_ms - leader.proposed_ms >= PROPOSAL_RETRY_MS:
            effects += leader.propose_again(now_ms)
        return effects
    lagging = [r for r in leader.isr if r != leader.broker_id and _lags(leader, r, now_ms)]
    if lagging:
        effects += leader.propose([r for r in leader.isr if r not in lagging], now_ms)
        return effects
    for follower, progress in leader.progress.items():
        if progress.is_following:
            effects += leader.maybe_grow(follower, progress, now_ms)
    return effects


def _lags(leader: LeaderMachine, follower: int, now_ms: int) -> bool:
    progress = leader.progress.get(follower)
    if progress is None:
        return True
    if progress.is_following and progress.log_end_offset >= leader.log_end_offset:
        return False
    return now_ms - progress.caught_up_ms > leader.lag_time_max_ms
