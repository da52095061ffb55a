"""The follower's decisions as sentences: event in, effects out."""

from __future__ import annotations

from machines.follower import (
    ASK_AGAIN_AFTER_MS,
    AppendBatches,
    AskToFollow,
    BatchesArrived,
    Confirm,
    DivergenceFound,
    FollowerMachine,
    LeaderAppeared,
    LogChanged,
    MoveHighWatermark,
    RestartAt,
    Started,
    StartMoved,
    TimerFired,
    TruncateTo,
)


def a_follower(log_end_offset: int = 10, last_epoch: int = 4) -> FollowerMachine:
    follower = FollowerMachine(leader_epoch=5, log_end_offset=log_end_offset, last_epoch=last_epoch)
    assert follower.step(Started(), 0) == [AskToFollow(log_end_offset, last_epoch, 1)]
    return follower


def a_synced_follower() -> FollowerMachine:
    follower = a_follower()
    follower.step(BatchesArrived(5, 10, 0, 10, 0, 1), 0)
    assert follower.is_synced
    return follower


def test_batches_that_fit_are_appended_and_confirmed() -> None:
    follower = a_synced_follower()
    assert follower.step(BatchesArrived(5, 10, 100, 10, 0, 1), 0) == [AppendBatches(10), MoveHighWatermark(10, 0)]
    assert follower.step(LogChanged(11, 5), 0) == [Confirm(11)]


def test_mail_of_another_epoch_is_dropped() -> None:
    follower = a_synced_follower()
    assert follower.step(BatchesArrived(4, 10, 100, 10, 0, 1), 0) == []
    assert follower.step(BatchesArrived(6, 10, 100, 10, 0, 1), 0) == []
    assert follower.step(DivergenceFound(4, 3, 2, (3, 2), 1), 0) == []


def test_a_gap_makes_the_follower_ask_again() -> None:
    follower = a_synced_follower()
    assert follower.step(BatchesArrived(5, 12, 100, 10, 0, 1), 0) == [AskToFollow(10, 4, 2)]


def test_what_was_sent_twice_is_appended_once() -> None:
    follower = a_synced_follower()
    follower.step(BatchesArrived(5, 10, 100, 10, 0, 1), 0)
    follower.step(LogChanged(12, 5), 0)
    assert follower.step(BatchesArrived(5, 10, 100, 10, 0, 1), 0)[0] == AppendBatches(12), "what lies above it"


def test_a_divergent_tail_is_cut_where_both_logs_agree() -> None:
    follower = a_follower()
    assert follower.step(DivergenceFound(5, 4, 8, (4, 10), 1), 0) == [TruncateTo(8)]
    assert follower.step(LogChanged(8, 4), 0) == [AskToFollow(8, 4, 2)]


def test_an_epoch_that_ended_earlier_here_cuts_at_our_end() -> None:
    follower = a_follower()
    assert follower.step(DivergenceFound(5, 3, 8, (3, 6), 1), 0) == [TruncateTo(6)]


def test_a_late_answer_never_truncates() -> None:
    follower = a_follower()
    follower.step(TimerFired(), ASK_AGAIN_AFTER_MS)
    assert follower.attempt == 2
    assert follower.step(StartMoved(5, 99, 1), 0) == []
    assert follower.step(DivergenceFound(5, 4, 2, (4, 10), 1), 0) == []
    synced = a_synced_follower()
    assert synced.step(StartMoved(5, 99, 1), 0) == [], "confirmed records stay"


def test_a_leader_that_no_longer_keeps_our_end_makes_us_start_over() -> None:
    follower = a_follower()
    assert follower.step(StartMoved(5, 50, 1), 0) == [RestartAt(50)]
    assert follower.step(LogChanged(50, -1), 0) == [AskToFollow(50, -1, 2)]


def test_a_leader_that_was_restarted_is_told_where_we_are() -> None:
    follower = a_synced_follower()
    assert follower.step(LeaderAppeared(5), 0) == [AskToFollow(10, 4, 2)]
    assert follower.step(LeaderAppeared(4), 0) == []


def test_an_unanswered_question_is_asked_again() -> None:
    follower = a_follower()
    assert follower.step(TimerFired(), ASK_AGAIN_AFTER_MS - 1) == []
    assert follower.step(TimerFired(), ASK_AGAIN_AFTER_MS) == [AskToFollow(10, 4, 2)]


def test_pushes_for_an_old_question_make_a_follower_in_step_ask_anew_but_not_in_a_hurry() -> None:
    follower = a_synced_follower()
    assert follower.step(BatchesArrived(5, 0, 100, 10, 0, attempt=0), 0) == [], "may have been on the way"
    asked = follower.step(BatchesArrived(5, 0, 100, 10, 0, attempt=0), ASK_AGAIN_AFTER_MS)
    assert asked == [AskToFollow(10, 4, 2)], "the leader takes an old question for the last one"
