"""One history for each anomaly, made by hand, with what is said of it; and its twin, in which nothing is wrong."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any, get_args

import msgspec
import pytest
from hand_made import HandMade, polled

from chaos.checkers import KINDS, check
from chaos.history import History, HistoryInvalid, Op, OpType, poll, send


def the_one(history: HandMade, kind: str, **named: object) -> str:
    """The explanation of the only anomaly of this kind."""
    verdict = history.check(**named)
    found = verdict.of(kind)
    assert len(found) == 1, verdict.table()
    assert found[0].evidence, "an anomaly names its operations"
    return found[0].explanation


def others(history: HandMade, kind: str) -> set[str]:
    return set(history.check().counts) - {kind}


def assert_clean(history: HandMade, **named: object) -> None:
    verdict = history.check(**named)
    assert verdict.valid, verdict.table()
    assert not verdict.normal, verdict.table()


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


# -- G1a, precommitted-read --------------------------------------------------------------------------------------------


def test_a_poll_of_an_aborted_message_is_g1a() -> None:
    history = HandMade().did(1, "txn", send("t-0", 10, 4), outcome="fail").polled(2, "t-0", (4, 10))
    assert the_one(history, "G1a") == (
        "op 1 (process 1, txn fail) tried to send 10 to t-0 and did not commit it, "
        "yet op 3 (process 2, poll ok) polled it at offset 4."
    )
    assert others(history, "G1a") == set()


def test_a_poll_of_a_committed_or_uncertain_message_is_not() -> None:
    history = HandMade().did(1, "txn", send("t-0", 10, 4)).did(1, "txn", send("t-0", 11, None), outcome="info")
    assert_clean(history.polled(2, "t-0", (4, 10), (6, 11)))


def test_a_transaction_that_polls_its_own_message_reads_before_the_commit() -> None:
    history = HandMade().did(1, "txn", send("t-0", 10, 4), polled("t-0", (4, 10)))
    assert the_one(history, "precommitted-read") == (
        "op 1 (process 1, txn ok) sent 10 to t-0 and polled it itself, at offset 4, before it was committed."
    )
    assert others(history, "precommitted-read") == set()
    assert_clean(HandMade().did(1, "txn", send("t-0", 10, 4)).did(1, "txn", polled("t-0", (4, 10))))


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


# -- transactions ------------------------------------------------------------------------------------------------------


def a_copy(process: int, source: tuple[int, int], target: tuple[int, int], **named: object) -> HandMade:
    history = HandMade().did(process, "subscribe", "from-0")
    return history.did(process, "txn", polled("from-0", source), send("to-0", target[1], target[0]), **named)


def test_a_message_that_two_committed_transactions_consumed_is_named() -> None:
    history = a_copy(1, (0, 10), (0, 100)).did(2, "subscribe", "from-0")
    history.did(2, "txn", polled("from-0", (0, 10)), send("to-0", 101, 2)).polled(3, "to-0", (0, 100), (2, 101))
    assert the_one(history, "double-consume") == (
        "10, at offset 0 of from-0, was consumed by op 3 (process 1, txn ok) and again by op 7 (process 2, txn ok); "
        "both are committed."
    )
    once = a_copy(1, (0, 10), (0, 100), outcome="fail").did(2, "subscribe", "from-0")
    assert_clean(once.did(2, "txn", polled("from-0", (0, 10)), send("to-0", 101, 2)).polled(3, "to-0", (2, 101)))


def test_a_commit_without_an_answer_counts_among_the_consumers_once_its_copy_was_polled() -> None:
    history = a_copy(1, (0, 10), (None, 100), outcome="info").did(2, "subscribe", "from-0")
    history.did(2, "txn", polled("from-0", (0, 10)), send("to-0", 101, 2))
    assert_clean(history.polled(3, "to-0", (2, 101)))
    assert "op 3 (process 1, txn info) and again by op 7" in the_one(
        history.polled(4, "to-0", (0, 100), (2, 101)), "double-consume"
    )


def test_transactions_whose_writes_stand_in_a_circle_are_g0() -> None:
    history = HandMade().did(1, "txn", send("t-0", 10, 0), send("t-1", 11, 1))
    history.did(2, "txn", send("t-0", 20, 1), send("t-1", 21, 0))
    history.polled(3, "t-0", (0, 10), (1, 20)).polled(3, "t-1", (0, 21), (1, 11))
    assert the_one(history, "G0", strict=True) == (
        "A circle of 2 transactions: op 1 (process 1, txn ok) sent 10 to t-0 before op 3 (process 2, txn ok) sent 20; "
        "op 3 (process 2, txn ok) sent 21 to t-1 before op 1 (process 1, txn ok) sent 11."
    )
    verdict = history.check()
    assert verdict.valid, "Kafka does not isolate writes"
    assert [anomaly.kind for anomaly in verdict.normal] == ["G0"]
    straight = HandMade().did(1, "txn", send("t-0", 10, 0), send("t-1", 11, 0))
    straight.did(2, "txn", send("t-0", 20, 1), send("t-1", 21, 1))
    straight.polled(3, "t-0", (0, 10), (1, 20)).polled(3, "t-1", (0, 11), (1, 21))
    assert_clean(straight, strict=True)


def test_transactions_that_read_each_other_are_g1c() -> None:
    history = HandMade().did(1, "txn", send("t-0", 10, 0), polled("t-1", (0, 20)))
    history.did(2, "txn", send("t-1", 20, 0), polled("t-0", (0, 10)))
    assert the_one(history, "G1c") == (
        "A circle of 2 transactions: op 3 (process 2, txn ok) polled 10 from t-0, which op 1 (process 1, txn ok) had "
        "sent; op 1 (process 1, txn ok) polled 20 from t-1, which op 3 (process 2, txn ok) had sent."
    )
    assert others(history, "G1c") == set()
    one_way = HandMade().did(1, "txn", send("t-0", 10, 0)).did(2, "txn", send("t-1", 20, 0), polled("t-0", (0, 10)))
    assert_clean(one_way.polled(3, "t-1", (0, 20)), strict=True)


def test_a_circle_through_a_read_and_a_write_is_told_apart() -> None:
    history = HandMade().did(1, "txn", send("t-0", 10, 0), send("t-1", 11, 1))
    history.did(2, "txn", send("t-1", 20, 0), polled("t-0", (0, 10))).polled(3, "t-1", (0, 20), (1, 11))
    assert the_one(history, "G1c-ww", strict=True) == (
        "A circle of 2 transactions: op 3 (process 2, txn ok) polled 10 from t-0, which op 1 (process 1, txn ok) had "
        "sent; op 3 (process 2, txn ok) sent 20 to t-1 before op 1 (process 1, txn ok) sent 11."
    )
    assert history.check().valid


# -- the verdict and the file ------------------------------------------------------------------------------------------


def test_what_the_caller_allows_is_told_and_is_no_anomaly() -> None:
    history = HandMade().sent(1, "t-0", (0, 10))
    assert not history.check().valid
    verdict = history.check(allow={"unseen"})
    assert verdict.valid
    assert [anomaly.kind for anomaly in verdict.normal] == ["unseen"]
    with pytest.raises(ValueError, match="no such anomaly: unsen"):
        history.check(allow={"unsen"})


def test_the_table_counts_explains_and_judges() -> None:
    history = HandMade().sent(1, "t-0", (0, 10)).sent(1, "t-0", (1, 11))
    table = history.check().table(examples=1)
    assert table.startswith(f"unseen                       2  {KINDS['unseen']}\n")
    assert "… and 1 more" in table
    assert table.endswith("NOT VALID: 2 anomalies")
    assert HandMade().check().table().endswith("valid: no anomalies")


def test_messages_that_are_not_unique_are_refused() -> None:
    history = HandMade().sent(1, "t-0", (0, 10)).sent(2, "t-0", (1, 10))
    with pytest.raises(HistoryInvalid, match=r"message 10 was sent to t-0 by op 1 .* and again by op 3"):
        history.check()
    with pytest.raises(HistoryInvalid, match=r"op 1 .* sends a message twice to one key"):
        HandMade().sent(1, "t-0", (0, 10), (1, 10)).check()


@pytest.mark.parametrize(
    "value", [[["send", "t-0", 5]], [["receive", "t-0"]], [["poll", [[0, 1]]]], [["poll", {"t-0": [7]}]], 5]
)
def test_a_value_of_another_shape_is_refused_by_its_operation(value: object) -> None:
    with pytest.raises(HistoryInvalid, match=r"^op 1 \(process 1, txn ok\)"):
        check([Op(0, 1, "invoke", "txn"), Op(1, 1, "ok", "txn", value)])


def test_what_a_shape_should_be_is_said() -> None:
    with pytest.raises(HistoryInvalid, match=r"""micro-operations are \["send", key, \[offset, message\]\]"""):
        check([Op(0, 1, "ok", "send", [["send", "t-0", 5]])])


def test_keys_are_texts_since_polls_can_have_no_others() -> None:
    with pytest.raises(HistoryInvalid, match="key 3 must be a text"):
        check([Op(0, 1, "ok", "send", [send(3, 10, 0)]), Op(1, 2, "ok", "poll", [polled("3", (0, 10))])])  # type: ignore[arg-type]


@pytest.mark.parametrize("offset", [-1, "0", 1.5, float("nan"), [0], True])
def test_offsets_are_whole_numbers_from_0_on_wherever_they_stand(offset: Any) -> None:
    for outcome in ("ok", "fail", "info"):
        with pytest.raises(HistoryInvalid, match=r"op 1 .*10 can't stand at offset .* of t-0"):
            HandMade().sent(1, "t-0", (offset, 10), outcome=outcome).check()
        with pytest.raises(HistoryInvalid, match=r"op 1 .*10 can't stand at offset .* of t-0"):
            HandMade().polled(1, "t-0", (offset, 10), outcome=outcome).check()


def test_only_a_transaction_sends_and_polls() -> None:
    with pytest.raises(HistoryInvalid, match=r"op 0 .*: a poll within a send"):
        check([Op(0, 1, "ok", "send", [polled("t-0", (0, 10))])])
    with pytest.raises(HistoryInvalid, match=r"op 0 .*: a send within a poll"):
        check([Op(0, 1, "ok", "poll", [send("t-0", 10, 0)])])


@pytest.mark.parametrize("f", ["assign", "subscribe", "seek"])
@pytest.mark.parametrize("value", [5, "t-0", [["t-0"]], {"t-0": 1}, [None]])
def test_keys_that_are_none_are_refused_by_their_operation(f: str, value: object) -> None:
    with pytest.raises(HistoryInvalid, match=rf"^op 0 \(process 1, {f} ok\): .* a list of keys"):
        check([Op(0, 1, "ok", f, value)])


_ODD = [None, -1, 1, 2.5, "x", True, [], {}, ["a"], {"a": 1}, [None, 1], float("nan")]


@pytest.mark.parametrize("seed", range(200))
def test_whatever_somebody_writes_is_judged_or_refused(seed: int) -> None:
    choose = random.Random(seed)

    def value() -> Any:
        odd, place = choose.choice(_ODD), choose.choice([0, 1, 2, None, choose.choice(_ODD)])
        message = choose.choice([1, 2, 3, choose.choice(_ODD)])
        return choose.choice(
            [[["send", "t-0", [place, message]]], [["poll", {"t-0": [[place, message], [1, 3]]}]], odd, ["t-0", odd]]
        )

    kinds = ("send", "poll", "txn", "assign", "subscribe", "seek", "commit", "crash")
    for _ in range(20):
        ops = [
            Op(index, choose.randint(1, 2), choose.choice(get_args(OpType)), choose.choice(kinds), value())
            for index in range(choose.randint(1, 4))
        ]
        with suppress(HistoryInvalid):
            assert check(ops).stats["operations"] >= 0


def test_indices_grow_so_two_histories_in_one_file_are_none() -> None:
    one = HandMade().sent(1, "t-0", (0, 10)).polled(2, "t-0", (0, 10)).history.ops
    with pytest.raises(HistoryInvalid, match="op 0 comes after op 3"):
        check([*one, *one])


def test_a_process_that_does_two_things_at_once_is_refused() -> None:
    ops = [Op(0, 1, "invoke", "send", [send("t-0", 10)]), Op(1, 1, "invoke", "poll", [poll()]),
           Op(2, 1, "ok", "send", [send("t-0", 10, 0)]), Op(3, 1, "ok", "poll", [polled("t-0", (0, 10))])]  # fmt: skip
    with pytest.raises(HistoryInvalid, match=r"op 2 .* answers op 0, but process 1 had begun another operation"):
        check(ops)
    same = [msgspec.structs.replace(op, f="send", value=[send("t-0", 10 + op.index % 2)]) for op in ops]
    with pytest.raises(HistoryInvalid, match="several processes"):
        check(same)


def test_messages_that_nobody_sent_are_noted() -> None:
    verdict = HandMade().sent(1, "t-0", (0, 10)).polled(2, "t-0", (0, 10), (1, 99)).check()
    assert verdict.valid
    assert "note: 1 of the messages polled were sent by nobody in this history" in verdict.table()


def test_a_history_is_its_file(tmp_path) -> None:
    path = tmp_path / "history.jsonl"
    made = HandMade().sent(1, "t-0", (0, 10))
    made.history.write(path)
    made.polled(2, "t-0", (0, 10), rebalances=["t-1"])
    assert History.read(path).ops == made.history.ops, "every line is there before the file is closed"
    made.history.close()
    path.write_bytes(path.read_bytes()[:-20])
    assert History.read(path).ops == made.history.ops[:-1], "half a last line is left out"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert History.read(path).ops == made.history.ops[:-1], "as some editors begin a file"
    path.write_text('{"index":0,"process":1,"type":"begin","f":"send"}\n')
    with pytest.raises(HistoryInvalid, match="line 1"):
        History.read(path)
