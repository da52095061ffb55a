"""The leader of one partition: who has what, how far it is committed, who is in sync.

Events in, effects out; the shell (`actors/partition_leader.py`) owns the log and the bus. One append is one event,
whatever number of records it holds. Whom it pushes to is in `leader_followers.py`, what time does in `leader_time.py`.

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
    TimerFired,
)
from machines.leader_followers import on_followed, on_gone, on_log_start
from machines.leader_time import PROPOSAL_RETRY_MS, on_timer
from model.errors import ErrorCode


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
                return on_followed(self, event, now_ms)
            case CreditReturned():
                return self._on_credit(event)
            case TimerFired():
                return on_timer(self, now_ms)
            case IsrCommitted():
                return self._on_isr(event, now_ms)
            case IsrRefused():
                if self.proposed_isr is not None:
                    self._propose_as_it_is(now_ms)
                return []
            case FollowerGone():
                return on_gone(self, event)
            case LogStartMoved():
                return on_log_start(self, event, now_ms)

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
            effects += self.push(follower, progress)
        effects += self.advance()
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
        effects = self.push(event.follower, progress) if progress.next_offset < self.log_end_offset else []
        effects += self.advance()
        if event.follower not in self.isr:
            effects += self.maybe_grow(event.follower, progress, now_ms)
        return effects

    # -- pushing ---------------------------------------------------------------------------------------------------

    def push(self, follower: int, progress: Progress) -> list[Effect]:
        """As much as the window has room for; nothing when the follower has it all."""
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
        return self.push(event.follower, progress)

    def _on_pushed(self, event: Pushed) -> None:
        """The shell sent these bytes; nothing in flight is assumed until it says so."""
        progress = self.progress[event.follower]
        progress.next_offset = event.next_offset
        if event.size:
            progress.in_flight.append((event.next_offset, event.size))
            progress.in_flight_bytes += event.size
        progress.told_high_watermark = event.high_watermark

    # -- the high watermark ----------------------------------------------------------------------------------------

    def _counted(self) -> Iterable[int]:
        return self.isr if not self.at_stake else self.at_stake.union(self.isr)

    def advance(self) -> list[Effect]:
        """Commit what everybody who counts has; with nobody else in the ISR that is our whole log."""
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

    def maybe_grow(self, follower: int, progress: Progress, now_ms: int) -> list[Effect]:
        """Propose a follower for the ISR if it may join now; one proposal at a time."""
        if follower in self.isr or self.proposed_isr is not None:
            return []
        if progress.log_end_offset < max(self.high_watermark, self.epoch_start_offset):
            return []
        return self.propose((*self.isr, follower), now_ms)

    def propose(self, isr: Sequence[int], now_ms: int) -> list[Effect]:
        """Ask the controller for this ISR; whoever is in it counts until the answer is here."""
        self.proposed_isr = tuple(r for r in self.replicas if r in isr)
        self.proposed_incarnations = tuple(
            self.progress[r].incarnation if r != self.broker_id else -1 for r in self.proposed_isr
        )
        self.at_stake.update(self.proposed_isr)
        return self.propose_again(now_ms)

    def _propose_as_it_is(self, proposed_ms: int) -> None:
        """At the next timer: nobody joins, so nobody's life is checked; what was proposed before is void after it."""
        self.proposed_isr, self.proposed_ms = self.isr, proposed_ms
        self.proposed_incarnations = (-1,) * len(self.isr)

    def propose_again(self, now_ms: int) -> list[Effect]:
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
        effects = self.advance()
        for follower, progress in self.progress.items():
            if progress.is_following:
                effects += self.maybe_grow(follower, progress, now_ms)
        return effects

    def _meet(self, replicas: Iterable[int], now_ms: int) -> None:
        wanted = [r for r in replicas if r != self.broker_id]
        known = self.progress
        self.progress = {
            r: known.get(r) or Progress(caught_up_ms=now_ms, last_heard_ms=now_ms, led_ms=now_ms) for r in wanted
        }

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
