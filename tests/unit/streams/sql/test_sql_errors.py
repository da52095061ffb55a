"""What people read when a statement is wrong: the place, a caret, a hint."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import dedent

import pytest

from streams.sql import SqlError, SqlTestDriver

SETUP = """
CREATE STREAM flights (tail STRING KEY, carrier STRING, delay INT, at TIMESTAMP, plane STRUCT<maker STRING, seats INT>)
  WITH (kafka_topic='flights', value_format='JSON', partitions=1);
CREATE STREAM repairs (tail STRING KEY, what STRING) WITH (kafka_topic='repairs', value_format='JSON', partitions=1);
CREATE TABLE airlines (code STRING PRIMARY KEY, name STRING)
  WITH (kafka_topic='airlines', value_format='JSON', partitions=1);
CREATE TABLE delays AS SELECT carrier, COUNT(*) AS n FROM flights GROUP BY carrier;
"""

MESSAGES = {
    "a statement that is none": """
        SELCT tail FROM flights;
        ---
        line 1:1: SELCT is not expected here
          SELCT tail FROM flights;
          ^^^^^
          did you mean SELECT?
    """,
    "a clause misspelt": """
        SELECT tail FROM flights WHRE delay > 1;
        ---
        line 1:26: WHRE is not expected here
          SELECT tail FROM flights WHRE delay > 1;
                                   ^^^^
          did you mean WHERE?
    """,
    "FROM misspelt": """
        SELECT tail FORM flights;
        ---
        line 1:13: FORM is not expected here
          SELECT tail FORM flights;
                      ^^^^
          did you mean FROM?
    """,
    "a unit of time that is none": """
        SELECT TIMESTAMPADD(DAYZ, 1, at) FROM flights;
        ---
        line 1:21: a unit such as DAYS or SECONDS is needed here
          SELECT TIMESTAMPADD(DAYZ, 1, at) FROM flights;
                              ^^^^
          did you mean DAY?
    """,
    "a type in a struct": """
        CREATE STREAM x (a STRUCT<value BYTES, b ARRAY<STRIN>>) WITH (kafka_topic='x', value_format='JSON');
        ---
        line 1:48: no type STRIN
          CREATE STREAM x (a STRUCT<value BYTES, b ARRAY<STRIN>>) WITH (kafka_topic='x', value_format='JSON');
                                                         ^^^^^
          did you mean STRING?
    """,
    "a variable without a value": """
        DEFINE t = 'flights'; SELECT ${column} FROM ${t};
        ---
        line 1:30: this variable has no value
          DEFINE t = 'flights'; SELECT ${column} FROM flights;
                                       ^^^^^^^^^
          DEFINE name = '…' gives it one
    """,
    "a column added to what a query fills": """
        ALTER TABLE delays ADD COLUMN x INT;
        ---
        line 1:13: DELAYS has the columns that its query selects
          ALTER TABLE delays ADD COLUMN x INT;
                      ^^^^^^
          CREATE OR REPLACE TABLE DELAYS AS …
    """,
    "the second line": """
        SELECT tail,
          carier
        FROM flights;
        ---
        line 2:3: no column CARIER in FLIGHTS
            carier
            ^^^^^^
          did you mean CARRIER?
    """,
    "a source that isn't there": """
        SELECT tail FROM flight;
        ---
        line 1:18: no stream or table FLIGHT
          SELECT tail FROM flight;
                           ^^^^^^
          did you mean FLIGHTS?
    """,
    "a string that never ends": """
        SELECT 'tail FROM flights;
        ---
        line 1:8: the string that begins here never ends
          SELECT 'tail FROM flights;
                 ^
          close it with '
    """,
    "a comment that never ends": """
        SELECT tail /* FROM flights;
        ---
        line 1:13: the comment that begins here never ends
          SELECT tail /* FROM flights;
                      ^^
          close it with */
    """,
    "a bracket that never closes": """
        SELECT LEN(tail FROM flights;
        ---
        line 1:11: this ( is never closed
          SELECT LEN(tail FROM flights;
                    ^
    """,
    "an expression that makes no sense": """
        SELECT tail FROM flights WHERE delay + + > 1;
        ---
        line 1:42: > is not expected here
          SELECT tail FROM flights WHERE delay + + > 1;
                                                   ^
    """,
    "a type that is none": """
        CREATE STREAM s (a INT, b FLOAT32) WITH (kafka_topic='s', value_format='JSON');
        ---
        line 1:27: no type FLOAT32
          CREATE STREAM s (a INT, b FLOAT32) WITH (kafka_topic='s', value_format='JSON');
                                    ^^^^^^^
          there are BOOLEAN, INT, BIGINT, DOUBLE, DECIMAL, STRING, BYTES, TIMESTAMP, DATE, TIME, ARRAY, MAP and STRUCT
    """,
    "a function misspelt": """
        SELECT UCAS(carrier) FROM flights;
        ---
        line 1:8: no function UCAS
          SELECT UCAS(carrier) FROM flights;
                 ^^^^
          did you mean UCASE?
    """,
    "arguments of the wrong type": """
        SELECT SUBSTRING(delay, 1) FROM flights;
        ---
        line 1:8: SUBSTRING doesn't take (INTEGER, INTEGER)
          SELECT SUBSTRING(delay, 1) FROM flights;
                 ^^^^^^^^^
          it takes (STRING, INTEGER, [INTEGER]) -> STRING
    """,
    "types that can't be compared": """
        SELECT tail FROM flights WHERE delay = 'late';
        ---
        line 1:32: INTEGER can't be compared with STRING
          SELECT tail FROM flights WHERE delay = 'late';
                                         ^^^^^^^^^^^^^^
          CAST(… AS INTEGER)
    """,
    "a time that is none": """
        SELECT tail FROM flights WHERE at > 'yesterday';
        ---
        line 1:37: 'yesterday' is no TIMESTAMP: write it as 2013-01-31T12:00:00
          SELECT tail FROM flights WHERE at > 'yesterday';
                                              ^^^^^^^^^^^
    """,
    "a field that isn't there": """
        SELECT plane->seat FROM flights;
        ---
        line 1:15: no field SEAT in STRUCT<MAKER STRING, SEATS INTEGER>
          SELECT plane->seat FROM flights;
                        ^^^^
          did you mean SEATS?
    """,
    "a column outside its group": """
        SELECT carrier, tail FROM flights GROUP BY carrier;
        ---
        line 1:17: TAIL is neither in GROUP BY nor in an aggregate function
          SELECT carrier, tail FROM flights GROUP BY carrier;
                          ^^^^
          add it there, or use LATEST_BY_OFFSET, MAX, …
    """,
    "a name that two sources have": """
        SELECT tail FROM flights f JOIN repairs r WITHIN 1 HOUR ON f.tail = r.tail;
        ---
        line 1:8: TAIL could be F.TAIL and R.TAIL
          SELECT tail FROM flights f JOIN repairs r WITHIN 1 HOUR ON f.tail = r.tail;
                 ^^^^
          put the source in front
    """,
    "streams joined for ever": """
        SELECT f.tail FROM flights f JOIN repairs r ON f.tail = r.tail;
        ---
        line 1:35: two streams are joined within a time
          SELECT f.tail FROM flights f JOIN repairs r ON f.tail = r.tail;
                                            ^^^^^^^
          WITHIN 10 SECONDS after the second stream says how far apart they may be
    """,
    "a table joined by something else than its key": """
        SELECT f.tail FROM flights f JOIN airlines a ON f.carrier = a.name;
        ---
        line 1:61: table A can only be joined by its key
          SELECT f.tail FROM flights f JOIN airlines a ON f.carrier = a.name;
                                                                      ^^^^^^
          its key is CODE
    """,
    "a key that isn't selected": """
        CREATE STREAM s AS SELECT delay FROM flights;
        ---
        line 1:20: the key column TAIL must be selected
          CREATE STREAM s AS SELECT delay FROM flights;
                             ^^^^^^
          add FLIGHTS.TAIL to the list
    """,
    "a stream that is a table": """
        CREATE STREAM s AS SELECT carrier, COUNT(*) AS n FROM flights GROUP BY carrier;
        ---
        line 1:20: this SELECT gives a table
          CREATE STREAM s AS SELECT carrier, COUNT(*) AS n FROM flights GROUP BY carrier;
                             ^^^^^^
          CREATE TABLE S AS …
    """,
    "an unknown setting": """
        CREATE STREAM s (a INT) WITH (kafka_topik='s', value_format='JSON');
        ---
        line 1:31: no setting KAFKA_TOPIK
          CREATE STREAM s (a INT) WITH (kafka_topik='s', value_format='JSON');
                                        ^^^^^^^^^^^^^^^
          did you mean KAFKA_TOPIC?
    """,
    "a format too small": """
        CREATE STREAM s WITH (value_format='KAFKA') AS SELECT tail, carrier, delay FROM flights;
        ---
        line 1:23: value: format KAFKA holds one column, these are 2; JSON and DELIMITED hold many
          CREATE STREAM s WITH (value_format='KAFKA') AS SELECT tail, carrier, delay FROM flights;
                                ^^^^^^^^^^^^^^^^^^^^
    """,
    "a value of the wrong type": """
        INSERT INTO flights (tail, delay) VALUES ('N1', 'late');
        ---
        line 1:49: INTEGER is needed here, this is STRING
          INSERT INTO flights (tail, delay) VALUES ('N1', 'late');
                                                          ^^^^^^
          CAST(… AS INTEGER)
    """,
    "an INSERT into what a query fills": """
        INSERT INTO delays VALUES ('UA', 1);
        ---
        line 1:13: DELAYS is filled by query CTAS_DELAYS_3
          INSERT INTO delays VALUES ('UA', 1);
                      ^^^^^^
    """,
    "a DROP of what is in use": """
        DROP STREAM flights;
        ---
        line 1:13: FLIGHTS can't be dropped: CTAS_DELAYS_3 uses it
          DROP STREAM flights;
                      ^^^^^^^
          TERMINATE CTAS_DELAYS_3 first
    """,
    "an aggregate that can't follow a table": """
        SELECT name, MAX(code) FROM airlines GROUP BY name;
        ---
        line 1:14: MAX can't follow a table: what leaves a group can't be taken back
          SELECT name, MAX(code) FROM airlines GROUP BY name;
                       ^^^
    """,
    "something sqlglot knows and we don't": """
        SELECT COUNT(*) OVER (PARTITION BY carrier) FROM flights;
        ---
        line 1:8: partition by is not supported in expressions
          SELECT COUNT(*) OVER (PARTITION BY carrier) FROM flights;
                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    """,
    "one topic read in two ways": """
        CREATE STREAM again (tail STRING KEY, delay INT) WITH (kafka_topic='flights', value_format='JSON');
        SELECT a.delay FROM flights f JOIN again a WITHIN 1 HOUR ON f.tail = a.tail;
        ---
        line 2:36: FLIGHTS and AGAIN both read topic flights, which a query reads one way only
          SELECT a.delay FROM flights f JOIN again a WITHIN 1 HOUR ON f.tail = a.tail;
                                             ^^^^^
          use FLIGHTS twice, or copy one with CREATE STREAM … AS SELECT
    """,
}


@pytest.fixture
def sql() -> Iterator[SqlTestDriver]:
    with SqlTestDriver() as driver:
        driver.execute(SETUP)
        yield driver


@pytest.mark.parametrize("what", MESSAGES)
def test_the_message_points_at(sql: SqlTestDriver, what: str) -> None:
    text, expected = dedent(MESSAGES[what]).strip("\n").split("\n---\n")
    with pytest.raises(SqlError) as raised:
        sql.execute(text)
    assert str(raised.value) == expected.rstrip()


def test_statements_before_the_wrong_one_are_carried_out(sql: SqlTestDriver) -> None:
    with pytest.raises(SqlError, match="line 2:8"):
        sql.execute("INSERT INTO airlines VALUES ('UA', 'United');\nSELECT nam FROM airlines;")
    assert sql.rows("SELECT name FROM airlines") == [("United",)]


def test_an_error_knows_its_line_and_column(sql: SqlTestDriver) -> None:
    with pytest.raises(SqlError) as raised:
        sql.execute("SHOW TABLES;\n\n  SHOW STREMS;")
    assert raised.value.place == (3, 8)


def test_a_wrong_definition_leaves_nothing_behind(sql: SqlTestDriver) -> None:
    before = sql.rows("SHOW STREAMS"), sql.rows("SHOW QUERIES"), sql.rows("SHOW TOPICS")
    for text in (
        "CREATE STREAM s AS SELECT tail, nothing FROM flights",
        "CREATE STREAM s WITH (value_format='KAFKA') AS SELECT tail, carrier, delay FROM flights",
        "CREATE TABLE s AS SELECT tail FROM flights",
    ):
        with pytest.raises(SqlError):
            sql.execute(text)
    assert (sql.rows("SHOW STREAMS"), sql.rows("SHOW QUERIES"), sql.rows("SHOW TOPICS")) == before
