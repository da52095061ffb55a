"""What a new engine takes up from the statements of earlier ones."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from clients.producer import Producer
from model.errors import KafkaError, NotEnoughReplicas, RequestTimedOut
from streams.sql import SqlEngine, SqlTestDriver
from streams.sql.journal import Entry, Journal, still_valid
from streams.sql.memory_backend import MemoryBackend
from streams.sql.parser import parse
from streams.sql.types import SqlType


def left_of(*texts: str) -> tuple[list[int], set[int]]:
    """The numbers of statements that hold, and of those whose query doesn't run."""
    types: dict[str, SqlType] = {}
    entries = [(Entry(text, {}, number), parse(text, types)[0]) for number, text in enumerate(texts)]
    kept, stopped = still_valid(entries)
    return [entry.number for entry, _ in kept], stopped


SOURCE = "CREATE STREAM s (a INT) WITH (kafka_topic='s', value_format='JSON')"
QUERY = "CREATE STREAM o AS SELECT a FROM s"


def test_what_was_dropped_is_gone() -> None:
    assert left_of(SOURCE, QUERY, "DROP STREAM o DELETE TOPIC") == ([0], set())


def test_what_was_dropped_and_made_again_is_there_once() -> None:
    assert left_of(SOURCE, QUERY, "DROP STREAM o", QUERY) == ([0, 3], set())


def test_a_terminated_query_leaves_its_stream() -> None:
    assert left_of(SOURCE, QUERY, "TERMINATE csas_o_1") == ([0, 1], {1})


def test_a_terminated_insert_leaves_nothing() -> None:
    assert left_of(SOURCE, QUERY, "INSERT INTO o SELECT a FROM s", "TERMINATE INSERTQUERY_2") == ([0, 1], {2})


def test_terminate_all_stops_what_came_before_it() -> None:
    assert left_of(SOURCE, QUERY, "TERMINATE ALL", "CREATE STREAM p AS SELECT a FROM s")[1] >= {1}
    assert 3 not in left_of(SOURCE, QUERY, "TERMINATE ALL", "CREATE STREAM p AS SELECT a FROM s")[1]


def test_a_replaced_definition_is_gone() -> None:
    assert left_of(SOURCE, QUERY, "CREATE OR REPLACE STREAM o AS SELECT a + 1 AS a FROM s") == ([0, 2], set())


def test_a_type_and_a_stream_of_one_name_are_two_things() -> None:
    typed = "CREATE TYPE s AS STRUCT<a INT>"
    assert left_of(SOURCE, typed, "DROP STREAM s") == ([1], set())
    assert left_of(typed, SOURCE, "DROP TYPE s") == ([1], set())


# -- a cluster in trouble


class Writer:
    """A producer whose deliveries come out as `outcomes` say: an offset, or what is raised."""

    def __init__(self, *outcomes: int | Exception) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[bytes] = []

    def send(self, _topic: str, data: bytes, **_: Any) -> Any:
        self.sent.append(data)
        return SimpleNamespace(result=self._result)

    def _result(self, _timeout_s: float) -> Any:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return SimpleNamespace(offset=outcome)


def a_journal(writer: Writer) -> Journal:
    return Journal("j", {}, lambda: cast(Producer, writer), lambda _: None, lambda _: True)


def test_a_statement_that_was_not_acknowledged_in_time_is_waited_for_and_not_sent_twice() -> None:
    writer = Writer(TimeoutError("late"), 7, 8)
    journal = a_journal(writer)
    with pytest.raises(RequestTimedOut, match="late"):
        journal.write(Entry("one", {}, 0))
    journal.write(Entry("two", {}, 1))
    assert [b"one" in data for data in writer.sent] == [True, False]


def test_a_statement_that_was_refused_is_sent_again_before_the_next() -> None:
    writer = Writer(NotEnoughReplicas("few"), 7, 8)
    journal = a_journal(writer)
    with pytest.raises(NotEnoughReplicas):
        journal.write(Entry("one", {}, 0))
    journal.write(Entry("two", {}, 1))
    assert [b"one" in data for data in writer.sent] == [True, True, False]


class TroubledBackend(MemoryBackend):
    """Others have defined `texts`; topics can't be created while `is_away`."""

    def __init__(self, *texts: str) -> None:
        super().__init__(0)
        self.is_away = True
        self._entries = [Entry(text, {"auto.offset.reset": "earliest"}, number) for number, text in enumerate(texts)]
        self.journal = SimpleNamespace(news=self._news, settle=lambda: None, write=lambda entry: None)

    def _news(self) -> Iterator[Entry]:
        while self._entries:
            yield self._entries.pop(0)

    def create_topic(self, name: str, partitions: int, replicas: int | None, *, is_compacted: bool) -> None:
        if self.is_away:
            raise KafkaError("away")
        super().create_topic(name, partitions, replicas, is_compacted=is_compacted)


def test_what_others_defined_is_taken_up_once_the_cluster_is_back() -> None:
    made = "CREATE STREAM s (a INT) WITH (kafka_topic='s', value_format='JSON', partitions=1)"
    backend = TroubledBackend(made, "SELEKT nothing", "CREATE STREAM o AS SELECT a FROM s")
    engine = SqlEngine(backend=backend)
    with pytest.raises(KafkaError):
        engine.execute("SHOW STREAMS")
    backend.is_away = False
    assert [row[0] for row in engine.execute("SHOW STREAMS")[0].rows] == ["S", "O"]
    assert [row[0] for row in engine.execute("SHOW QUERIES")[0].rows] == ["CSAS_O_2"]
    assert len(engine.definitions.problems) == 1
    engine.close()


def test_a_stream_whose_topic_could_not_be_deleted_is_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with SqlTestDriver() as sql:
        sql.execute("CREATE STREAM s (a INT) WITH (kafka_topic='s', value_format='JSON', partitions=1)")

        def fails(_name: str) -> None:
            raise NotEnoughReplicas("not now")

        monkeypatch.setattr(sql.memory, "delete_topic", fails)
        with pytest.raises(NotEnoughReplicas):
            sql.execute("DROP STREAM s DELETE TOPIC")
        assert [row[0] for row in sql.rows("SHOW STREAMS")] == ["S"]
