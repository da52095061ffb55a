"""The leader of one partition: who has what, how far it is committed, who is in sync.

Events in, effects out; the shell (`actors/partition_leader.py`) owns the log and the bus. One append is one event,
whatever number of records it holds.

The rules that keep acked data:
- the high watermark is the least log end over the ISR, together with every member of an ISR that was proposed but not
  yet answered (the larger set is the safe one), and never goes back;
- a follower joins the ISR only when it holds everything below the high watermark *and* everything from before this
  epoch (Kafka's KAFKA-7128), and counts as joined only when the controller has said so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from machines.follower_progress import Progress
from machines.leader_events import (
    Acknowledge,
    AdvanceHighWatermark,
    Appended,
    AwaitCommit,
    CreditReturned,
    Effect,
    Event,
    Followed,
    FollowerGone,
    FollowerReplicated,
    IsrCommitted,
    IsrRefused,
    LogStartMoved,
    ProposeIsr,
    Push,
    Pushed,
    SendDiverged,
    SendLead,
    SendStartAt,
    TimerFired,
)
from model.errors import ErrorCode

RETRANSMIT_AFTER_MS = 400
PROPOSAL_RETRY_MS = 300
LEAD_AGAIN_MS = 500


@dataclass(slots=True)
class LeaderMachine:
    """State of a led partition, from the moment the controller named us.

    `log_end_offset` and `high_watermark` start from the local log; `epoch_start_offset` is where this epoch begins.
    `is_resumed`: a machine before this one led in the same epoch and was lost. What it proposed may yet be accepted, so
    every replica is at stake until our own ISR, proposed as it is, has voided that.
    """

    broker_id: int
    leader_epoch: int
    partition_epoch: int
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    log_start_offset: int
    log_end_offset: int
    high_watermark: int
    min_insync_replicas: int = 1
    lag_time_max_ms: int = 30_000
    window_bytes: int = 8 << 20
    push_bytes: int = 1 << 20
    started_ms: int = 0
    is_resumed: bool = False
    epoch_start_offset: int = field(init=False)
    progress: dict[int, Progress] = field(init=False)
    proposed_isr: tuple[int, ...] | None = None
    proposed_incarnations: tuple[int, ...] = ()
    proposed_ms: int = 0
    at_stake: set[int] = field(default_factory=set)  # members of every proposal made in this partition epoch
    waiting: deque[tuple[int, object]] = field(default_factory=deque)  # (offset that must be committed, token)

    def __post_init__(self) -> None:
        self.epoch_start_offset = self.log_end_offset
        self.progress = {}
        self._meet(self.replicas, self.started_ms)
        if self.is_resumed:
            self.at_stake.update(self.replicas)
            self._propose_as_it_is(self.started_ms - PROPOSAL_RETRY_MS)

    def step(self, event: Event, now_ms: int) -> list[Effect]:
        """Take one event in and say what is to be done, in order."""
        match event:
            case Appended():
                return self._on_appended(event, now_ms)
            case AwaitCommit():
                return self._on_await(event)
            case FollowerReplicated():
                return self._on_replicated(event, now_ms)
            case Pushed():
                self._on_pushed(event)
                return []
            case Followed():
                return self._on_followed(event, now_ms)
            case CreditReturned():
                return self._on_credit(event)
            case TimerFired():
                return self._on_timer(now_ms)
            case IsrCommitted():
                return self._on_isr(event, now_ms)
            case IsrRefused():
                if self.proposed_isr is not None:
                    self._propose_as_it_is(now_ms)
                return []
            case FollowerGone():
                return self._on_gone(event, now_ms)
            case LogStartMoved():
                return self._on_log_start(event, now_ms)

    def lead_alone(self) -> list[Effect]:
        """With nobody else in the ISR our whole log is committed at once."""
        return self._advance()

    # -- records in, acknowledgements out --------------------------------------------------------------------------

    def _on_appended(self, event: Appended, now_ms: int) -> list[Effect]:
        effects: list[Effect] = []
        before = self.log_end_offset
        self.log_end_offset = event.log_end_offset
        for follower, progress in self.progress.items():
            if not progress.is_following:
                continue
            if progress.log_end_offset >= before:
                progress.caught_up_ms = progress.last_heard_ms = now_ms
                progress.goal_offset, progress.goal_ms = event.log_end_offset, now_ms
            effects += self._push(follower, progress)
        effects += self._advance()
        return effects

    def _on_await(self, event: AwaitCommit) -> list[Effect]:
        if event.offset <= self.high_watermark:
            return [Acknowledge(event.token, self._commit_error())]
        waiting = self.waiting
        if waiting and event.offset < waiting[-1][0]:  # the retry of a batch that stands before what others wait for
            place = next(at for at, (offset, _) in enumerate(waiting) if offset > event.offset)
            waiting.insert(place, (event.offset, event.token))
        else:
            waiting.append((event.offset, event.token))
        return []

    def _commit_error(self) -> ErrorCode:
        if not self.has_enough_replicas:
            return ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND
        return ErrorCode.NONE

    @property
    def has_enough_replicas(self) -> bool:
        """Whether acks=all may be accepted now: `min.insync.replicas`, but never more than there are replicas, as in
        Kafka. A topic of one replica can be written to although the brokers' default asks for two."""
        return len(self.isr) >= min(self.min_insync_replicas, len(self.replicas))

    def _on_replicated(self, event: FollowerReplicated, now_ms: int) -> list[Effect]:
        progress = self.progress.get(event.follower)
        if progress is None or not progress.is_following or event.log_end_offset > self.log_end_offset:
            return []
        progress.last_heard_ms = now_ms
        if event.log_end_offset > progress.log_end_offset:
            progress.log_end_offset = event.log_end_offset
        if progress.next_offset < event.log_end_offset:
            progress.next_offset = event.log_end_offset
        while progress.in_flight and progress.in_flight[0][0] <= progress.log_end_offset:
            progress.in_flight_bytes -= progress.in_flight.popleft()[1]
        if progress.log_end_offset >= progress.goal_offset:
            progress.caught_up_ms = max(progress.caught_up_ms, progress.goal_ms)
            progress.goal_offset, progress.goal_ms = self.log_end_offset, now_ms
        if progress.log_end_offset == self.log_end_offset:
            progress.caught_up_ms = now_ms
        effects = self._push(event.follower, progress) if progress.next_offset < self.log_end_offset else []
        effects += self._advance()
        if event.follower not in self.isr:
            effects += self._maybe_grow(event.follower, progress, now_ms)
        return effects

    # -- pushing ---------------------------------------------------------------------------------------------------

    def _push(self, follower: int, progress: Progress) -> list[Effect]:
        if not progress.is_following or progress.next_offset >= self.log_end_offset:
            return []
        room = self.window_bytes - progress.in_flight_bytes
        if room <= 0:
            return []
        return [Push(follower, progress.next_offset, min(room, self.push_bytes), progress.attempt)]

    def _on_credit(self, event: CreditReturned) -> list[Effect]:
        progress = self.progress.get(event.follower)
        if progress is None:
            return []
        progress.is_gone = False
        return self._push(event.follower, progress)

    def _on_pushed(self, event: Pushed) -> None:
        """The shell sent these bytes; nothing in flight is assumed until it says so."""
        progress = self.progress[event.follower]
        progress.next_offset = event.next_offset
        if event.size:
            progress.in_flight.append((event.next_offset, event.size))
            progress.in_flight_bytes += event.size
        progress.told_high_watermark = event.high_watermark

    def _on_followed(self, event: Followed, now_ms: int) -> list[Effect]:
        progress = self.progress.get(event.follower)
        if progress is None or event.attempt < progress.attempt:  # an old question that comes late
            return []
        progress.incarnation, progress.attempt = event.incarnation, event.attempt
        progress.last_heard_ms = progress.led_ms = now_ms
        progress.is_gone = False
        progress.forget_in_flight()
        if event.log_end_offset < self.log_start_offset or event.last_epoch > self.leader_epoch:
            progress.is_following = False
            return [SendStartAt(event.follower, self.log_start_offset, event.attempt)]
        if event.last_epoch >= 0:
            epoch, end_offset = event.epoch_end
            if epoch < 0:  # older than all that we keep: nothing of its log can be matched
                progress.is_following = False
                return [SendStartAt(event.follower, self.log_start_offset, event.attempt)]
            if epoch < event.last_epoch or end_offset < event.log_end_offset:
                progress.is_following = False
                return [SendDiverged(event.follower, epoch, end_offset, event.attempt)]
        elif event.log_end_offset > self.log_end_offset:  # it is empty, but stands where we have never been
            progress.is_following = False
            return [SendStartAt(event.follower, self.log_start_offset, event.attempt)]
        progress.is_following = True
        progress.log_end_offset = progress.next_offset = event.log_end_offset
        progress.goal_offset, progress.goal_ms = self.log_end_offset, now_ms
        if event.log_end_offset == self.log_end_offset:
            progress.caught_up_ms = now_ms
        effects: list[Effect] = self._push(event.follower, progress) or [
            Push(event.follower, event.log_end_offset, 0, event.attempt)
        ]
        effects += self._advance()
        effects += self._maybe_grow(event.follower, progress, now_ms)
        return effects

    # -- the high watermark ----------------------------------------------------------------------------------------

    def _counted(self) -> Iterable[int]:
        return self.isr if not self.at_stake else self.at_stake.union(self.isr)

    def _advance(self) -> list[Effect]:
        committed = self.log_end_offset
        for member in self._counted():
            if member != self.broker_id:
                progress = self.progress.get(member)
                reached = progress.log_end_offset if progress is not None else -1
                if reached < committed:
                    committed = reached
            if committed <= self.high_watermark:
                return []
        self.high_watermark = committed
        effects: list[Effect] = [AdvanceHighWatermark(committed)]
        error = self._commit_error()
        while self.waiting and self.waiting[0][0] <= committed:
            effects.append(Acknowledge(self.waiting.popleft()[1], error))
        return effects

    # -- the ISR ---------------------------------------------------------------------------------------------------

    def _maybe_grow(self, follower: int, progress: Progress, now_ms: int) -> list[Effect]:
        if follower in self.isr or self.proposed_isr is not None:
            return []
        if progress.log_end_offset < max(self.high_watermark, self.epoch_start_offset):
            return []
        return self._propose((*self.isr, follower), now_ms)

    def _propose(self, isr: Sequence[int], now_ms: int) -> list[Effect]:
        self.proposed_isr = tuple(r for r in self.replicas if r in isr)
        self.proposed_incarnations = tuple(
            self.progress[r].incarnation if r != self.broker_id else -1 for r in self.proposed_isr
        )
        self.at_stake.update(self.proposed_isr)
        return self._propose_again(now_ms)

    def _propose_as_it_is(self, proposed_ms: int) -> None:
        """At the next timer: nobody joins, so nobody's life is checked; what was proposed before is void after it."""
        self.proposed_isr, self.proposed_ms = self.isr, proposed_ms
        self.proposed_incarnations = (-1,) * len(self.isr)

    def _propose_again(self, now_ms: int) -> list[Effect]:
        """Of the same lives as before: a member that came back since may have lost what it was proposed for."""
        assert self.proposed_isr is not None
        self.proposed_ms = now_ms
        return [ProposeIsr(self.proposed_isr, self.proposed_incarnations, self.partition_epoch)]

    def _on_isr(self, event: IsrCommitted, now_ms: int) -> list[Effect]:
        if event.partition_epoch <= self.partition_epoch:
            return []
        self.partition_epoch = event.partition_epoch
        self.isr = event.isr
        self.replicas = event.replicas
        self.proposed_isr = None
        self.at_stake.clear()
        self._meet(event.replicas, now_ms)
        effects = self._advance()
        for follower, progress in self.progress.items():
            if progress.is_following:
                effects += self._maybe_grow(follower, progress, now_ms)
        return effects

    def _meet(self, replicas: Iterable[int], now_ms: int) -> None:
        wanted = [r for r in replicas if r != self.broker_id]
        known = self.progress
        self.progress = {
            r: known.get(r) or Progress(caught_up_ms=now_ms, last_heard_ms=now_ms, led_ms=now_ms) for r in wanted
        }

    def _on_gone(self, event: FollowerGone, now_ms: int) -> list[Effect]:
        """A follower's process is gone; what it acknowledged stays true, but nothing more goes to it."""
        progress = self.progress.get(event.follower)
        if progress is not None:
            progress.is_following = False
            progress.is_gone = True
            progress.forget_in_flight()
        return []

    def _on_log_start(self, event: LogStartMoved, now_ms: int) -> list[Effect]:
        """Whoever still needs what is gone has to ask again, to be told where to start."""
        self.log_start_offset = event.log_start_offset
        effects: list[Effect] = []
        for follower, progress in self.progress.items():
            if progress.is_following and progress.log_end_offset < event.log_start_offset:
                progress.is_following = False
                progress.forget_in_flight()
                progress.led_ms = now_ms
                effects.append(SendLead(follower))
        return effects

    # -- time ------------------------------------------------------------------------------------------------------

    def _on_timer(self, now_ms: int) -> list[Effect]:
        effects: list[Effect] = []
        for follower, progress in self.progress.items():
            if not progress.is_following:
                if not progress.is_gone and now_ms - progress.led_ms >= LEAD_AGAIN_MS:
                    progress.led_ms = now_ms
                    effects.append(SendLead(follower))
                continue
            behind = progress.log_end_offset < self.log_end_offset
            if behind and now_ms - progress.last_heard_ms >= RETRANSMIT_AFTER_MS:
                progress.next_offset = progress.log_end_offset
                progress.forget_in_flight()
                progress.last_heard_ms = now_ms
            pushed = self._push(follower, progress)
            if not pushed and progress.told_high_watermark < self.high_watermark and not progress.in_flight_bytes:
                pushed = [Push(follower, progress.next_offset, 0, progress.attempt)]
            effects += pushed
        if self.proposed_isr is not None:
            if now_ms - self.proposed_ms >= PROPOSAL_RETRY_MS:
                effects += self._propose_again(now_ms)
            return effects
        lagging = [r for r in self.isr if r != self.broker_id and self._lags(r, now_ms)]
        if lagging:
            effects += self._propose([r for r in self.isr if r not in lagging], now_ms)
            return effects
        for follower, progress in self.progress.items():
            if progress.is_following:
                effects += self._maybe_grow(follower, progress, now_ms)
        return effects

    def _lags(self, follower: int, now_ms: int) -> bool:
        progress = self.progress.get(follower)
        if progress is None:
            return True
        if progress.is_following and progress.log_end_offset >= self.log_end_offset:
            return False
        return now_ms - progress.caught_up_ms > self.lag_time_max_ms

    @property
    def is_quiet(self) -> bool:
        """Nothing will change without an event: the shell may leave this partition out of its timer round."""
        if self.proposed_isr is not None or self.waiting:
            return False
        for follower, progress in self.progress.items():
            if progress.is_following:
                if progress.log_end_offset < self.log_end_offset or progress.told_high_watermark < self.high_watermark:
                    return False
                if follower not in self.isr:
                    return False
            elif follower in self.isr or not progress.is_gone:
                return False
        return True

    def check(self) -> None:
        """The invariants that hold after every step."""
        assert self.broker_id in self.isr, "LeaderInIsr"
        assert set(self.isr) <= set(self.replicas), "TypeOk: the ISR is a part of the replicas"
        assert self.log_start_offset <= self.log_end_offset
        assert self.high_watermark <= self.log_end_offset, "ValidHighWatermark"
        assert all(p.log_end_offset <= self.log_end_offset for p in self.progress.values())
        offsets = [offset for offset, _ in self.waiting]
        assert offsets == sorted(offsets)
