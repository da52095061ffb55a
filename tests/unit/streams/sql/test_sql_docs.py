"""docs/sql.md: every statement runs, in order, in one session, and answers what the page says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from cli.sql_views import View
from streams.sql import SqlError, SqlTestDriver

PAGE = Path(__file__).parents[4] / "docs" / "sql.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def answered(sql: SqlTestDriver, text: str) -> str:
    """What `odradek sql` would print."""
    out = io.StringIO()
    view = View(as_json=False, is_live=False)
    with contextlib.redirect_stdout(out):
        try:
            text = sql.expanded(text)
            for statement in sql.check(text):
                view.show(sql.run(statement))
        except SqlError as error:
            print(error.in_text(text))
    return out.getvalue()


def test_every_statement_of_the_page_answers_as_printed_there() -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    asked = 0
    with SqlTestDriver() as sql:
        for (kind, text), (next_kind, expected) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
            if kind != "sql":
                continue
            asked += 1
            assert next_kind == "text", f"no answer follows {text}"
            assert answered(sql, text) == expected, text
    assert asked > 10


def test_the_python_of_the_page_runs() -> None:
    scripts = [text for kind, text in BLOCK.findall(PAGE.read_text()) if kind == "python"]
    assert len(scripts) == 2
    exec(compile(scripts[1], "docs/sql.md", "exec"), {})
    with SqlTestDriver() as sql:
        sql.execute("CREATE STREAM airlines (name STRING) WITH (kafka_topic='a', value_format='KAFKA', partitions=1)")
        sql.execute("INSERT INTO airlines VALUES ('Jet Blue')")
        script = scripts[0].replace('SqlEngine("localhost:9092")', "sql")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(script, "docs/sql.md", "exec"), {"sql": sql})
        assert out.getvalue() == "[('JB',)]\n"
        assert sql.rows("SELECT LARGER(2, 3) FROM airlines") == [(3,)]
        assert sql.rows("SELECT name, PRODUCT(2.5) FROM airlines GROUP BY name") == [("Jet Blue", 2.5)]
