"""Requests whose time is up are told in the timer round, the others are left alone."""

from __future__ import annotations

from typing import Any

from actors.deadlines import Deadlines


class Loop:
    now = 0.0

    def time(self) -> float:
        return self.now


class Request:
    def __init__(self) -> None:
        self.timed_out = 0

    def time_out(self) -> None:
        self.timed_out += 1


def test_a_request_is_timed_out_once_and_never_early() -> None:
    loop: Any = Loop()
    deadlines = Deadlines(loop)
    soon, late, answered = Request(), Request(), Request()
    deadlines.add(soon, 100)
    deadlines.add(late, 300)
    deadlines.add(answered, 100)
    deadlines.discard(answered)
    deadlines.discard(answered)
    loop.now = 0.05
    deadlines.timer_round()
    assert soon.timed_out == 0
    loop.now = 0.2
    deadlines.timer_round()
    deadlines.timer_round()
    assert (soon.timed_out, late.timed_out, answered.timed_out, len(deadlines)) == (1, 0, 0, 1)


def test_a_request_that_is_answered_by_the_end_of_another_is_not_timed_out() -> None:
    loop: Any = Loop()
    deadlines = Deadlines(loop)
    first, second = Request(), Request()
    first.time_out = lambda: deadlines.discard(second)  # type: ignore[method-assign]
    deadlines.add(first, 0)
    deadlines.add(second, 0)
    deadlines.timer_round()
    assert (second.timed_out, len(deadlines)) == (0, 0)
