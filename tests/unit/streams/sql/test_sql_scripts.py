"""What people paste from ksqlDB's pages and keep in files: names without AS, types by name, variables, scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.sql import SqlError, SqlTestDriver
from streams.sql.tokens import is_complete


@pytest.fixture
def sql() -> Iterator[SqlTestDriver]:
    with SqlTestDriver() as driver:
        driver.execute("""
            CREATE STREAM s (k STRING KEY, a INT, r STRUCT<x INT, y STRING>)
              WITH (kafka_topic='s', value_format='JSON', partitions=1);
            INSERT INTO s VALUES ('p', 1, STRUCT(x := 5, y := 'z'));
        """)
        yield driver


@pytest.mark.parametrize(
    ("item", "value"),
    [
        ("a + 1 next", 2),
        ("CASE WHEN a = 1 THEN 'one' ELSE 'more' END how", "one"),
        ("CASE a WHEN 1 THEN 'one' END `how`", "one"),
        ("a IS NULL missing", False),
        ("a IS NOT DISTINCT FROM 1 same", True),
        ("k BETWEEN 'a' AND 'q' inside", True),
        ("k NOT IN ('x') out", True),
        ("r->x five", 5),
        ("ARRAY[a, 2][1] first", 1),
        ("'text' word", "text"),
    ],
)
def test_a_column_is_named_without_as(sql: SqlTestDriver, item: str, value: object) -> None:
    [result] = sql.execute(f"SELECT {item} FROM s")
    assert result.columns[0].name.upper() == item.split()[-1].strip("`").upper()
    assert result.rows == [(value,)]


def test_all_fields_of_a_struct_become_columns(sql: SqlTestDriver) -> None:
    [result] = sql.execute("SELECT k, r->* FROM s")
    assert [column.name for column in result.columns] == ["K", "X", "Y"]
    assert result.rows == [("p", 5, "z")]


def test_a_type_has_a_name_until_it_is_dropped(sql: SqlTestDriver) -> None:
    sql.execute("""
        CREATE TYPE address AS STRUCT<number INT, value BYTES, date DATE>;
        CREATE STREAM people (k STRING KEY, home ADDRESS, others ARRAY<address>)
          WITH (kafka_topic='people', value_format='JSON', partitions=1);
    """)
    assert sql.rows("SHOW TYPES") == [("ADDRESS", "STRUCT<NUMBER INTEGER, VALUE BYTES, DATE DATE>")]
    sql.execute("INSERT INTO people (k, home) VALUES ('a', STRUCT(number := 7, value := NULL, date := NULL))")
    assert sql.rows("SELECT home->number FROM people") == [(7,)]
    sql.execute("DROP TYPE address; DROP TYPE IF EXISTS address")
    assert sql.rows("SHOW TYPES") == []
    assert sql.rows("SELECT home->number FROM people") == [(7,)]
    with pytest.raises(SqlError, match="no type ADDRESS"):
        sql.execute("CREATE STREAM t (a ADDRESS) WITH (kafka_topic='people', value_format='JSON')")


def test_variables_hold_from_where_they_are_defined(sql: SqlTestDriver) -> None:
    assert sql.rows("DEFINE what = 'a'; SELECT ${What}, '${what} ${other}' AS t FROM s") == [(1, "a ${other}")]
    assert sql.rows("SELECT ${what} FROM s") == [(1,)]
    assert sql.rows("SHOW VARIABLES") == [("WHAT", "a")]
    assert sql.rows("DEFINE what = 'it; k'; SELECT '${what}' AS t FROM s") == [("it; k",)]
    sql.execute("UNDEFINE what")
    with pytest.raises(SqlError, match="this variable has no value"):
        sql.execute("SELECT ${what} FROM s")


def test_a_script_runs_in_the_middle_of_others(sql: SqlTestDriver, tmp_path: Path) -> None:
    script = tmp_path / "more.sql"
    script.write_text("DEFINE n = '4';\nINSERT INTO s (k, a) VALUES ('q', ${n}) -- no semicolon")
    assert sql.rows(f"RUN SCRIPT '{script}'; SELECT a FROM s WHERE a = ${{n}}") == [(4,)]
    with pytest.raises(SqlError, match="can't be read"):
        sql.execute("RUN SCRIPT '/nowhere/at.all'")


def test_a_column_is_added_to_a_stream(sql: SqlTestDriver) -> None:
    sql.execute("ALTER STREAM s ADD COLUMN b INT, ADD c STRING; INSERT INTO s (k, b) VALUES ('q', 9)")
    assert sql.rows("SELECT k, a, b, c FROM s") == [("p", 1, None, None), ("q", None, 9, None)]
    with pytest.raises(SqlError, match="column B is there already"):
        sql.execute("ALTER STREAM s ADD b INT")


def test_listings_tell_more_when_asked_to(sql: SqlTestDriver) -> None:
    sql.execute("CREATE TABLE n AS SELECT k, COUNT(*) AS c FROM s GROUP BY k")
    [described] = sql.rows("DESCRIBE TABLES EXTENDED")
    assert described == ("N", "N", "KAFKA", "JSON", "False", "1", "K STRING, C BIGINT", "CTAS_N_1")
    assert sql.rows("SHOW QUERIES EXTENDED")[0][5:] == ("S", "")
    assert sql.rows("SHOW ALL TOPICS") == [("N", "1"), ("s", "1")]
    assert sql.execute("DESCRIBE EXTENDED n")[0].message.startswith("Topic: N, 1 partitions")
    assert len(sql.rows("PRINT s FROM BEGINNING INTERVAL 2 LIMIT 1")) == 1


def test_what_scripts_for_ksqldb_set_is_understood(sql: SqlTestDriver) -> None:
    sql.execute("SET 'ksql.streams.auto.offset.reset' = 'latest'; SET 'commit.interval.ms' = '2000'")
    [told] = sql.execute("SET 'cache.max.bytes.buffering' = '0'")
    assert "changes nothing" in told.message
    assert dict(sql.rows("SHOW PROPERTIES"))["commit.interval.ms"] == "2000"
    sql.execute("UNSET 'auto.offset.reset'; UNSET 'commit.interval.ms'")
    assert sql.rows("SHOW PROPERTIES") == [("auto.offset.reset", "earliest"), ("processing.guarantee", "at_least_once")]
    with pytest.raises(SqlError, match=r"commit\.interval\.ms is a number"):
        sql.execute("SET 'commit.interval.ms' = 'soon'")


def test_first_and_last_values_can_count_nulls(sql: SqlTestDriver) -> None:
    sql.execute("INSERT INTO s (k, a) VALUES ('p', NULL), ('p', 3), ('p', NULL)")
    asked = """SELECT LATEST_BY_OFFSET(a) l, LATEST_BY_OFFSET(a, false) n, LATEST_BY_OFFSET(a, 2) two,
      LATEST_BY_OFFSET(a, 2, false) both, EARLIEST_BY_OFFSET(a, 2, false) early FROM s GROUP BY k"""
    assert sql.rows(asked) == [(3, None, [1, 3], [3, None], [1, None])]


def test_the_prompt_stops_asking_for_lines_that_would_not_help() -> None:
    assert not is_complete("SELECT 'a;")
    assert not is_complete("SELECT a /* ;")
    assert not is_complete("SELECT a")
    assert is_complete("SELECT a # b;")
    assert is_complete("SELECT ${x} FROM s;")
