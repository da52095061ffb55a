"""What a follower can get wrong."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from actors.follower_replica import FollowerReplica
from chaos.mutants.catalogue import Patches, mutant
from machines.follower import BatchesArrived, DivergenceFound, Effect, FollowerMachine, MoveHighWatermark, TruncateTo
from storage.log import Log


@mutant(
    "truncation-to-the-high-watermark",
    "a follower cuts its log at its own high watermark (before KIP-101)",
    hint=2,
)
def truncation_to_the_high_watermark(patches: Patches) -> None:
    def on_start(self: FollowerReplica) -> None:
        self.replica.log.truncate_to(max(self.replica.high_watermark, self.replica.log.log_start_offset))
        self.machine.log_end_offset = self.replica.log.log_end_offset
        self.machine.last_epoch = self.replica.log.last_epoch
        original(self)

    original = patches.replace(FollowerReplica, "on_start", on_start)


@mutant("old-leaders-are-not-fenced", "a follower takes batches of any leader epoch", hint=497)
def old_leaders_are_not_fenced(patches: Patches) -> None:
    def on_receive(self: FollowerReplica, message: Any) -> None:
        if hasattr(message, "broker_id"):
            message = replace(message, broker_id=self.leader_id)
        original(self, message)

    def on_batches(self: FollowerMachine, event: BatchesArrived, now_ms: int) -> list[Effect]:
        ours = replace(event, leader_epoch=self.leader_epoch, attempt=self.attempt)
        effects: list[Effect] = untouched(self, ours, now_ms)
        return effects

    original = patches.replace(FollowerReplica, "on_receive", on_receive)
    untouched = patches.replace(FollowerMachine, "_on_batches", on_batches)


@mutant("late-answers-truncate", "a divergence found for an older state of the log cuts the one of now", hint=39)
def late_answers_truncate(patches: Patches) -> None:
    def on_divergence(self: FollowerMachine, event: DivergenceFound, now_ms: int) -> list[Effect]:
        own_epoch, own_end = event.own_epoch_end
        self.is_synced = False
        target = event.end_offset if own_epoch == event.epoch or own_epoch < 0 else own_end
        return [TruncateTo(min(target, self.log_end_offset))]

    patches.replace(FollowerMachine, "_on_divergence", on_divergence)


@mutant("the-log-end-is-committed", "a follower takes all that it has for committed")
def the_log_end_is_committed(patches: Patches) -> None:
    def on_batches(self: FollowerMachine, event: BatchesArrived, now_ms: int) -> list[Effect]:
        effects: list[Effect] = original(self, event, now_ms)
        return [MoveHighWatermark(1 << 62, e.log_start_offset) if type(e) is MoveHighWatermark else e for e in effects]

    original = patches.replace(FollowerMachine, "_on_batches", on_batches)


@mutant("confirms-what-it-was-sent", "a follower confirms batches before they are in its log")
def confirms_what_it_was_sent(patches: Patches) -> None:
    def append(self: Log, batches: Any, now_ms: int = -1) -> Any:
        skipped = getattr(self, "_skipped_one", False)
        self._skipped_one = not skipped  # type: ignore[attr-defined]
        if skipped:
            return original(self, batches, now_ms)
        end = self.log_end_offset
        info = original(self, batches, now_ms)
        Log.truncate_to(self, end)
        self.log_end_offset = info.last_offset + 1
        return info

    original = patches.replace(Log, "append_as_follower", append)


@mutant("gaps-are-skipped", "a follower that missed a batch goes on with the next one", hint=3)
def gaps_are_skipped(patches: Patches) -> None:
    def on_batches(self: FollowerMachine, event: BatchesArrived, now_ms: int) -> list[Effect]:
        if event.base_offset > self.log_end_offset and event.attempt == self.attempt and self.is_synced:
            self.log_end_offset = event.base_offset
        effects: list[Effect] = original(self, event, now_ms)
        return effects

    original = patches.replace(FollowerMachine, "_on_batches", on_batches)


@mutant("an-empty-epoch-stays", "an epoch led without a record outlives the truncation that should end it", hint=2)
def an_empty_epoch_stays(patches: Patches) -> None:
    def truncate_to(self: Log, offset: int) -> None:
        if offset < self.log_end_offset:
            original(self, offset)

    original = Log.truncate_to
    patches.replace(Log.__mro__[1], "truncate_to", truncate_to)
