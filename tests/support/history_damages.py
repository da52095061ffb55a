"""Damage to a history of a correct log: one way for each kind of anomaly, told by its name."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from chaos.history import Op, poll

Damage = Callable[[list[Op], random.Random], bool]
DAMAGES: dict[str, Damage] = {}


def damage(kind: str) -> Callable[[Damage], Damage]:
    """The decorated function does damage of this kind; it returns False where the history offers no place for it."""

    def register(function: Damage) -> Damage:
        DAMAGES[kind] = function
        return function

    return register


@damage("lost-write")
def nobody_polls_it(ops: list[Op], choice: random.Random) -> bool:
    highest: dict[str, int] = {}
    for _, key, pairs in polls(ops):
        highest[key] = max(highest.get(key, -1), *(offset for offset, _ in pairs))
    found = [row for row in acknowledged(ops) if row[2] < highest.get(row[1], -1)]
    if not found:
        return False
    _, key, _, message = choice.choice(found)
    forget(ops, key, message)
    return True


@damage("unseen")
def nobody_polls_the_last(ops: list[Op], choice: random.Random) -> bool:
    found = acknowledged(ops)
    if not found:
        return False
    _, key, _, message = found[-1]
    forget(ops, key, message)
    return True


@damage("duplicate")
def it_comes_again(ops: list[Op], choice: random.Random) -> bool:
    rows = polls(ops)
    _, key, pairs = choice.choice(rows)
    last = [row for row in rows if row[1] == key][-1][2]
    last.append([last[-1][0] + 10, choice.choice(pairs)[1]])
    return True


@damage("inconsistent-offsets")
def one_reader_sees_another_message(ops: list[Op], choice: random.Random) -> bool:
    told = Counter((key, offset) for _, key, pairs in polls(ops) for offset, _ in pairs)
    told.update((key, offset) for _, key, offset, _ in acknowledged(ops))
    _, key, pairs = choice.choice(polls(ops))
    pair = choice.choice(pairs)
    pair[1] = 10**9
    return told[key, pair[0]] > 1


@damage("G1a")
def an_aborted_message_is_polled(ops: list[Op], choice: random.Random) -> bool:
    aborted = sends(ops, "fail")
    if not aborted:
        return False
    _, key, offset, message = choice.choice(aborted)
    choice.choice(polls(ops))[0].value.append(poll({key: [[offset, message]]}))
    return True


@damage("precommitted-read")
def a_transaction_polls_its_own(ops: list[Op], choice: random.Random) -> bool:
    own = [row for row in sends(ops, "ok") if row[0].f == "txn"]
    if not own:
        return False
    op, key, offset, message = choice.choice(own)
    op.value.append(poll({key: [[offset, message]]}))
    return True


@damage("nonmonotonic-poll")
def a_poll_begins_before_the_last_one_ended(ops: list[Op], choice: random.Random) -> bool:
    steps = final_steps(ops)
    if not steps:
        return False
    before, after = choice.choice(steps)
    after.insert(0, list(choice.choice(before)))
    return True


@damage("poll-skip")
def a_poll_begins_too_late(ops: list[Op], choice: random.Random) -> bool:
    known = {(key, offset) for _, key, offset, _ in acknowledged(ops)}
    steps = [(key, after) for key, after in final_steps(ops, with_key=True) if len(after) > 1]
    steps = [(key, after) for key, after in steps if (key, after[0][0]) in known]
    if not steps:
        return False
    del choice.choice(steps)[1][0]
    return True


@damage("int-nonmonotonic-poll")
def a_poll_turns_two_around(ops: list[Op], choice: random.Random) -> bool:
    long = [row[2] for row in polls(ops) if len(row[2]) > 1 and not row[0].rebalances]
    if not long:
        return False
    pairs = choice.choice(long)
    place = choice.randrange(len(pairs) - 1)
    pairs[place], pairs[place + 1] = pairs[place + 1], pairs[place]
    return True


@damage("int-poll-skip")
def a_poll_leaves_one_out(ops: list[Op], choice: random.Random) -> bool:
    known = {(key, offset) for _, key, offset, _ in acknowledged(ops)}
    places = [
        (pairs, place)
        for op, key, pairs in polls(ops)
        for place in range(1, len(pairs) - 1)
        if not op.rebalances and (key, pairs[place][0]) in known
    ]
    if not places:
        return False
    pairs, place = choice.choice(places)
    del pairs[place]
    return True


@damage("nonmonotonic-send")
def two_operations_messages_change_places(ops: list[Op], choice: random.Random) -> bool:
    last: dict[tuple[int, str], Any] = {}
    steps = []
    for op, key, offset, message in sends(ops, "ok"):
        before = last.get((op.process, key))
        if before is not None and before[0] is not op and before[2] is not None:
            steps.append((key, before, (op, key, offset, message)))
        last[op.process, key] = (op, key, offset, message)
    # nothing uncertain of the same process in between
    uncertain = {op.process for op in ops if op.type == "info"}
    steps = [step for step in steps if step[1][0].process not in uncertain]
    # the first of its operation, the last of the one before: in between there is nobody
    steps = [
        step
        for step in steps
        if own(step[2][0], step[0])[0] == step[2][3] and own(step[1][0], step[0])[-1] == step[1][3]
    ]
    if not steps:
        return False
    key, before, after = choice.choice(steps)
    exchange(ops, key, before[2:], after[2:])
    return True


@damage("int-nonmonotonic-send")
def one_operations_messages_change_places(ops: list[Op], choice: random.Random) -> bool:
    rows = sends(ops, "ok")
    steps = [(a, b) for a, b in pairwise(rows) if a[0] is b[0] and a[1] == b[1]]
    if not steps:
        return False
    first, second = choice.choice(steps)
    exchange(ops, first[1], first[2:], second[2:])
    return True


@damage("double-consume")
def another_transaction_consumes_it_too(ops: list[Op], choice: random.Random) -> bool:
    copies = [op for op in ops if op.type == "ok" and op.f == "txn" and op.value[0][0] == "poll"]
    if len(copies) < 2:
        return False
    first, second = choice.sample(copies, 2)
    second.value.append(first.value[0])
    return True


@damage("G0")
def one_pair_of_writes_stands_the_other_way_round(ops: list[Op], choice: random.Random) -> bool:
    """Two transactions that follow each other in two partitions: in one of them they change places."""
    committed = [op for op in ops if op.type == "ok" and op.f == "txn"]
    for first, second in pairwise(committed):
        both = sorted(
            {row[1] for row in first.value if row[0] == "send"} & {row[1] for row in second.value if row[0] == "send"}
        )
        if len(both) > 1:
            key = both[0]
            rows = [row for row in sends(ops, "ok") if row[1] == key]
            exchange(ops, key, next(r for r in rows if r[0] is first)[2:], [r for r in rows if r[0] is second][-1][2:])
            return True
    return False


@damage("G1c")
def two_transactions_poll_each_other(ops: list[Op], choice: random.Random) -> bool:
    writers = {row[0].index: row for row in sends(ops, "ok") if row[0].f == "txn"}
    if len(writers) < 2:
        return False
    for reader, writer in (pair := choice.sample(sorted(writers), 2)), pair[::-1]:
        _, key, offset, message = writers[writer]
        writers[reader][0].value.append(poll({key: [[offset, message]]}))
    return True


@damage("G1c-ww")
def a_transaction_polls_what_is_written_behind_it(ops: list[Op], choice: random.Random) -> bool:
    last: dict[str, Any] = {}
    for row in sends(ops, "ok"):
        if row[0].f == "txn":
            before = last.get(row[1])
            if before is not None and before[0] is not row[0]:
                before[0].value.append(poll({row[1]: [[row[2], row[3]]]}))
                return True
            last[row[1]] = row
    return False


# -- what they look for ------------------------------------------------------------------------------------------------


def polls(ops: list[Op]) -> list[tuple[Op, str, list[list[int]]]]:
    """(operation, key, pairs), of polls that returned something."""
    return [
        (op, key, pairs)
        for op in ops
        if op.type == "ok" and op.f in ("poll", "txn")
        for row in op.value
        if row[0] == "poll"
        for key, pairs in row[1].items()
        if pairs
    ]


def sends(ops: list[Op], outcome: str) -> list[tuple[Op, str, int, int]]:
    """(operation, key, offset, message), of operations with this outcome."""
    return [
        (op, row[1], *row[2])
        for op in ops
        if op.type == outcome and op.f in ("send", "txn")
        for row in op.value
        if row[0] == "send"
    ]


def acknowledged(ops: list[Op]) -> list[tuple[Op, str, int, int]]:
    return sends(ops, "ok")


def own(op: Op, key: str) -> list[int]:
    return [row[2][1] for row in op.value if row[0] == "send" and row[1] == key]


def forget(ops: list[Op], key: str, message: int) -> None:
    for _, polled, pairs in polls(ops):
        if polled == key:
            pairs[:] = [pair for pair in pairs if pair[1] != message]
    for op in ops:  # transactions that failed have polled too
        if op.f == "txn" and op.type in ("info", "fail"):
            for row in op.value:
                if row[0] == "poll" and key in row[1]:
                    row[1][key] = [pair for pair in row[1][key] if pair[1] != message]


def final_steps(ops: list[Op], *, with_key: bool = False) -> list[Any]:
    """Of the last reader: the pairs of two polls that follow each other on a key; or the key, and the later one."""
    reader = ops[-1].process
    before: dict[str, list[list[int]]] = {}
    steps: list[Any] = []
    for op, key, pairs in polls(ops):
        if op.process == reader:
            if key in before:
                steps.append((key, pairs) if with_key else (before[key], pairs))
            before[key] = pairs
    return steps


def exchange(ops: list[Op], key: str, one: Any, other: Any) -> None:
    """Two messages of a partition change places, for everybody. `one`, `other`: (offset, message)."""
    places = {one[1]: other[0], other[1]: one[0]}
    messages = {one[1]: other[1], other[1]: one[1]}
    for op in ops:
        if op.type == "invoke" or op.f not in ("send", "poll", "txn"):
            continue
        for row in op.value:
            if row[0] == "send" and row[1] == key and row[2][0] is not None:
                row[2][0] = places.get(row[2][1], row[2][0])
            elif row[0] == "poll":
                for pair in row[1].get(key, ()):
                    pair[1] = messages.get(pair[1], pair[1])
