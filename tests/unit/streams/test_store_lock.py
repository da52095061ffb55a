"""Whoever asks gets in, however busy the app is."""

from __future__ import annotations

import threading

from streams.live.store_lock import StoreLock


def test_a_busy_app_lets_those_in_who_wait() -> None:
    lock, is_over, turns = StoreLock(), threading.Event(), 0
    answered: list[int] = []

    def ask() -> None:
        for _ in range(20):
            with lock.asking():
                answered.append(turns)
        is_over.set()

    asker = threading.Thread(target=ask)
    asker.start()
    while not is_over.is_set() and turns < 100_000:
        with lock:
            turns += 1
            sum(range(2_000))
        lock.let_in()
    asker.join()
    assert len(answered) == 20
    assert is_over.is_set()
    assert turns < 100_000


def test_the_app_may_take_it_again_while_it_holds_it() -> None:
    lock = StoreLock()
    with lock, lock:
        pass
    with lock.asking():
        pass
