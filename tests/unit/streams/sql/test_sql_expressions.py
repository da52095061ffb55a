"""Scalar expressions: values, types, NULL, and what can't be computed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from streams.sql import SqlError, SqlTestDriver, udf
from streams.sql.code import Code, NoColumns
from streams.sql.compiler import Compiler, constant
from streams.sql.errors import near
from streams.sql.functions import BUILT_IN
from streams.sql.scalar_parser import parse_scalar
from streams.sql.syntax import Name
from streams.sql.type_parser import parse_type

COLUMNS = {
    "I": ("INT", 7),
    "S": ("STRING", "hello"),
    "D": ("DOUBLE", 2.5),
    "N": ("INT", None),
    "B": ("BOOLEAN", None),
    "X": ("DECIMAL(4, 2)", Decimal("12.34")),
    "A": ("ARRAY<BIGINT>", [1, 2, 3]),
    "M": ("MAP<STRING, INT>", {"k": 5}),
    "R": ("STRUCT<F INT, G STRUCT<H STRING>>", {"F": 1, "G": {"H": "deep"}}),
    "T": ("TIMESTAMP", 86_400_000),
    "Y": ("BYTES", b"\x00\xff"),
}
ROW = tuple(value for _, value in COLUMNS.values())


class Columns:
    def resolve(self, name: Name) -> Code:
        if name.name not in COLUMNS:
            raise SqlError(f"no column {name}", name.at, near(name.name, COLUMNS))
        return Code(f"v[{list(COLUMNS).index(name.name)}]", parse_type(COLUMNS[name.name][0]))


def evaluated(text: str) -> tuple[Any, str, list[Exception]]:
    failures: list[Exception] = []
    compiler = Compiler(Columns(), BUILT_IN)
    code = compiler.code(parse_scalar(text, 0))
    return compiler.function(code, failures.append)(None, ROW), str(code.type), failures


VALUES: list[tuple[str, Any, str]] = [
    # numbers
    ("i + 1", 8, "INTEGER"),
    ("i + 3000000000", 3_000_000_007, "BIGINT"),
    ("i / 2", 3, "INTEGER"),
    ("-i / 2", -3, "INTEGER"),
    ("-i % 4", -3, "INTEGER"),
    ("i * d", 17.5, "DOUBLE"),
    ("x * 2", Decimal("24.68"), "DECIMAL(15, 2)"),
    ("x + 1.5", Decimal("13.84"), "DECIMAL(5, 2)"),
    ("x * d", 30.85, "DOUBLE"),
    ("2 + 3 * 4", 14, "INTEGER"),
    ("(2 + 3) * 4", 20, "INTEGER"),
    ("ROUND(2.5)", Decimal(3), "DECIMAL(2, 0)"),
    ("ROUND(d)", 3, "BIGINT"),
    ("ROUND(-d)", -2, "BIGINT"),
    ("CEIL(d)", 3.0, "DOUBLE"),
    ("ABS(-3)", 3, "INTEGER"),
    ("GREATEST(1, n, 3)", 3, "INTEGER"),
    # three-valued logic
    ("i > 3 AND n > 1", None, "BOOLEAN"),
    ("i < 3 AND n > 1", False, "BOOLEAN"),
    ("n > 1 AND i < 3", False, "BOOLEAN"),
    ("i > 3 OR n > 1", True, "BOOLEAN"),
    ("n > 1 OR i > 3", True, "BOOLEAN"),
    ("i < 3 OR n > 1", None, "BOOLEAN"),
    ("NOT n > 1", None, "BOOLEAN"),
    ("b AND b", None, "BOOLEAN"),
    ("n = NULL", None, "BOOLEAN"),
    ("n IS NULL", True, "BOOLEAN"),
    ("i IS NOT NULL", True, "BOOLEAN"),
    ("n IS DISTINCT FROM i", True, "BOOLEAN"),
    ("n IS NOT DISTINCT FROM NULL", True, "BOOLEAN"),
    ("b IS TRUE", False, "BOOLEAN"),
    ("i IN (1, 7)", True, "BOOLEAN"),
    ("i IN (1, n)", None, "BOOLEAN"),
    ("i NOT IN (1, 2)", True, "BOOLEAN"),
    ("n IN (1, 2)", None, "BOOLEAN"),
    ("i BETWEEN 7 AND 9", True, "BOOLEAN"),
    ("i NOT BETWEEN 7 AND 9", False, "BOOLEAN"),
    ("COALESCE(n, i, 3)", 7, "INTEGER"),
    ("NULLIF(i, 7)", None, "INTEGER"),
    ("IFNULL(n, 5)", 5, "INTEGER"),
    ("CASE WHEN n > 1 THEN 'yes' ELSE 'no' END", "no", "STRING"),
    ("CASE i WHEN 1 THEN 'one' WHEN 7 THEN 'seven' END", "seven", "STRING"),
    ("CASE WHEN i = 7 THEN 1 ELSE 2.5 END", Decimal("1.0"), "DECIMAL(2, 1)"),
    ("IF(i > 1, 'big', 'small')", "big", "STRING"),
    # text
    ("s || '!'", "hello!", "STRING"),
    ("s || NULL", None, "STRING"),
    ("CONCAT(s, NULL, '!')", "hello!", "STRING"),
    ("s LIKE 'h%o'", True, "BOOLEAN"),
    ("s LIKE 'h_o'", False, "BOOLEAN"),
    ("s NOT LIKE '%x%'", True, "BOOLEAN"),
    ("'50%' LIKE '50!%' ESCAPE '!'", True, "BOOLEAN"),
    ("'5000' NOT LIKE '50!%' ESCAPE '!'", True, "BOOLEAN"),
    ("UCASE(SUBSTRING(s, 2, 3))", "ELL", "STRING"),
    ("SUBSTRING(s, -3)", "llo", "STRING"),
    ("LEN('it''s')", 4, "INTEGER"),
    ("LEFT(s, 2) || RIGHT(s, 2)", "helo", "STRING"),
    ("LPAD(s, 8, '*') || RPAD(s, 3, '*')", "***hellohel", "STRING"),
    ("INSTR(s, 'l') * 10 + INSTR(s, 'l', -1)", 34, "INTEGER"),
    ("SPLIT('a,b', ',')", ["a", "b"], "ARRAY<STRING>"),
    ("REGEXP_EXTRACT('(.)l', s, 1)", "e", "STRING"),
    ("REGEXP_REPLACE(s, 'l+', 'L')", "heLo", "STRING"),
    ("""EXTRACTJSONFIELD('{"a": {"b": [1, {"c": "x"}]}}', '$.a.b[1].c')""", "x", "STRING"),
    ("""EXTRACTJSONFIELD('{"a": 1}', '$.z')""", None, "STRING"),
    ("FROM_BYTES(y, 'hex')", "00FF", "STRING"),
    ("URL_EXTRACT_PARAMETER('http://h/p?a=1&b=2', 'b')", "2", "STRING"),
    # nested
    ("a[1] + a[-1]", 4, "BIGINT"),
    ("a[9]", None, "BIGINT"),
    ("m['k'] + 1", 6, "INTEGER"),
    ("m['nothing']", None, "INTEGER"),
    ("r->f + 1", 2, "INTEGER"),
    ("r->g->h", "deep", "STRING"),
    ("ARRAY[1, 2][2]", 2, "INTEGER"),
    ("MAP('a' := 1, 'b' := n)", {"a": 1, "b": None}, "MAP<STRING, INTEGER>"),
    ("STRUCT(p := i, q := 'x')->q", "x", "STRING"),
    ("ARRAY_CONTAINS(a, 2)", True, "BOOLEAN"),
    ("ARRAY_SORT(ARRAY[3, 1, 2], 'DESC')", [3, 2, 1], "ARRAY<INTEGER>"),
    ("ARRAY_DISTINCT(ARRAY['b', 'a', 'b'])", ["b", "a"], "ARRAY<STRING>"),
    ("FORMAT_DATE(DATEADD(MONTHS, 1, PARSE_DATE('2020-01-31', 'yyyy-MM-dd')), 'dd.MM')", "29.02", "STRING"),
    ("UNIX_TIMESTAMP(TIMESTAMPSUB(HOUR, 1, FROM_UNIXTIME(3600001)))", 1, "BIGINT"),
    ("TRUNC(-2.78, 1)", Decimal("-2.7"), "DECIMAL(3, 2)"),
    ("TRUNC(-d)", -2, "BIGINT"),
    ("MASK('Ab1-', '*', NULL)", "*bn-", "STRING"),
    ("MASK_KEEP_RIGHT('Card4711', 2)", "Xxxxnn11", "STRING"),
    ("MASK_LEFT(s, 2) || MASK_RIGHT(s, 2) || MASK_KEEP_LEFT(s, 4)", "xxllohelxxhellx", "STRING"),
    ("SPLIT_TO_MAP('a=1,b=2,c', ',', '=')", {"a": "1", "b": "2"}, "MAP<STRING, STRING>"),
    ("""JSON_RECORDS('{"a": 1, "b": "x"}')""", {"a": "1", "b": "x"}, "MAP<STRING, STRING>"),
    ("""JSON_ITEMS('[1, {"a": 2}]')""", ["1", '{"a":2}'], "ARRAY<STRING>"),
    ("""JSON_CONCAT('{"a": 1}', '{"b": 2}')""", '{"a":1,"b":2}', "STRING"),
    ("JSON_CONCAT('[1]', '2')", "[1,2]", "STRING"),
    ("INT_FROM_BYTES(TO_BYTES('00000005', 'hex'))", 5, "INTEGER"),
    ("INT_FROM_BYTES(TO_BYTES('05000000', 'hex'), 'LITTLE_ENDIAN')", 5, "INTEGER"),
    ("DOUBLE_FROM_BYTES(TO_BYTES('3FF0000000000000', 'hex'))", 1.0, "DOUBLE"),
    ("ENCODE(s, 'utf8', 'base64')", "aGVsbG8=", "STRING"),
    ("URL_EXTRACT_PORT('http://h:80/#f')", 80, "INTEGER"),
    ("URL_EXTRACT_FRAGMENT('http://h:80/#f')", "f", "STRING"),
    ("UPPER(s) || LOWER('X')", "HELLOx", "STRING"),
    ("TRANSFORM(a, x => x * i)", [7, 14, 21], "ARRAY<BIGINT>"),
    ("FILTER(a, x => x > 1)", [2, 3], "ARRAY<BIGINT>"),
    ("REDUCE(a, 0, (total, x) => total + x)", 6, "BIGINT"),
    ("TRANSFORM(m, (k, v) => UCASE(k), (k, v) => v + 1)", {"K": 6}, "MAP<STRING, INTEGER>"),
    # times
    ("TIMESTAMPTOSTRING(86400000, 'yyyy-MM-dd HH:mm:ss')", "1970-01-02 00:00:00", "STRING"),
    ("FORMAT_TIMESTAMP(t, 'EEE d MMM yyyy', 'Asia/Tokyo')", "Fri 2 Jan 1970", "STRING"),
    ("STRINGTOTIMESTAMP('2013-01-31 12:00', 'yyyy-MM-dd HH:mm')", 1_359_633_600_000, "BIGINT"),
    ("STRINGTOTIMESTAMP('2013-01-31 12:00', 'yyyy-MM-dd HH:mm', '+02:00')", 1_359_626_400_000, "BIGINT"),
    ("PARSE_DATE('31.01.13', 'dd.MM.yy')", 15_736, "DATE"),
    ("t > '1970-01-01T23:59'", True, "BOOLEAN"),
    ("TIMESTAMPADD(DAYS, 1, t)", 172_800_000, "TIMESTAMP"),
    ("DATEADD(MONTHS, 1, CAST('2013-01-31' AS DATE)) = '2013-02-28'", True, "BOOLEAN"),
    ("YEAR(t) + MONTH(t) + DAY(t)", 1973, "INTEGER"),
    # casts
    ("CAST(i AS STRING)", "7", "STRING"),
    ("CAST(' 12 ' AS INT)", 12, "INTEGER"),
    ("CAST(d AS INT)", 2, "INTEGER"),
    ("CAST('1.005' AS DECIMAL(4, 2))", Decimal("1.01"), "DECIMAL(4, 2)"),
    ("CAST(t AS DATE)", 1, "DATE"),
    ("CAST(t AS STRING)", "1970-01-02T00:00:00.000", "STRING"),
    ("CAST(1e10 AS STRING)", "1.0E10", "STRING"),
    ("CAST(ARRAY['1', '2'] AS ARRAY<INT>)", [1, 2], "ARRAY<INTEGER>"),
    ("CAST(NULL AS STRING)", None, "STRING"),
]


@pytest.mark.parametrize(("text", "value", "type_"), VALUES, ids=[text for text, _, _ in VALUES])
def test_value_and_type_of(text: str, value: Any, type_: str) -> None:
    found, found_type, failures = evaluated(text)
    assert (found, found_type, failures) == (value, type_, [])
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["i / 0", "CAST('x' AS INT)", "CAST(1000 AS DECIMAL(4, 2))", "SQRT(-1)", "d / 0"])
def test_what_cannot_be_computed_is_null_and_counted(text: str) -> None:
    found, _, failures = evaluated(text)
    assert found is None
    assert len(failures) == 1


def test_one_bad_value_leaves_the_rest_of_the_row_alone() -> None:
    with SqlTestDriver() as sql:
        sql.execute("CREATE STREAM s (a INT) WITH (kafka_topic='s', value_format='JSON', partitions=1)")
        sql.execute("CREATE STREAM o AS SELECT a, 10 / a AS b, a + 1 AS c FROM s")
        sql.execute("INSERT INTO s VALUES (0), (5)")
        assert sql.rows("SELECT * FROM o") == [(0, None, 1), (5, 2, 6)]
        [queries] = sql.rows("SHOW QUERIES")
        assert queries[3] == "1"
        assert "ZeroDivisionError" in sql.execute("EXPLAIN CSAS_O_1")[0].message


def test_a_constant_that_cannot_be_computed_is_an_error_of_the_statement() -> None:
    with pytest.raises(SqlError, match="can't be computed"):
        constant(parse_scalar("1 / 0", 0), None, BUILT_IN)
    assert Compiler(NoColumns(), BUILT_IN).code(parse_scalar("1 + 1", 0)).is_nullable is False


def test_text_of_users_never_becomes_code() -> None:
    with SqlTestDriver() as sql:
        sql.execute("CREATE STREAM s (`a\"]; b` STRING) WITH (kafka_topic='s', value_format='JSON', partitions=1)")
        sql.execute("INSERT INTO s VALUES ('\") or exit() #')")
        assert sql.rows("SELECT `a\"]; b` || '{0}' AS `x'y` FROM s") == [('") or exit() #{0}',)]
        sql.execute("CREATE STREAM r (s STRUCT<`a{1}` INT>) WITH (kafka_topic='r', value_format='JSON', partitions=1)")
        sql.execute("INSERT INTO r VALUES (STRUCT(`a{1}` := 5))")
        assert sql.rows("SELECT s->`a{1}` + 1 AS n FROM r") == [(6,)]


def test_python_functions_are_called_with_their_types() -> None:
    @udf
    def doubled(number: int) -> int:
        """Twice as much."""
        return 2 * number

    @udf(name="JOINED", signature="STRING, STRING... -> STRING", is_strict=False)
    def joined_up(first: str | None, *rest: str | None) -> str:
        return "-".join(str(part) for part in (first, *rest))

    with SqlTestDriver() as sql:
        sql.execute("CREATE STREAM s (a INT, b STRING) WITH (kafka_topic='s', value_format='JSON', partitions=1)")
        sql.execute("INSERT INTO s VALUES (1, 'x'), (NULL, NULL)")
        rows = sql.rows("SELECT DOUBLED(a) AS d, JOINED(b, 'y', b) AS j FROM s")
        assert rows == [(2, "x-y-x"), (None, "None-y-None")]
        sql.register(lambda a: a + 0.5, name="HALF_MORE", signature="DOUBLE -> DOUBLE")
        assert sql.rows("SELECT HALF_MORE(a) AS h FROM s LIMIT 1") == [(1.5,)]
        assert sql.rows("DESCRIBE FUNCTION doubled") == [("DOUBLED", "(BIGINT) -> BIGINT", "Twice as much.")]
        with pytest.raises(SqlError, match=r"DOUBLED doesn't take \(STRING\)"):
            sql.execute("SELECT DOUBLED(b) FROM s")
        with pytest.raises(SqlError, match="no annotation"):
            sql.register(lambda a: a, name="NO_TYPES")
