"""Histories by hand, each with its anomaly and with a twin that has none: polls and sends out of order."""

from __future__ import annotations

import pytest
from hand_made import HandMade, assert_clean, others, polled, the_one

from chaos.history import send

# -- polls -------------------------------------------------------------------------------------------------------------


def assigned(process: int, *keys: str) -> HandMade:
    return HandMade().did(process, "assign", *keys)


def test_a_poll_that_goes_back_behind_the_one_before_is_nonmonotonic() -> None:
    history = assigned(2, "t-0").polled(2, "t-0", (0, 10), (1, 11)).polled(2, "t-0", (1, 11), (2, 12))
    assert the_one(history, "nonmonotonic-poll") == (
        "op 3 (process 2, poll ok) polled t-0 up to 11 at offset 1, then op 5 (process 2, poll ok) of its process "
        "went on with 11 at offset 1: the same again."
    )
    assert others(history, "nonmonotonic-poll") == set()
    back = assigned(2, "t-0").polled(2, "t-0", (0, 10), (1, 11)).polled(2, "t-0", (0, 10), (1, 11))
    assert the_one(back, "nonmonotonic-poll").endswith("went on with 10 at offset 0: backwards.")


def test_a_poll_that_leaves_out_messages_after_the_one_before_skips() -> None:
    history = assigned(2, "t-0").polled(2, "t-0", (0, 10)).polled(2, "t-0", (3, 13))
    history.polled(3, "t-0", (0, 10), (1, 11), (2, 12), (3, 13))
    assert the_one(history, "poll-skip") == (
        "op 3 (process 2, poll ok) polled t-0 up to 10 at offset 0, then op 5 (process 2, poll ok) of its process "
        "went on with 13 at offset 3, and left out 11 at 1, 12 at 2."
    )
    assert others(history, "poll-skip") == set()


def test_a_gap_of_which_nobody_knows_a_message_is_no_skip() -> None:
    assert_clean(assigned(2, "t-0").polled(2, "t-0", (0, 10)).polled(2, "t-0", (3, 13)))


def test_another_process_may_begin_where_it_likes() -> None:
    history = assigned(2, "t-0").polled(2, "t-0", (0, 10), (1, 11)).did(3, "assign", "t-0")
    assert_clean(history.polled(3, "t-0", (0, 10)).did(4, "assign", "t-0").polled(4, "t-0", (1, 11)))


@pytest.mark.parametrize("first", [0, 3])
def test_rebalances_assignments_seeks_and_crashes_excuse_what_follows(first: int) -> None:
    log = [(0, 10), (1, 11), (2, 12), (3, 13)]

    def between(f: str, *value: object) -> HandMade:
        history = HandMade().polled(9, "t-0", *log).polled(2, "t-0", *log[:2]).did(2, f, *value)
        return history.polled(2, "t-0", *log[first:])

    assert_clean(between("assign", "t-1"))
    assert_clean(between("seek", "t-0"))
    assert_clean(between("crash"))
    rebalanced = HandMade().polled(9, "t-0", *log).polled(2, "t-0", *log[:2], rebalances=["t-0"])
    assert_clean(rebalanced.polled(2, "t-0", *log[first:]))
    assert not between("assign", "t-0").check().valid, "it kept the partition"
    assert not between("seek", "t-1").check().valid
    elsewhere = HandMade().polled(9, "t-0", *log).polled(2, "t-0", *log[:2])
    assert not elsewhere.polled(2, "t-0", *log[first:], rebalances=["t-1"]).check().valid


def test_a_subscriber_is_held_to_the_order_only_if_its_rebalances_are_told() -> None:
    silent = HandMade().did(2, "subscribe", "t-0").polled(2, "t-0", (0, 10), (1, 11)).polled(2, "t-0", (0, 10))
    assert_clean(silent)
    telling = HandMade().did(2, "subscribe", "t-0").did(2, "poll", polled("t-0"), rebalances=["t-0"])
    telling.polled(2, "t-0", (0, 10), (1, 11)).polled(2, "t-0", (0, 10))
    assert "backwards" in the_one(telling, "nonmonotonic-poll")


def test_a_failed_transaction_reads_again_what_it_read() -> None:
    history = (
        assigned(2, "t-0").did(2, "txn", polled("t-0", (0, 10))).did(2, "txn", polled("t-0", (1, 11)), outcome="fail")
    )
    assert_clean(history.did(2, "txn", polled("t-0", (1, 11), (2, 12))))
    gone_on = assigned(2, "t-0").did(2, "txn", polled("t-0", (0, 10)))
    gone_on.did(2, "txn", polled("t-0", (1, 11)), outcome="fail").did(2, "txn", polled("t-0", (2, 12)))
    assert "left out 11 at 1" in the_one(gone_on, "poll-skip")


def test_an_operation_that_polls_backwards_within_itself_is_told_apart() -> None:
    history = HandMade().polled(2, "t-0", (1, 11), (0, 10))
    assert the_one(history, "int-nonmonotonic-poll") == (
        "op 1 (process 2, poll ok) polled 11 at offset 1 of t-0 and then went on with 10 at offset 0: backwards."
    )
    assert others(history, "int-nonmonotonic-poll") == set()
    assert_clean(HandMade().polled(2, "t-0", (0, 10), (1, 11)))
    assert_clean(HandMade().polled(2, "t-0", (1, 11), (0, 10), rebalances=["t-0"]))


def test_an_operation_that_skips_within_itself_is_told_apart() -> None:
    history = (
        HandMade()
        .polled(3, "t-0", (0, 10), (1, 11), (2, 12))
        .did(2, "poll", polled("t-0", (0, 10)), polled("t-0", (2, 12)))
    )
    assert the_one(history, "int-poll-skip") == (
        "op 3 (process 2, poll ok) polled 10 at offset 0 of t-0 and then went on with 12 at offset 2, "
        "and left out 11 at 1."
    )
    assert others(history, "int-poll-skip") == set()
    assert_clean(HandMade().did(2, "poll", polled("t-0", (0, 10)), polled("t-0", (2, 12))))
    assert_clean(
        HandMade().polled(3, "t-0", (0, 10), (1, 11), (2, 12)).polled(2, "t-0", (0, 10), (2, 12), rebalances=["t-0"])
    )


# -- sends -------------------------------------------------------------------------------------------------------------


def test_a_producers_later_message_that_stands_before_is_nonmonotonic() -> None:
    history = HandMade().sent(1, "t-0", (1, 10)).sent(1, "t-0", (0, 11)).polled(2, "t-0", (0, 11), (1, 10))
    assert the_one(history, "nonmonotonic-send") == (
        "op 1 (process 1, send ok) sent 10 to t-0 and op 3 (process 1, send ok) of the same process then sent 11; "
        "but 10 stands at offset 1 and 11 at 0."
    )
    assert others(history, "nonmonotonic-send") == set()
    assert_clean(HandMade().sent(1, "t-0", (1, 10)).sent(2, "t-0", (0, 11)).polled(3, "t-0", (0, 11), (1, 10)))


def test_the_place_of_an_unanswered_send_is_known_from_those_who_polled_it() -> None:
    history = HandMade().sent(1, "t-0", (None, 10), outcome="info").sent(1, "t-0", (0, 11))
    assert the_one(history.polled(2, "t-0", (0, 11), (1, 10)), "nonmonotonic-send")


def test_a_send_whose_place_nobody_knows_hides_no_turn_between_its_neighbours() -> None:
    history = HandMade().sent(1, "t-0", (5, 10)).sent(1, "t-0", (None, 11), outcome="info").sent(1, "t-0", (3, 12))
    history.polled(2, "t-0", (3, 12), (5, 10))
    assert "10 stands at offset 5 and 12 at 3" in the_one(history, "nonmonotonic-send")
    within = HandMade().sent(1, "t-0", (5, 10), (None, 11), (3, 12), outcome="info").polled(2, "t-0", (3, 12), (5, 10))
    assert the_one(within, "int-nonmonotonic-send")


def test_a_send_that_was_never_answered_counts_from_when_it_was_invoked() -> None:
    history = HandMade()
    history.history.append(1, "invoke", "send", [send("t-0", 10)])
    history.sent(1, "t-0", (1, 11)).polled(2, "t-0", (0, 10), (1, 11))
    assert_clean(history)


def test_one_operations_later_message_that_stands_before_is_told_apart() -> None:
    history = HandMade().sent(1, "t-0", (1, 10), (0, 11)).polled(2, "t-0", (0, 11), (1, 10))
    assert the_one(history, "int-nonmonotonic-send") == (
        "op 1 (process 1, send ok) sent 10 to t-0 and then 11; but 10 stands at offset 1 and 11 at 0."
    )
    assert others(history, "int-nonmonotonic-send") == set()
    assert_clean(HandMade().sent(1, "t-0", (0, 10), (3, 11)).polled(2, "t-0", (0, 10), (3, 11)))
