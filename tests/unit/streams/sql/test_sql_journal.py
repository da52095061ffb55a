"""What a new engine takes up from the statements of earlier ones."""

from __future__ import annotations

from streams.sql.journal import Entry, still_valid
from streams.sql.parser import parse


def left_of(*texts: str) -> tuple[list[int], set[int]]:
    """The numbers of statements that hold, and of those whose query doesn't run."""
    entries = [(Entry(text, {}, number), parse(text)[0]) for number, text in enumerate(texts)]
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
