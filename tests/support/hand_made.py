"""Histories written by hand: each line of a test is one operation, invoked and answered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chaos.checkers import Verdict, check
from chaos.history import History, OpType, poll, send


class HandMade:
    """`at` is the index of the last completion: what explanations call "op 3"."""

    def __init__(self) -> None:
        self.history = History()

    def did(
        self, process: int, f: str, *value: Any, outcome: OpType = "ok", rebalances: Iterable[str] = ()
    ) -> HandMade:
        self.history.append(process, "invoke", f, list(value))
        self.history.append(process, outcome, f, list(value), rebalances=rebalances)
        return self

    def sent(self, process: int, key: str, *pairs: tuple[int | None, int], outcome: OpType = "ok") -> HandMade:
        """(offset, message), …"""
        return self.did(process, "send", *(send(key, message, offset) for offset, message in pairs), outcome=outcome)

    def polled(self, process: int, key: str, *pairs: tuple[int, int], **named: Any) -> HandMade:
        return self.did(process, "poll", polled(key, *pairs), **named)

    def check(self, **named: Any) -> Verdict:
        return check(self.history, **named)


def polled(key: str, *pairs: tuple[int, int]) -> list[Any]:
    return poll({key: [list(pair) for pair in pairs]})


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
