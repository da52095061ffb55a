"""A follower of one partition: ask the leader, take what it pushes, cut what it never had.

Events in, effects out; the shell (`actors/follower_replica.py`) owns the log and the bus. The follower knows one leader
epoch at a time and drops whatever was said in another one. It truncates only on the word of the leader of its epoch,
by epoch and end offset (KIP-101, KIP-279), never to its own high watermark.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

ASK_AGAIN_AFTER_MS = 300


class Started(Struct, frozen=True):
    """The shell is ready; ask the leader."""


class LeaderAppeared(Struct, frozen=True):
    """The leader of `leader_epoch` says it is there (it started, or it lost its memory)."""

    leader_epoch: int


class BatchesArrived(Struct, frozen=True):
    """Pushed batches that start at `base_offset`, or only news when `size` is 0."""

    leader_epoch: int
    base_offset: int
    size: int
    high_watermark: int
    log_start_offset: int
    attempt: int


class LogChanged(Struct, frozen=True):
    """The shell appended or truncated as told: the log ends here now, its last batch has `last_epoch` (-1: empty)."""

    log_end_offset: int
    last_epoch: int


class DivergenceFound(Struct, frozen=True):
    """The leader's answer to a Follow: your last epoch is unknown here above (epoch, end_offset)."""

    leader_epoch: int
    epoch: int
    end_offset: int
    own_epoch_end: tuple[int, int]  # our log's own (epoch, end offset) for that epoch
    attempt: int


class StartMoved(Struct, frozen=True):
    """The leader no longer keeps what we would need."""

    leader_epoch: int
    log_start_offset: int
    attempt: int


class TimerFired(Struct, frozen=True):
    """Some hundred milliseconds went by."""


Event = Started | LeaderAppeared | BatchesArrived | LogChanged | DivergenceFound | StartMoved | TimerFired


class AskToFollow(Struct, frozen=True):
    """Send Follow to the leader."""

    log_end_offset: int
    last_epoch: int
    attempt: int


class AppendBatches(Struct, frozen=True):
    """Append what arrived, from the batch that starts at `from_offset`; then report LogChanged."""

    from_offset: int


class TruncateTo(Struct, frozen=True):
    """Cut the log at `offset`; then report LogChanged."""

    offset: int


class RestartAt(Struct, frozen=True):
    """Empty the log and start at `offset`; then report LogChanged."""

    offset: int


class Confirm(Struct, frozen=True):
    """Send Replicated to the leader."""

    log_end_offset: int


class MoveHighWatermark(Struct, frozen=True):
    """The leader's high watermark, as far as our log reaches, and its log start."""

    high_watermark: int
    log_start_offset: int


Effect = AskToFollow | AppendBatches | TruncateTo | RestartAt | Confirm | MoveHighWatermark


@dataclass(slots=True)
class FollowerMachine:
    """State of a followed partition within one leader epoch."""

    leader_epoch: int
    log_end_offset: int
    last_epoch: int
    is_synced: bool = False  # the leader accepted our log as a prefix of its own
    asked_ms: int = 0
    attempt: int = 0  # of Follow; answers to an older one are dropped

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        """Take one event in and say what is to be done, in order."""
        match event:
            case BatchesArrived():
                return self._on_batches(event, now_ms)
            case LogChanged():
                return self._on_log(event)
            case Started():
                return self._ask(now_ms)
            case LeaderAppeared():
                return self._ask(now_ms) if event.leader_epoch == self.leader_epoch else []
            case DivergenceFound():
                return self._on_divergence(event, now_ms)
            case StartMoved():
                if not self._is_awaited(event.leader_epoch, event.attempt):
                    return []
                self.asked_ms = now_ms
                return [RestartAt(event.log_start_offset)]
            case TimerFired():
                if self.is_synced or now_ms - self.asked_ms < ASK_AGAIN_AFTER_MS:
                    return []
                return self._ask(now_ms)

    def _ask(self, now_ms: int) -> list[Effect]:
        self.is_synced = False
        self.asked_ms = now_ms
        self.attempt += 1
        return [AskToFollow(self.log_end_offset, self.last_epoch, self.attempt)]

    def _is_awaited(self, leader_epoch: int, attempt: int) -> bool:
        return leader_epoch == self.leader_epoch and attempt == self.attempt and not self.is_synced

    def _on_batches(self, event: BatchesArrived, now_ms: int) -> list[Effect]:
        if event.leader_epoch != self.leader_epoch:
            return []
        if event.attempt != self.attempt:
            # a leader that lost its memory may have got an old question of ours: it would push like this for ever
            return self._ask(now_ms) if self.is_synced and self._may_ask(now_ms) else []
        if event.base_offset > self.log_end_offset:  # something was lost on the way
            return self._ask(now_ms) if self.is_synced or self._may_ask(now_ms) else []
        if not self.is_synced:
            if event.base_offset != self.log_end_offset:
                return []
            self.is_synced = True
        effects: list[Effect] = []
        if event.size:
            effects.append(AppendBatches(self.log_end_offset))
        effects.append(MoveHighWatermark(event.high_watermark, event.log_start_offset))
        return effects

    def _may_ask(self, now_ms: int) -> bool:
        return now_ms - self.asked_ms >= ASK_AGAIN_AFTER_MS

    def _on_log(self, event: LogChanged) -> list[Effect]:
        self.log_end_offset, self.last_epoch = event.log_end_offset, event.last_epoch
        if self.is_synced:
            return [Confirm(event.log_end_offset)]
        self.attempt += 1
        return [AskToFollow(event.log_end_offset, event.last_epoch, self.attempt)]

    def _on_divergence(self, event: DivergenceFound, now_ms: int) -> list[Effect]:
        """KIP-279: cut at the smaller of both ends of the largest epoch that both logs may share."""
        if not self._is_awaited(event.leader_epoch, event.attempt):
            return []
        own_epoch, own_end = event.own_epoch_end
        target = event.end_offset if own_epoch == event.epoch or own_epoch < 0 else own_end
        target = min(target, own_end if own_epoch >= 0 else target, self.log_end_offset)
        self.asked_ms = now_ms
        return [TruncateTo(target)]

    @property
    def is_quiet(self) -> bool:
        """Nothing will change without an event: the shell may leave this partition out of its timer round."""
        return self.is_synced

    def check(self) -> None:
        """The invariants that hold after every step."""
        assert self.log_end_offset >= 0
        assert self.last_epoch <= self.leader_epoch
