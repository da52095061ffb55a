"""Answers questions about the stores of this instance, from this process and from others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from streams.config import StreamsConfig
from streams.errors import StreamsError
from streams.live.life import Life
from streams.live.members import Dealt, encode_dealt
from streams.live.questions import (
    MOST_ROWS,
    Answer,
    Question,
    Row,
    StoreCodec,
    builder_of,
    decode_question,
    encode,
    subtopology_of,
)
from streams.live.store_lock import StoreLock
from streams.stores.builder import StoreKind
from streams.stores.store import StateStore
from streams.topology import Topology
from transport.questions import QuestionServer

log = logging.getLogger(__name__)

WHO = "who"
"""Asks for the `Dealt` of the instance: who runs what."""


class Answers:
    """A server at `address` (host, port; 0 takes a free one). Stores are read under the app's lock."""

    def __init__(
        self,
        address: tuple[str, int],
        application: str,
        lock: StoreLock,
        topology: Topology,
        config: StreamsConfig,
        life: Callable[[], Life | None],
    ) -> None:
        self._application = application
        self._lock = lock
        self._topology = topology
        self._config = config
        self._life = life
        self._codecs: dict[str, StoreCodec] = {}
        self._server = QuestionServer(*address, self._answer_bytes)
        self.endpoint = self._server.endpoint

    def close(self) -> None:
        self._server.close()

    def _answer_bytes(self, data: bytes) -> bytes:
        try:
            question = decode_question(data)
        except msgspec.DecodeError as error:
            return encode(Answer(False, error=f"not a question: {error}"))
        if question.what == WHO and question.application == self._application:
            life = self._life()
            return encode_dealt(Dealt() if life is None else life.assignor.dealt)
        return encode(self.answer(question))

    def answer(self, question: Question) -> Answer:
        if question.application != self._application:
            return Answer(False, error=f"this is {self._application}, not {question.application}")
        life = self._life()
        if life is None:
            return Answer(False)
        with self._lock.asking():
            store = self._store(life, question)
            if store is None:
                return Answer(False)
            try:
                codec = self._codec(question.store)
                rows = list(islice(rows_of(store, codec, question), MOST_ROWS + 1))
            except (StreamsError, AttributeError, TypeError, ValueError, msgspec.MsgspecError) as error:
                return Answer(error=f"{question.what}: {error}")
        return Answer(rows=rows[:MOST_ROWS], has_more=len(rows) > MOST_ROWS)

    def _store(self, life: Life, question: Question) -> StateStore | None:
        name = question.store
        if name in self._topology.global_stores:
            return None if life.global_tables is None else life.global_tables.stores.get(name)
        if name not in self._topology.stores:
            return None
        live = life.tasks.get((subtopology_of(self._topology, name), question.partition))
        if live is None or not (question.stale_ok or live.mode == "running"):
            return None
        return live.task.own_stores.get(name)

    def _codec(self, name: str) -> StoreCodec:
        if name not in self._codecs:
            self._codecs[name] = StoreCodec(builder_of(self._topology, name), self._config)
        return self._codecs[name]


def rows_of(store: Any, codec: StoreCodec, question: Question) -> Iterator[Row]:
    """What the store's method gives, as rows of bytes."""
    what, given = question.what, question.arguments
    if codec.kind in (StoreKind.KEY_VALUE, StoreKind.TIMESTAMPED_KEY_VALUE):
        return _key_value_rows(store, codec, what, given)
    if codec.kind in (StoreKind.WINDOW, StoreKind.TIMESTAMPED_WINDOW):
        return _window_rows(store, codec, what, given)
    if codec.kind is StoreKind.SESSION:
        return _session_rows(store, codec, what, given)
    if codec.kind is StoreKind.VERSIONED:
        return _versioned_rows(store, codec, what, given)
    raise StreamsError(f"a {codec.kind.value} store can't be asked")


def _key_value_rows(store: Any, codec: StoreCodec, what: str, given: list[Any]) -> Iterator[Row]:
    if what == "get":
        found = store.get(codec.key_object(given[0]))
        if found is not None:
            yield codec.row(given[0], 0, 0, found)
    elif what == "scan":  # low, high (not included), reverse
        for key, found in store.scan_bytes(given[0], given[1], bool(given[2])):
            yield codec.row(codec.key_bytes(key) or b"", 0, 0, found)
    elif what == "count":
        yield b"", store.approximate_num_entries(), 0, None, -1
    else:
        raise StreamsError("no such question")


def _window_rows(store: Any, codec: StoreCodec, what: str, given: list[Any]) -> Iterator[Row]:
    size = codec.window_size_ms
    if what == "fetch":  # key, start
        found = store.fetch(codec.key_object(given[0]), given[1])
        if found is not None:
            yield codec.row(given[0], given[1], given[1] + size, found)
    elif what == "fetch_between":  # key, from, to, reverse
        method = store.backward_fetch_between if given[3] else store.fetch_between
        for start, found in method(codec.key_object(given[0]), given[1], given[2]):
            yield codec.row(given[0], start, start + size, found)
    elif what == "fetch_range":  # low key, high key, from, to, reverse
        method = store.backward_fetch_range if given[4] else store.fetch_range
        low, high = (codec.key_object(key) for key in given[:2])
        yield from _windowed(codec, method(low, high, given[2], given[3]))
    else:
        raise StreamsError("no such question")


def _session_rows(store: Any, codec: StoreCodec, what: str, given: list[Any]) -> Iterator[Row]:
    if what == "fetch":
        yield from _windowed(codec, store.fetch(codec.key_object(given[0])))
    elif what == "fetch_session":  # key, start, end
        found = store.fetch_session(codec.key_object(given[0]), given[1], given[2])
        if found is not None:
            yield codec.row(given[0], given[1], given[2], found)
    elif what == "find_sessions":  # key, earliest end, latest start
        yield from _windowed(codec, store.find_sessions(codec.key_object(given[0]), given[1], given[2]))
    elif what == "fetch_range":  # low key, high key
        yield from _windowed(codec, store.fetch_range(*(codec.key_object(key) for key in given[:2])))
    else:
        raise StreamsError("no such question")


def _versioned_rows(store: Any, codec: StoreCodec, what: str, given: list[Any]) -> Iterator[Row]:
    key = codec.key_object(given[0])
    found = store.get(key) if what == "get" else store.get_as_of(key, given[1])
    if found is not None:
        end = 0 if found.valid_to is None else found.valid_to
        yield given[0], found.timestamp, end, codec.value_bytes(found.value), found.timestamp


def _windowed(codec: StoreCodec, found: Iterable[Any]) -> Iterator[Row]:
    for windowed, value in found:
        yield codec.row(codec.key_bytes(windowed.key) or b"", windowed.start, windowed.end, value)
