"""Statements on the test driver: what SELECT, CREATE … AS, INSERT, DROP and their kin do."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from streams.sql import PushResult, SqlError, SqlTestDriver

SETUP = """
CREATE STREAM s (k STRING KEY, a INT, t STRING) WITH (kafka_topic='s', value_format='JSON', partitions=1);
CREATE TABLE tab (k STRING PRIMARY KEY, v INT, g STRING) WITH (kafka_topic='tab', value_format='JSON', partitions=1);
INSERT INTO s (k, a, t, ROWTIME) VALUES ('x', 1, 'p', 10), ('y', 3, 'q', 20), ('x', 5, 'p', 1030);
INSERT INTO tab (k, v, g, ROWTIME) VALUES ('x', 1, 'g1', 5), ('y', 2, 'g1', 6), ('x', 4, 'g2', 7);
"""


@pytest.fixture
def sql() -> Iterator[SqlTestDriver]:
    with SqlTestDriver() as driver:
        driver.execute(SETUP)
        yield driver


def test_a_select_reads_what_there_is(sql: SqlTestDriver) -> None:
    assert sql.rows("SELECT * FROM s") == [("x", 1, "p"), ("y", 3, "q"), ("x", 5, "p")]
    assert sql.rows("SELECT * FROM tab") == [("x", 4, "g2"), ("y", 2, "g1")]
    assert sql.rows("SELECT a, ROWTIME FROM s WHERE ROWTIME >= 20 LIMIT 1") == [(3, 20)]
    assert sql.rows("SELECT k, ROWTIME FROM tab") == [("x", 7), ("y", 6)]


def test_a_push_query_goes_on_and_ends_at_its_limit(sql: SqlTestDriver) -> None:
    [pushed] = sql.execute("SELECT k, a FROM s EMIT CHANGES LIMIT 4")
    assert isinstance(pushed, PushResult)
    assert list(pushed) == [("x", 1), ("y", 3), ("x", 5)]
    sql.execute("INSERT INTO s VALUES ('z', 7, 'r'), ('z', 8, 'r')")
    assert list(pushed) == [("z", 7)]
    assert pushed.is_closed
    assert sql.memory._watchers == []


def test_latest_begins_with_what_comes(sql: SqlTestDriver) -> None:
    sql.execute("SET 'auto.offset.reset' = 'latest'")
    [pushed] = sql.execute("SELECT a FROM s EMIT CHANGES")
    sql.execute("CREATE STREAM later AS SELECT k, a FROM s; INSERT INTO s VALUES ('z', 9, 'r')")
    assert (list(pushed), sql.rows("SELECT a FROM later")) == ([(9,)], [(9,)])
    sql.execute("UNSET 'auto.offset.reset'")
    assert sql.rows("SHOW PROPERTIES")[0] == ("auto.offset.reset", "earliest")


AGGREGATES: list[tuple[str, Any, Any]] = [
    ("COUNT(*)", 2, 1),
    ("COUNT(a)", 2, 1),
    ("COUNT(DISTINCT t)", 1, 1),
    ("SUM(a)", 6, 3),
    ("AVG(a)", 3.0, 3.0),
    ("MIN(a) + MAX(a)", 6, 6),
    ("LATEST_BY_OFFSET(a)", 5, 3),
    ("EARLIEST_BY_OFFSET(a)", 1, 3),
    ("LATEST_BY_OFFSET(a, 2)", [1, 5], [3]),
    ("EARLIEST_BY_OFFSET(a, 1)", [1], [3]),
    ("COLLECT_LIST(t)", ["p", "p"], ["q"]),
    ("COLLECT_SET(t)", ["p"], ["q"]),
    ("TOPK(a, 1)", [5], [3]),
    ("TOPKDISTINCT(t, 2)", ["p"], ["q"]),
    ("HISTOGRAM(t)", {"p": 2}, {"q": 1}),
    ("ROUND(STDDEV_SAMPLE(a), 3)", 2.828, 0.0),
    ("SUM(CAST(a AS DECIMAL(6, 2)))", Decimal("6.00"), Decimal("3.00")),
    ("UCASE(k) || CAST(SUM(a * 2) AS STRING)", "X12", "Y6"),
]


@pytest.mark.parametrize(("call", "of_x", "of_y"), AGGREGATES, ids=[call for call, _, _ in AGGREGATES])
def test_aggregate(sql: SqlTestDriver, call: str, of_x: Any, of_y: Any) -> None:
    assert sql.rows(f"SELECT k, {call} AS r FROM s GROUP BY k") == [("x", of_x), ("y", of_y)]
    sql.execute(f"CREATE TABLE kept AS SELECT k, {call} AS r FROM s GROUP BY k")
    assert sorted(sql.rows("SELECT k, r FROM kept")) == [("x", of_x), ("y", of_y)]
    session = f"SELECT k, {call} AS r FROM s WINDOW SESSION (2 SECONDS) GROUP BY k EMIT CHANGES"
    assert sql.rows(session)[-1] == ("x", of_x)


def test_nulls_count_for_nothing_and_null_keys_belong_to_no_group(sql: SqlTestDriver) -> None:
    sql.execute("INSERT INTO s VALUES ('x', NULL, NULL), (NULL, 100, 'p')")
    rows = sql.rows("SELECT k, COUNT(*) AS n, COUNT(a) AS m, SUM(a) AS s, MIN(a) AS l FROM s GROUP BY k")
    assert rows == [("x", 3, 2, 6, 1), ("y", 1, 1, 3, 3)]
    assert sql.rows("SELECT t, COUNT(*) AS n FROM s GROUP BY t") == [("p", 3), ("q", 1)]


def test_rows_of_a_table_move_between_groups(sql: SqlTestDriver) -> None:
    counted = "SELECT g, COUNT(*) AS n, SUM(v) AS s, COLLECT_LIST(k) AS ks FROM tab GROUP BY g"
    sql.execute(f"CREATE TABLE groups AS {counted}")
    assert sorted(sql.rows("SELECT * FROM groups")) == [("g1", 1, 2, ["y"]), ("g2", 1, 4, ["x"])]
    sql.execute("INSERT INTO tab VALUES ('y', 8, 'g2'); INSERT INTO tab (k) VALUES ('x')")
    assert sorted(sql.rows("SELECT * FROM groups")) == [("g1", 0, 0, []), ("g2", 1, 8, ["y"])]


def test_having_filters_groups_and_takes_them_back(sql: SqlTestDriver) -> None:
    sql.execute("CREATE TABLE once AS SELECT t, COUNT(*) AS n FROM s GROUP BY t HAVING COUNT(*) < 2")
    assert sql.rows("SELECT * FROM once") == [("q", 1)]
    assert sql.rows("SELECT n FROM once WHERE t = 'p'") == []
    sql.execute("INSERT INTO s VALUES ('z', 1, 'q')")
    assert sql.rows("SELECT * FROM once") == []
    assert sql.records("ONCE")[-1][1:3] == (b"q", None)


def test_partition_by_gives_new_keys(sql: SqlTestDriver) -> None:
    sql.execute("CREATE STREAM by_t AS SELECT t, k, a FROM s PARTITION BY t")
    assert [record.key for record in sql.records("BY_T")] == [b"p", b"q", b"p"]
    sql.execute("CREATE STREAM both AS SELECT t, a + 1 AS b, k FROM s PARTITION BY t, a + 1")
    assert sql.records("BOTH")[0].key == b'{"T":"p","B":2}'
    sql.execute("CREATE STREAM none AS SELECT k, a FROM s PARTITION BY NULL")
    assert {record.key for record in sql.records("NONE")} == {None}


def test_exploded_arrays_of_different_lengths_are_filled_up(sql: SqlTestDriver) -> None:
    sql.execute("CREATE STREAM e AS SELECT k, EXPLODE(ARRAY[a, a + 1]) AS n, EXPLODE(ARRAY[t]) AS t FROM s WHERE a = 1")
    assert sql.rows("SELECT * FROM e") == [("x", 1, "p"), ("x", 2, None)]


def test_joins_know_their_key_under_either_name(sql: SqlTestDriver) -> None:
    sql.execute("CREATE STREAM j AS SELECT tab.k AS id, a * v AS product FROM s JOIN tab ON s.k = tab.k")
    sql.execute("INSERT INTO s VALUES ('y', 10, 'q'), ('nobody', 1, 'q')")
    assert sql.rows("SELECT * FROM j WHERE id = 'y'") == [("y", 6), ("y", 20)]
    assert sql.rows("SELECT COUNT(*) AS n, id FROM j GROUP BY id") == [(2, "x"), (2, "y")]


def test_outer_joins_have_a_rowkey(sql: SqlTestDriver) -> None:
    sql.execute("""CREATE TABLE other (k STRING PRIMARY KEY, w INT)
        WITH (kafka_topic='o', value_format='JSON', partitions=1)""")
    sql.execute("CREATE TABLE j AS SELECT ROWKEY AS id, v, w FROM tab FULL OUTER JOIN other ON tab.k = other.k")
    sql.execute("INSERT INTO other VALUES ('x', 1), ('z', 2)")
    assert sorted(sql.rows("SELECT * FROM j")) == [("x", 4, 1), ("y", 2, None), ("z", None, 2)]
    right = "SELECT other.k, v, w FROM tab RIGHT JOIN other ON tab.k = other.k"
    assert sorted(sql.rows(right)) == [("x", 4, 1), ("z", None, 2)]


def test_right_joins_of_streams_mirror_their_window(sql: SqlTestDriver) -> None:
    sql.execute("CREATE STREAM r (k STRING KEY, b INT) WITH (kafka_topic='r', value_format='JSON', partitions=1)")
    sql.execute("INSERT INTO r (k, b, ROWTIME) VALUES ('x', 7, 15), ('x', 8, 5), ('y', 9, 5000)")
    joined = "SELECT r.k, a, b FROM s RIGHT JOIN r WITHIN (0 MILLISECONDS, 10 MILLISECONDS) ON s.k = r.k"
    assert sorted(sql.rows(joined), key=str) == [("x", 1, 7), ("x", None, 8)]  # y's window is still open


def test_star_of_a_join_names_the_sources(sql: SqlTestDriver) -> None:
    [result] = sql.execute("SELECT * FROM s JOIN tab x ON s.k = x.k LIMIT 1")
    assert [column.name for column in result.columns] == ["S_K", "S_A", "S_T", "X_K", "X_V", "X_G"]
    [result] = sql.execute("SELECT x.* FROM s JOIN tab x ON s.k = x.k LIMIT 1")
    assert [column.name for column in result.columns] == ["K", "V", "G"]


def test_windows_show_in_star_and_in_where(sql: SqlTestDriver) -> None:
    sql.execute("CREATE TABLE w AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY k")
    assert sorted(sql.rows("SELECT * FROM w")) == [("x", 0, 1000, 1), ("x", 1000, 2000, 1), ("y", 0, 1000, 1)]
    later = "SELECT WINDOWSTART, n FROM w WHERE k = 'x' AND WINDOWSTART >= '1970-01-01T00:00:01'"
    assert sql.rows(later) == [(1000, 1)]
    read_back = """CREATE STREAM back (k STRING KEY, n BIGINT)
        WITH (kafka_topic='W', value_format='JSON', window_type='TUMBLING', window_size='1 SECOND')"""
    sql.execute(read_back)
    assert sql.rows("SELECT k, WINDOWEND FROM back") == [("x", 1000), ("y", 1000), ("x", 2000)]
    assert "tumbling window 1000 ms" in str(sql.rows("DESCRIBE back"))


def test_insert_values_writes_what_the_formats_say(sql: SqlTestDriver) -> None:
    sql.execute("""CREATE STREAM d (k BIGINT KEY, a INT, b STRING, c DOUBLE)
        WITH (kafka_topic='d', value_format='DELIMITED', value_delimiter='TAB', partitions=1)""")
    sql.execute("INSERT INTO d (b, k, ROWTIME) VALUES ('x y', 258, 77), ('quote\"d', 1, 78)")
    first, second = sql.records("d")
    assert first == ("d", b"\0\0\0\0\0\0\1\2", b"\tx y\t", 77, ())
    assert second.value == b'\t"quote""d"\t'
    assert sql.rows("SELECT * FROM d") == [(258, None, "x y", None), (1, None, 'quote"d', None)]


def test_json_is_read_in_any_case_and_bad_rows_are_skipped(sql: SqlTestDriver) -> None:
    sql.pipe("s", "k1", '{"a": 1, "T": "x", "more": []}')
    sql.pipe("s", "k2", '{"A": "no number"}')
    sql.pipe("s", "k3", "no json")
    sql.pipe("s", "k4", '{"t": 5, "a": null}')
    assert sql.rows("SELECT * FROM s WHERE k LIKE 'k%'") == [("k1", 1, "x"), ("k4", None, "5")]


def test_rows_can_have_their_time_in_a_column(sql: SqlTestDriver) -> None:
    sql.execute("""CREATE STREAM e (at STRING, n INT) WITH (kafka_topic='e', value_format='JSON', partitions=1,
        timestamp='at', timestamp_format='yyyy-MM-dd HH:mm')""")
    sql.execute("INSERT INTO e VALUES ('1970-01-01 00:01', 1), ('nonsense', 2)")
    assert sql.rows("SELECT n, ROWTIME FROM e") == [(1, 60_000)]
    sql.execute("CREATE STREAM f WITH (timestamp='LATER') AS SELECT n, ROWTIME + 5 AS later FROM e")
    assert [record.timestamp for record in sql.records("F")] == [60_005]


def test_insert_select_adds_to_a_stream(sql: SqlTestDriver) -> None:
    sql.execute("CREATE STREAM o AS SELECT k, a FROM s WHERE a < 2")
    sql.execute("INSERT INTO o SELECT k, a * 100 AS h FROM s WHERE a > 2")
    assert sql.rows("SELECT * FROM o") == [("x", 1), ("y", 300), ("x", 500)]
    assert [row[0] for row in sql.rows("SHOW QUERIES")] == ["CSAS_O_2", "INSERTQUERY_3"]
    with pytest.raises(SqlError, match=r"the SELECT gives \(K STRING\)"):
        sql.execute("INSERT INTO o SELECT k FROM s")


def test_terminate_stops_and_drop_forgets(sql: SqlTestDriver) -> None:
    sql.execute("CREATE STREAM o AS SELECT k, a FROM s; TERMINATE CSAS_O_2; INSERT INTO s VALUES ('x', 9, 'p')")
    assert len(sql.records("O")) == 3
    sql.execute("DROP STREAM o DELETE TOPIC")
    assert "O" not in sql.memory.topics()
    assert sql.execute("DROP STREAM IF EXISTS o")[0].message == "there is no O"
    sql.execute("CREATE STREAM o AS SELECT k FROM s; CREATE STREAM p AS SELECT k FROM o; TERMINATE ALL")
    assert sql.rows("SHOW QUERIES") == []


def test_or_replace_and_if_not_exists(sql: SqlTestDriver) -> None:
    sql.execute("CREATE TABLE o AS SELECT k, v FROM tab; CREATE TABLE IF NOT EXISTS o AS SELECT k, v * 2 AS v FROM tab")
    assert sql.rows("SELECT v FROM o WHERE k = 'x'") == [(4,)]
    sql.execute("CREATE OR REPLACE TABLE o AS SELECT k, v * 3 AS v FROM tab")
    assert sql.rows("SELECT v FROM o WHERE k = 'x'") == [(12,)]
    assert [row[0] for row in sql.rows("SHOW QUERIES")] == ["CTAS_O_3"]


def test_keys_of_several_columns_are_json(sql: SqlTestDriver) -> None:
    sql.execute("CREATE TABLE o AS SELECT k, t, SUM(a) AS s FROM s GROUP BY k, t")
    assert sql.records("O")[0].key == b'{"K":"x","T":"p"}'
    assert sql.rows("SELECT s FROM o WHERE k = 'x' AND t = 'p'") == [(6,)]
    assert sql.rows("SELECT s FROM o WHERE t = 'q'") == [(3,)]


def test_print_shows_records_as_they_are(sql: SqlTestDriver) -> None:
    assert sql.rows("PRINT s FROM BEGINNING LIMIT 1") == [(10, "x", '{"A":1,"T":"p"}')]


def test_explain_shows_the_topology(sql: SqlTestDriver) -> None:
    message = sql.execute("EXPLAIN SELECT t, COUNT(*) AS n FROM s GROUP BY t EMIT CHANGES")[0].message
    assert "gives a table of T STRING, N BIGINT" in message
    assert "Sub-topology: 1" in message


def test_a_push_query_of_a_table_says_which_columns_are_its_key(sql: SqlTestDriver) -> None:
    [pushed] = sql.execute("SELECT COUNT(*) AS n, t FROM s GROUP BY t EMIT CHANGES")
    assert isinstance(pushed, PushResult)
    assert pushed.key_places == (1,)
    assert list(pushed) == [(1, "p"), (1, "q"), (2, "p")]


def test_a_store_and_its_topic_say_the_same(sql: SqlTestDriver) -> None:
    sql.execute("CREATE TABLE o AS SELECT t, COUNT(*) AS n FROM s GROUP BY t")
    stored = sorted(sql.rows("SELECT t, n FROM o"))
    read = sorted((t, n) for t, n, _ in sql.rows("SELECT t, n, ROWTIME FROM o"))
    assert stored == read == [("p", 2), ("q", 1)]


def test_a_select_says_so_when_a_query_it_depends_on_has_failed(sql: SqlTestDriver, monkeypatch: Any) -> None:
    sql.execute(
        "CREATE STREAM big AS SELECT k, a FROM s WHERE a > 1;"
        "CREATE TABLE n AS SELECT k, COUNT(*) AS n FROM big GROUP BY k"
    )
    [(failed, *_)] = [row for row in sql.rows("SHOW QUERIES") if row[2] == "BIG"]
    failures = {failed: ConnectionError("no broker")}
    monkeypatch.setattr(sql.memory, "failure_of", failures.get)
    for statement in ("SELECT * FROM n", "SELECT n FROM n WHERE k = 'x'", "SELECT k FROM big EMIT CHANGES"):
        with pytest.raises(SqlError, match=f"query {failed} has failed: no broker"):
            sql.rows(statement)
    assert len(sql.rows("SELECT * FROM s")) == 3, "what nobody fills is read as ever"
