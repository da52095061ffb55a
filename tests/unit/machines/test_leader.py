"""The leader's decisions as sentences: event in, effects out."""

from __future__ import annotations

from typing import Any

from machines.leader import LeaderMachine
from machines.leader_events import (
    Acknowledge,
    AdvanceHighWatermark,
    Appended,
    AwaitCommit,
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
from machines.leader_time import LEAD_AGAIN_MS, RETRANSMIT_AFTER_MS
from model.errors import ErrorCode


class Leader:
    """A machine whose pushes all succeed, one record to a batch of 100 bytes; checks the invariants after each step."""

    def __init__(self, **changes: Any) -> None:
        self.now_ms = 0
        defaults: dict[str, Any] = dict(
            broker_id=1, leader_epoch=5, partition_epoch=7, replicas=(1, 2, 3), isr=(1, 2, 3),
            log_start_offset=0, log_end_offset=10, high_watermark=10, min_insync_replicas=2,
        )  # fmt: skip
        self.machine = LeaderMachine(**(defaults | changes))

    def step(self, event: Event) -> list[Effect]:
        effects = self.machine.step(event, self.now_ms)
        self.machine.check()
        for effect in effects:
            if isinstance(effect, Push):
                size = 100 if effect.max_bytes else 0
                end = self.machine.log_end_offset if size else effect.offset
                self.machine.step(Pushed(effect.follower, end, size, self.machine.high_watermark), self.now_ms)
        return effects

    def follow(
        self, follower: int, log_end: int = 10, last_epoch: int = 4, epoch_end: tuple[int, int] = (4, 10)
    ) -> list[Effect]:
        return self.step(Followed(follower, 1, log_end, last_epoch, epoch_end, attempt=1))


def a_leader(following: tuple[int, ...] = (2, 3), **changes: Any) -> Leader:
    leader = Leader(**changes)
    for follower in following:
        leader.follow(follower)
    return leader


def test_an_append_is_pushed_to_every_follower() -> None:
    leader = a_leader()
    assert leader.step(Appended(11)) == [Push(2, 10, 1 << 20, 1), Push(3, 10, 1 << 20, 1)]


def test_a_record_is_committed_only_when_the_whole_isr_has_it() -> None:
    leader = a_leader()
    leader.step(Appended(11))
    assert leader.step(AwaitCommit(11, "producer")) == []
    assert leader.step(FollowerReplicated(2, 11)) == []
    assert leader.step(FollowerReplicated(3, 11)) == [AdvanceHighWatermark(11), Acknowledge("producer", ErrorCode.NONE)]


def test_a_leader_alone_in_the_isr_commits_at_once() -> None:
    leader = a_leader(following=(), isr=(1,), min_insync_replicas=1)
    assert leader.step(Appended(11)) == [AdvanceHighWatermark(11)]
    assert leader.step(AwaitCommit(11, "producer")) == [Acknowledge("producer", ErrorCode.NONE)]


def test_acks_all_is_refused_below_min_insync_replicas() -> None:
    assert not a_leader(following=(), isr=(1,)).machine.has_enough_replicas
    assert a_leader().machine.has_enough_replicas


def test_no_more_replicas_must_be_in_sync_than_there_are() -> None:
    assert a_leader(following=(), replicas=(1,), isr=(1,), min_insync_replicas=2).machine.has_enough_replicas
    assert not a_leader(following=(2,), replicas=(1, 2), isr=(1,), min_insync_replicas=3).machine.has_enough_replicas
    assert a_leader(min_insync_replicas=9).machine.has_enough_replicas


def test_an_ack_after_the_isr_fell_below_the_minimum_says_so() -> None:
    leader = a_leader()
    leader.step(Appended(11))
    leader.step(AwaitCommit(11, "producer"))
    effects = leader.step(IsrCommitted((1,), (1, 2, 3), 8))
    assert effects[:2] == [
        AdvanceHighWatermark(11),
        Acknowledge("producer", ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND),
    ]


def test_a_follower_that_lags_leaves_the_isr_before_the_leader_acks() -> None:
    leader = a_leader(following=(2,))
    leader.step(Appended(11))
    leader.step(AwaitCommit(11, "producer"))
    leader.step(FollowerReplicated(2, 11))
    leader.now_ms = 30_001
    assert ProposeIsr((1, 2), (-1, 1), 7) in leader.step(TimerFired())
    assert leader.machine.high_watermark == 10, "a proposal is not yet a decision"
    effects = leader.step(IsrCommitted((1, 2), (1, 2, 3), 8))
    assert effects == [AdvanceHighWatermark(11), Acknowledge("producer", ErrorCode.NONE)]


def test_a_follower_that_keeps_up_stays_however_long_it_takes() -> None:
    leader = a_leader(following=(2, 3))
    for offset in range(11, 16):
        leader.now_ms += 20_000
        leader.step(Appended(offset))
        leader.step(FollowerReplicated(2, offset))
        leader.step(FollowerReplicated(3, offset))
    leader.now_ms += 100_000
    assert [e for e in leader.step(TimerFired()) if isinstance(e, ProposeIsr)] == []


def test_a_follower_joins_the_isr_only_with_all_that_is_committed() -> None:
    leader = a_leader(following=(2,), isr=(1, 2), log_end_offset=20, high_watermark=15)
    leader.follow(2, log_end=20, epoch_end=(4, 20))
    assert ProposeIsr((1, 2, 3), (-1, 1, 1), 7) not in leader.follow(3, log_end=10, epoch_end=(4, 20))
    assert ProposeIsr((1, 2, 3), (-1, 1, 1), 7) in leader.step(FollowerReplicated(3, 20))


def test_a_proposed_member_counts_for_the_high_watermark_at_once() -> None:
    leader = a_leader(following=(2,), isr=(1, 2))
    leader.follow(3)
    assert leader.machine.proposed_isr == (1, 2, 3)
    leader.step(Appended(11))
    assert leader.step(FollowerReplicated(2, 11)) == [], "3 may be in the ISR already: the controller may have said so"


def test_a_log_with_records_of_a_lost_leader_is_cut_by_epoch() -> None:
    leader = Leader()
    assert leader.follow(2, log_end=12, last_epoch=4, epoch_end=(4, 10)) == [SendDiverged(2, 4, 10, 1)]
    assert leader.follow(2, log_end=12, last_epoch=3, epoch_end=(2, 8)) == [SendDiverged(2, 2, 8, 1)]
    assert not leader.machine.progress[2].is_following


def test_a_follower_below_the_log_start_starts_over_there() -> None:
    leader = Leader(log_start_offset=5)
    assert leader.follow(2, log_end=3, last_epoch=1, epoch_end=(1, 5)) == [SendStartAt(2, 5, 1)]


def test_what_is_not_answered_is_pushed_again_from_the_last_answer() -> None:
    leader = a_leader(following=(2,))
    leader.step(Appended(11))
    leader.now_ms = RETRANSMIT_AFTER_MS
    assert Push(2, 10, 1 << 20, 1) in leader.step(TimerFired())


def test_the_window_bounds_what_is_in_flight() -> None:
    leader = a_leader(following=(2,), window_bytes=150)
    assert leader.step(Appended(11)) == [Push(2, 10, 150, 1)]
    assert leader.step(Appended(12)) == [Push(2, 11, 50, 1)]
    assert leader.step(Appended(13)) == []
    assert leader.step(FollowerReplicated(2, 11)) == [Push(2, 12, 50, 1)]


def test_a_dead_follower_is_sent_nothing_until_it_asks_anew() -> None:
    leader = a_leader()
    leader.step(FollowerGone(2))
    assert leader.step(Appended(11)) == [Push(3, 10, 1 << 20, 1)]
    assert Push(2, 10, 1 << 20, 1) in leader.follow(2)


def test_the_high_watermark_never_goes_back() -> None:
    leader = a_leader()
    leader.follow(2, log_end=8)  # a follower that lost its tail, e.g. to a torn disk
    assert leader.machine.high_watermark == 10


def test_an_idle_partition_is_quiet_and_a_waiting_one_is_not() -> None:
    leader = a_leader()
    leader.step(TimerFired())
    assert leader.machine.is_quiet
    leader.step(Appended(11))
    assert not leader.machine.is_quiet
    leader.step(FollowerReplicated(2, 11))
    leader.step(FollowerReplicated(3, 11))
    assert not leader.machine.is_quiet, "the followers do not know the high watermark yet"
    assert Push(2, 11, 0, 1) in leader.step(TimerFired())
    assert leader.machine.is_quiet


def a_leader_that_proposed_to_grow() -> Leader:
    leader = a_leader(following=(2,), isr=(1, 2))
    leader.follow(3)
    assert leader.machine.proposed_isr == (1, 2, 3)
    return leader


def acks_without_broker_3(leader: Leader) -> bool:
    leader.step(Appended(11))
    return AdvanceHighWatermark(11) in leader.step(FollowerReplicated(2, 11))


def test_a_refused_proposal_stays_at_stake_since_its_twin_may_still_be_accepted() -> None:
    leader = a_leader_that_proposed_to_grow()
    leader.step(IsrRefused())
    assert not acks_without_broker_3(leader)
    leader.now_ms = 300
    assert ProposeIsr((1, 2), (-1, -1), 7) in leader.step(TimerFired()), "it is withdrawn by proposing what is"
    assert leader.machine.high_watermark == 10
    assert AdvanceHighWatermark(11) in leader.step(IsrCommitted((1, 2), (1, 2, 3), 8))


def test_metadata_of_the_same_partition_epoch_does_not_void_a_proposal() -> None:
    leader = a_leader_that_proposed_to_grow()
    leader.step(IsrCommitted((1, 2), (1, 2, 3), 7))
    assert not acks_without_broker_3(leader)


def test_a_retry_is_acknowledged_as_soon_as_its_own_batch_is_committed() -> None:
    leader = a_leader()
    leader.step(Appended(11))
    leader.step(AwaitCommit(11, "first"))
    leader.step(Appended(12))
    leader.step(AwaitCommit(12, "second"))
    leader.step(AwaitCommit(11, "first again"))
    leader.step(FollowerReplicated(2, 11))
    acknowledged = [e.token for e in leader.step(FollowerReplicated(3, 11)) if isinstance(e, Acknowledge)]
    assert acknowledged == ["first", "first again"]


def test_followers_that_did_not_hear_that_we_lead_are_told_again() -> None:
    leader = a_leader(following=(2,))
    leader.now_ms = LEAD_AGAIN_MS
    assert SendLead(3) in leader.step(TimerFired())
    assert not leader.machine.is_quiet
    assert SendLead(3) not in leader.step(TimerFired()), "not at every turn"


def test_a_dead_follower_is_not_told_that_we_lead() -> None:
    leader = a_leader(following=(2,), isr=(1, 2))
    leader.step(FollowerGone(3))
    leader.now_ms = LEAD_AGAIN_MS
    assert SendLead(3) not in leader.step(TimerFired())
    assert leader.machine.is_quiet


def test_a_question_that_comes_late_does_not_take_the_place_of_the_newer_one() -> None:
    leader = a_leader()
    leader.step(Followed(2, 1, 10, 4, (4, 10), attempt=2))
    assert leader.step(Followed(2, 1, 3, 4, (4, 10), attempt=1)) == []
    assert leader.step(Appended(11))[0] == Push(2, 10, 1 << 20, attempt=2)


def test_after_a_crash_every_replica_is_at_stake_until_our_isr_is_confirmed() -> None:
    leader = a_leader(isr=(1, 2), is_resumed=True)
    assert not acks_without_broker_3(leader), "what the crashed one proposed may have been accepted"
    assert ProposeIsr((1, 2), (-1, -1), 7) in leader.step(TimerFired())
    assert AdvanceHighWatermark(11) in leader.step(IsrCommitted((1, 2), (1, 2, 3), 8))


def test_a_follower_that_needs_deleted_records_is_made_to_ask_where_to_start() -> None:
    leader = a_leader(following=(2,), isr=(1, 2))
    leader.follow(3, log_end=4)
    assert leader.step(LogStartMoved(6)) == [SendLead(3)]
    assert leader.step(Appended(11)) == [Push(2, 10, 1 << 20, attempt=1)]
    assert leader.follow(3, log_end=4) == [SendStartAt(3, 6, 1)]


def test_records_of_unknown_epochs_are_not_taken_for_a_part_of_our_log() -> None:
    leader = Leader()
    assert leader.follow(2, log_end=-1, last_epoch=-1) == [SendStartAt(2, 0, 1)]
    assert leader.follow(3, log_end=0, last_epoch=-1)[0] == Push(3, 0, 1 << 20, attempt=1)


def test_a_log_that_was_emptied_goes_on_where_it_ends() -> None:
    leader = Leader()
    assert leader.follow(2, log_end=6, last_epoch=-1)[0] == Push(2, 6, 1 << 20, attempt=1)
    assert leader.follow(3, log_end=11, last_epoch=-1) == [SendStartAt(3, 0, 1)], "we have never been there"


def test_a_proposal_made_again_is_of_the_same_lives() -> None:
    """Simulated seed 4799: the member had lost its log since, and would have been taken in for its former life."""
    leader = a_leader_that_proposed_to_grow()
    leader.step(FollowerGone(3))
    leader.step(Followed(3, 2, 0, -1, (-1, -1), attempt=5))
    leader.now_ms = 300
    assert ProposeIsr((1, 2, 3), (-1, 1, 1), 7) in leader.step(TimerFired())
