"""Histories by hand, each with its anomaly and with a twin that has none: what transactions must not see."""

from __future__ import annotations

from hand_made import HandMade, assert_clean, others, polled, the_one

from chaos.history import send

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
