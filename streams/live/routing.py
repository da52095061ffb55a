"""Finds who can answer a question about a store, and asks: the owner of the partition, or a standby if that will do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import msgspec

from clients.murmur2 import murmur2
from streams.errors import StateStoreError
from streams.live.members import Dealt, MemberInfo
from streams.live.questions import Answer, Argument, Question, Row, decode_answer, encode, subtopology_of
from streams.topology import Topology
from transport.questions import Asker, NoAnswer

if TYPE_CHECKING:
    from streams.live.app import Streams

T = TypeVar("T")

_PAUSE_S = 0.05
_ASK_S = 2.0
_local = threading.local()


def _asker() -> Asker:
    """One per thread: threads need not wait for each other's answers."""
    found: Asker | None = getattr(_local, "asker", None)
    if found is None:
        found = _local.asker = Asker()
    return found


class Router:
    """`answer_here` answers what this process can; None when it is no instance itself."""

    def __init__(self, app: Streams, *, stale_ok: bool, timeout_s: float) -> None:
        self.stale_ok = stale_ok
        self._app = app
        self._timeout_s = timeout_s
        self.topology: Topology = app.topology
        self._application = app.config.application_id

    def partition_of(self, store: str, key: bytes) -> int:
        """Where Kafka's partitioner puts the key."""
        count = self._partitions(store)
        return (murmur2(key) & 0x7FFFFFFF) % count

    def _partitions(self, store: str) -> int:
        def count() -> int | None:
            return self._app.dealt.partitions.get(subtopology_of(self.topology, store))

        return self._until(count, f"nobody has been given the tasks of store {store} yet")

    def ask(self, store: str, partition: int, what: str, *arguments: Argument) -> list[Row]:
        """Raises StateStoreError when nobody answers in time, or when the question makes no sense."""
        return self._ask(Question(self._application, store, partition, what, list(arguments), self.stale_ok)).rows

    def _ask(self, question: Question) -> Answer:
        last = ["nobody has it"]

        def attempt() -> Answer | None:
            for member in self._candidates(question):
                answer = self._ask_member(member, question, last)
                if answer is not None and answer.is_here:
                    return answer
            return None

        answer = self._until(attempt, f"store {question.store}, partition {question.partition}: ", last)
        if answer.error:
            raise StateStoreError(f"store {question.store}: {answer.error}")
        return answer

    def _ask_member(self, member: MemberInfo | None, question: Question, last: list[str]) -> Answer | None:
        here = self._app.answers
        if here is not None and (member is None or member.said.instance == self._app.instance):
            return here.answer(question)
        if member is None or not member.said.endpoint:
            return None
        try:
            return decode_answer(_asker().ask(member.said.endpoint, encode(question), min(_ASK_S, self._timeout_s)))
        except (NoAnswer, msgspec.DecodeError) as error:
            last[0] = str(error)
            return None

    def _candidates(self, question: Question) -> Iterator[MemberInfo | None]:
        dealt: Dealt = self._app.dealt
        if question.store in self.topology.global_stores:
            yield None
            yield from dealt.members
            return
        task = (subtopology_of(self.topology, question.store), question.partition)
        yield from (member for member in dealt.members if task in member.active)
        if question.stale_ok:
            yield from (member for member in dealt.members if task in member.standby)

    def scan(self, store: str, low: bytes | None, high: bytes | None, reverse: bool) -> Iterator[Row]:
        """Of all partitions, one after the other, some thousand rows at a time. `high` is not included."""
        for partition in self.partitions(store):
            bottom, top = low, high
            while True:
                question = Question(self._application, store, partition, "scan", [bottom, top, reverse], self.stale_ok)
                answer = self._ask(question)
                yield from answer.rows
                if not answer.has_more:
                    break
                edge = answer.rows[-1][0]
                bottom, top = (bottom, edge) if reverse else (edge + b"\x00", top)

    def partitions(self, store: str) -> range:
        return range(1) if store in self.topology.global_stores else range(self._partitions(store))

    def _until(self, attempt: Callable[[], T | None], what: str, last: list[str] | None = None) -> T:
        deadline = time.monotonic() + self._timeout_s
        while True:
            found = attempt()
            if found is not None:
                return found
            if time.monotonic() > deadline:
                raise StateStoreError(what + (last[0] if last else ""))
            time.sleep(_PAUSE_S)
