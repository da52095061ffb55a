"""Histories by hand, each with its anomaly and with a twin that has none: messages lost, doubled, never seen."""

from __future__ import annotations

from hand_made import HandMade, assert_clean, others, polled, the_one

from chaos.history import send

# -- lost-write, unseen ------------------------------------------------------------------------------------------------


def test_a_write_that_everybody_passes_over_is_lost() -> None:
    history = HandMade().sent(1, "t-0", (0, 10)).sent(1, "t-0", (1, 11)).sent(1, "t-0", (2, 12))
    history.polled(2, "t-0", (0, 10)).polled(3, "t-0", (2, 12))
    assert the_one(history, "lost-write") == (
        "op 3 (process 1, send ok) sent 11 to t-0 and was told offset 1. Nobody ever polled it, though "
        "op 9 (process 3, poll ok) polled t-0 up to offset 2."
    )
    assert others(history, "lost-write") == {"unseen"}


def test_a_write_whose_offset_was_given_anew_is_lost_and_the_new_message_named() -> None:
    history = HandMade().sent(1, "t-0", (0, 10)).sent(2, "t-0", (0, 20)).polled(3, "t-0", (0, 20))
    assert "at offset 0 there is now 20" in the_one(history, "lost-write")


def test_a_write_that_somebody_polled_is_not_lost() -> None:
    history = HandMade().sent(1, "t-0", (0, 10)).sent(1, "t-0", (1, 11)).sent(1, "t-0", (2, 12))
    assert_clean(history.polled(2, "t-0", (0, 10), (1, 11)).polled(3, "t-0", (2, 12)))


def test_an_unanswered_or_failed_write_need_not_be_there() -> None:
    history = HandMade().sent(1, "t-0", (None, 10), outcome="info").sent(1, "t-0", (None, 11), outcome="fail")
    assert_clean(history.sent(1, "t-0", (5, 12)).polled(2, "t-0", (5, 12)))


def test_a_transaction_of_unknown_outcome_was_committed_if_one_of_its_messages_was_polled() -> None:
    history = HandMade().did(1, "txn", send("t-0", 10, 0), send("t-1", 11, 0), outcome="info")
    history.sent(1, "t-1", (2, 12)).polled(2, "t-1", (2, 12))
    assert_clean(history)
    assert "sent 11 to t-1" in the_one(history.polled(2, "t-0", (0, 10)), "lost-write")


def test_a_send_that_was_answered_counts_though_its_neighbour_was_not() -> None:
    history = HandMade().sent(1, "t-0", (0, 10), (None, 11), outcome="info")
    history.sent(2, "t-0", (5, 12)).polled(3, "t-0", (5, 12))
    assert "sent 10 to t-0" in the_one(history, "lost-write")
    assert_clean(history.polled(4, "t-0", (0, 10)))


def test_a_write_at_the_end_that_nobody_polled_is_unseen() -> None:
    history = HandMade().sent(1, "t-0", (0, 10)).sent(1, "t-0", (1, 11)).polled(2, "t-0", (0, 10))
    assert the_one(history, "unseen") == (
        "op 3 (process 1, send ok) sent 11 to t-0 and it was acknowledged at offset 1; nobody has polled it to the "
        "end. Of t-0, op 5 (process 2, poll ok) polled furthest, up to offset 0."
    )
    assert others(history, "unseen") == set()
    assert_clean(history.polled(2, "t-0", (1, 11)))


def test_a_write_that_only_a_failed_operation_polled_is_unseen() -> None:
    history = HandMade().sent(1, "t-0", (0, 10)).did(2, "txn", polled("t-0", (0, 10)), outcome="fail")
    assert "nobody polled it at all" in the_one(history, "unseen")
    assert_clean(history.did(3, "txn", polled("t-0", (0, 10)), outcome="info"))


def test_a_write_acknowledged_without_an_offset_is_unseen_too() -> None:
    history = HandMade().sent(1, "t-0", (None, 10))
    assert "acknowledged without an offset" in the_one(history, "unseen")
    assert_clean(history.polled(2, "t-0", (7, 10)))


def test_a_write_acknowledged_without_an_offset_is_lost_if_it_is_known_where_it_stood() -> None:
    history = HandMade().sent(1, "t-0", (None, 10)).sent(1, "t-0", (1, 11))
    history.did(2, "txn", polled("t-0", (0, 10)), outcome="fail").polled(3, "t-0", (1, 11))
    assert the_one(history, "lost-write") == (
        "op 1 (process 1, send ok) sent 10 to t-0 where it stood at offset 0. Only operations that failed polled it, "
        "though op 7 (process 3, poll ok) polled t-0 up to offset 1."
    )
    assert "only operations that failed have polled it" in the_one(history, "unseen")


def test_a_transaction_that_only_saw_itself_is_not_known_to_be_committed() -> None:
    history = HandMade().did(1, "txn", send("t-0", 10, 0), send("t-0", 11, 1), polled("t-0", (0, 10)), outcome="info")
    history.sent(2, "t-0", (3, 12)).polled(3, "t-0", (3, 12))
    assert set(history.check().counts) == {"precommitted-read"}
    history.polled(4, "t-0", (0, 10))
    assert "sent 11 to t-0" in the_one(history, "lost-write")


# -- duplicate, inconsistent-offsets -----------------------------------------------------------------------------------


def test_a_message_at_two_offsets_is_a_duplicate() -> None:
    history = HandMade().sent(1, "t-0", (0, 10)).polled(2, "t-0", (0, 10)).polled(2, "t-0", (1, 10))
    assert the_one(history, "duplicate") == (
        "10 of t-0, sent once, by op 1 (process 1, send ok), stands at 2 offsets: "
        "offset 0, says op 1 (process 1, send ok); offset 1, says op 5 (process 2, poll ok)."
    )
    assert others(history, "duplicate") == set()


def test_the_same_message_in_two_partitions_is_no_duplicate() -> None:
    history = HandMade().sent(1, "t-0", (0, 10)).sent(1, "t-1", (1, 10))
    assert_clean(history.polled(2, "t-0", (0, 10)).polled(2, "t-1", (1, 10)))


def test_two_messages_at_one_offset_are_inconsistent() -> None:
    history = HandMade().polled(2, "t-0", (0, 10)).polled(3, "t-0", (0, 11))
    assert the_one(history, "inconsistent-offsets") == (
        "Offset 0 of t-0 holds different messages: "
        "op 1 (process 2, poll ok) polled 10, but op 3 (process 3, poll ok) polled 11 there."
    )
    assert others(history, "inconsistent-offsets") == set()
    assert_clean(HandMade().polled(2, "t-0", (0, 10)).polled(3, "t-0", (0, 10)))


def test_a_send_that_was_told_another_offset_than_pollers_see_is_inconsistent() -> None:
    history = HandMade().sent(1, "t-0", (0, 10)).polled(3, "t-0", (0, 11), (1, 10))
    assert "op 1 (process 1, send ok) sent 10, but op 3" in the_one(history, "inconsistent-offsets")


def test_the_offset_of_an_aborted_send_may_be_given_to_another() -> None:
    history = HandMade().did(1, "txn", send("t-0", 10, 0), outcome="fail")
    assert_clean(history.sent(2, "t-0", (0, 11)).polled(3, "t-0", (0, 11)))
