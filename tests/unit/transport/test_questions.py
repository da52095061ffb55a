"""A question gets its own answer, or NoAnswer in time."""

from __future__ import annotations

import threading

import pytest

from transport.questions import Asker, NoAnswer, QuestionServer


def test_each_thread_gets_the_answer_to_its_own_question() -> None:
    server = QuestionServer("127.0.0.1", 0, lambda question: question[::-1])
    found: dict[int, list[bytes]] = {}

    def ask_many(number: int, asker: Asker) -> None:
        found[number] = [asker.ask(server.endpoint, b"%d-%d" % (number, n), 10.0) for n in range(50)]

    try:
        with Asker() as shared, Asker() as other:
            threads = [threading.Thread(target=ask_many, args=(n, shared if n < 2 else other)) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        server.close()
    assert found == {number: [(b"%d-%d" % (number, n))[::-1] for n in range(50)] for number in range(4)}


def test_nobody_and_somebody_too_slow_are_no_answer_and_a_late_one_is_not_taken_for_the_next() -> None:
    may_answer = threading.Event()

    def slow(question: bytes) -> bytes:
        if question == b"slow":
            may_answer.wait(10.0)
        return b"to " + question

    with Asker() as asker:
        with pytest.raises(NoAnswer):
            asker.ask("tcp://127.0.0.1:1", b"hello", 0.05)
        server = QuestionServer("127.0.0.1", 0, slow)
        try:
            with pytest.raises(NoAnswer):
                asker.ask(server.endpoint, b"slow", 0.05)
            may_answer.set()
            assert asker.ask(server.endpoint, b"quick", 10.0) == b"to quick"
        finally:
            server.close()


def test_a_question_that_breaks_the_answerer_costs_nobody_else_the_server() -> None:
    def answer(question: bytes) -> bytes:
        if question == b"bad":
            raise ValueError("bad")
        return question

    server = QuestionServer("127.0.0.1", 0, answer)
    try:
        with Asker() as asker:
            with pytest.raises(NoAnswer):
                asker.ask(server.endpoint, b"bad", 0.1)
            assert asker.ask(server.endpoint, b"good", 10.0) == b"good"
    finally:
        server.close()


def test_an_address_that_is_taken_is_an_os_error() -> None:
    server = QuestionServer("127.0.0.1", 0, lambda question: question)
    try:
        with pytest.raises(OSError, match="127"):
            QuestionServer("127.0.0.1", int(server.endpoint.rpartition(":")[2]), lambda question: question)
    finally:
        server.close()
