"""The verdict on a history, the file it is read from, and what is no history."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any, get_args

import msgspec
import pytest
from hand_made import HandMade, polled

from chaos.checkers import KINDS, check
from chaos.history import History, HistoryInvalid, Op, OpType, poll, send


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
