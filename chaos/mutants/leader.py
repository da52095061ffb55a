"""What a leader can get wrong."""

from __future__ import annotations

from typing import Any

import machines.leader
from actors.partition_leader import PartitionLeader
from actors.replica import Replica
from chaos.mutants.catalogue import Patches, mutant
from machines.follower_progress import Progress
from machines.leader import LeaderMachine
from machines.leader_events import (
    Acknowledge,
    AdvanceHighWatermark,
    AwaitCommit,
    Effect,
    Followed,
    SendDiverged,
)
from model.errors import ErrorCode


@mutant("ack-before-the-isr", "acks=all is answered when the leader alone has the record")
def ack_before_the_isr(patches: Patches) -> None:
    def on_await(self: LeaderMachine, event: AwaitCommit) -> list[Effect]:
        return [Acknowledge(event.token, ErrorCode.NONE)]

    patches.replace(LeaderMachine, "_on_await", on_await)


@mutant("high-watermark-is-the-log-end", "the leader calls everything committed that it has written")
def high_watermark_is_the_log_end(patches: Patches) -> None:
    patches.replace(LeaderMachine, "_counted", lambda self: (self.broker_id,))


@mutant("high-watermark-by-majority", "two of three are enough, whatever the ISR")
def high_watermark_by_majority(patches: Patches) -> None:
    original = LeaderMachine._counted

    def counted(self: LeaderMachine) -> Any:
        ends = {member: progress.log_end_offset for member, progress in self.progress.items()}
        best = sorted(ends, key=lambda member: -ends[member])[: len(self.replicas) // 2]
        return (*best, self.broker_id) if len(self.isr) > 1 else original(self)

    patches.replace(LeaderMachine, "_counted", counted)


@mutant("high-watermark-goes-back", "a follower that lost its end takes the high watermark down with it")
def high_watermark_goes_back(patches: Patches) -> None:
    def advance(self: LeaderMachine) -> list[Effect]:
        ends = [self.progress[member].log_end_offset for member in self._counted() if member in self.progress]
        self.high_watermark = max(0, min([self.log_end_offset, *ends]))
        effects: list[Effect] = [AdvanceHighWatermark(self.high_watermark)]
        while self.waiting and self.waiting[0][0] <= self.high_watermark:
            effects.append(Acknowledge(self.waiting.popleft()[1], ErrorCode.NONE))
        return effects

    def set_high_watermark(self: Replica, high_watermark: int) -> None:
        self.high_watermark = high_watermark
        self.wake()

    patches.replace(LeaderMachine, "advance", advance)
    patches.replace(Replica, "advance", set_high_watermark)


@mutant("isr-changes-before-the-controller-said-so", "what was proposed counts as decided")
def isr_changes_before_the_controller_said_so(patches: Patches) -> None:
    def propose(self: LeaderMachine, isr: Any, now_ms: int) -> list[Effect]:
        effects: list[Effect] = original(self, isr, now_ms)
        assert self.proposed_isr is not None
        self.isr = self.proposed_isr
        return effects

    original = patches.replace(LeaderMachine, "propose", propose)


@mutant(
    "shrinks-before-the-controller-said-so",
    "a member that was proposed for removal no longer holds up commits",
    hint=3,
)
def shrinks_before_the_controller_said_so(patches: Patches) -> None:
    def counted(self: LeaderMachine) -> Any:
        if self.proposed_isr is not None and set(self.proposed_isr) < set(self.isr):
            return self.proposed_isr
        return original(self)

    original = patches.replace(LeaderMachine, "_counted", counted)


@mutant(
    "proposed-members-do-not-count",
    "a member may be in the true ISR already, and commits do not wait for it",
    hint=10,
)
def proposed_members_do_not_count(patches: Patches) -> None:
    patches.replace(LeaderMachine, "_counted", lambda self: self.isr)


@mutant(
    "crash-forgets-the-proposal",
    "a leader that crashed and was restarted does not count on what it had proposed",
    hint=25,
)
def crash_forgets_the_proposal(patches: Patches) -> None:
    def post_init(self: LeaderMachine) -> None:
        self.is_resumed = False
        original(self)

    original = patches.replace(LeaderMachine, "__post_init__", post_init)


@mutant("joins-with-any-log", "a follower is proposed for the ISR as soon as it follows", hint=2)
def joins_with_any_log(patches: Patches) -> None:
    def maybe_grow(self: LeaderMachine, follower: int, progress: Progress, now_ms: int) -> list[Effect]:
        if follower in self.isr or self.proposed_isr is not None:
            return []
        return self.propose((*self.isr, follower), now_ms)

    patches.replace(LeaderMachine, "maybe_grow", maybe_grow)


@mutant("no-truncation", "whatever a follower's log holds is taken for a part of the leader's", hint=6)
def no_truncation(patches: Patches) -> None:
    def on_followed(self: LeaderMachine, event: Followed, now_ms: int) -> list[Effect]:
        effects: list[Effect] = original(self, _agreed(self, event), now_ms)
        return effects

    original = patches.replace(machines.leader, "on_followed", on_followed)


@mutant(
    "truncation-by-offset",
    "a follower's log is cut at the leader's end and not where their epochs part (KIP-101)",
    hint=6,
)
def truncation_by_offset(patches: Patches) -> None:
    def on_followed(self: LeaderMachine, event: Followed, now_ms: int) -> list[Effect]:
        if event.log_end_offset > self.log_end_offset:
            return [SendDiverged(event.follower, event.last_epoch, self.log_end_offset, event.attempt)]
        effects: list[Effect] = original(self, _agreed(self, event), now_ms)
        return effects

    original = patches.replace(machines.leader, "on_followed", on_followed)


@mutant("lead-is-never-said", "a leader that was restarted does not tell its followers so", hint=33)
def lead_is_never_said(patches: Patches) -> None:
    patches.replace(PartitionLeader, "_lead", lambda self, follower: None)


def _agreed(leader: LeaderMachine, event: Followed) -> Followed:
    """The question as if both logs were the same."""
    epoch, end = leader.leader_epoch, leader.log_end_offset
    log_end_offset = min(event.log_end_offset, end)
    return Followed(event.follower, event.incarnation, log_end_offset, epoch, (epoch, end), event.attempt)
