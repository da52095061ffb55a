"""SQL on a cluster: a query goes on while the leader of what it reads is killed, and in the next engine."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streams_brokers import brokers, cluster

from odradek import Cluster, wait_until
from streams.sql import SqlEngine, SqlError

__all__ = ["brokers", "cluster"]

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def service() -> str:
    return f"s{uuid.uuid4().hex[:8]}"


@pytest.fixture
def engine(cluster: Any, service: str) -> Iterator[SqlEngine]:
    with SqlEngine(str(cluster.bootstrap), service=service) as running:
        yield running


def words_and_counts(topic: str) -> str:
    return f"""
        CREATE STREAM lines (line STRING) WITH (kafka_topic='{topic}', value_format='KAFKA', partitions=3);
        CREATE STREAM words WITH (kafka_topic='{topic}-words') AS
          SELECT EXPLODE(SPLIT(LCASE(line), ' ')) AS word FROM lines;
        CREATE TABLE counts WITH (kafka_topic='{topic}-counts', value_format='JSON') AS
          SELECT word, COUNT(*) AS n FROM words GROUP BY word;
    """


def rows_of(engine: SqlEngine, statement: str) -> list[tuple[Any, ...]]:
    return engine.execute(statement)[-1].rows


def test_a_query_survives_the_kill_of_the_leader_it_reads_from(brokers: Cluster, topic: str, service: str) -> None:
    with SqlEngine(str(brokers.bootstrap), service=service) as engine:
        engine.execute("SET 'processing.guarantee' = 'exactly_once_v2'")
        engine.execute(words_and_counts(topic))
        engine.execute("INSERT INTO lines VALUES ('a a b'), ('c b a'), ('a d c')")
        expected = {"a": 4, "b": 2, "c": 2, "d": 1}
        wait_until(
            lambda: dict(rows_of(engine, "SELECT word, n FROM counts")) == expected, timeout_s=60, what="all is counted"
        )
        brokers.kill_leader(topic, 0)
        brokers.kill_leader(f"{topic}-counts", 1)
        for _ in range(20):
            engine.execute("INSERT INTO lines VALUES ('a e')")
        expected |= {"a": 24, "e": 20}
        wait_until(
            lambda: dict(rows_of(engine, "SELECT word, n FROM counts")) == expected,
            timeout_s=60,
            what="what came after, too",
        )
        assert rows_of(engine, "SELECT n FROM counts WHERE word = 'e'") == [(20,)]
        states = [row[1] for row in rows_of(engine, "SHOW QUERIES")]
        assert states == ["running", "running"]


def test_the_next_engine_takes_streams_tables_and_queries_up_again(cluster: Any, topic: str, service: str) -> None:
    bootstrap = str(cluster.bootstrap)
    with SqlEngine(bootstrap, service=service) as first:
        first.execute(words_and_counts(topic))
        first.execute("INSERT INTO lines VALUES ('x y x')")
        wait_until(
            lambda: rows_of(first, "SELECT n FROM counts WHERE word = 'x'") == [(2,)], timeout_s=60, what="x is counted"
        )
    with SqlEngine(bootstrap, service=service) as second:
        assert [row[0] for row in rows_of(second, "SHOW QUERIES")] == ["CSAS_WORDS_1", "CTAS_COUNTS_2"]
        second.execute("INSERT INTO lines VALUES ('x z')")
        wait_until(
            lambda: rows_of(second, "SELECT n FROM counts WHERE word = 'x'") == [(3,)],
            timeout_s=60,
            what="it went on from 2",
        )
        with SqlEngine(bootstrap, service=service, takes_up=False) as onlooker:
            second.execute("DROP TABLE counts DELETE TOPIC; TERMINATE CSAS_WORDS_1")
            assert rows_of(onlooker, "SHOW TABLES") == []
    with SqlEngine(bootstrap, service=service) as third:
        assert rows_of(third, "SHOW QUERIES") == []
        assert [row[0] for row in rows_of(third, "SHOW STREAMS")] == ["LINES", "WORDS"]
        topics = [row[0] for row in rows_of(third, "SHOW TOPICS")]
        assert not [name for name in topics if name.startswith(f"odradek-sql-{service}-")]
        assert f"{topic}-counts" not in topics


def test_rows_are_pushed_as_they_come(engine: SqlEngine, topic: str) -> None:
    engine.execute(f"""CREATE STREAM s (n INT KEY, v INT)
        WITH (kafka_topic='{topic}', value_format='JSON', partitions=3)""")
    engine.execute("INSERT INTO s VALUES (1, 10), (2, 20), (3, 30)")
    [pushed] = engine.execute("SELECT n, v + 1 AS w FROM s WHERE v > 10 EMIT CHANGES LIMIT 3")
    rows = iter(pushed)
    assert sorted([next(rows), next(rows)]) == [(2, 21), (3, 31)]
    engine.execute("INSERT INTO s VALUES (4, 40)")
    assert list(rows) == [(4, 41)]


def test_windows_are_looked_up_by_key_and_scanned(engine: SqlEngine, topic: str) -> None:
    engine.execute(f"""
        CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='{topic}', value_format='JSON', partitions=3);
        CREATE TABLE w WITH (kafka_topic='{topic}-w') AS
          SELECT k, SUM(v) AS total FROM s WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k;
        INSERT INTO s (k, v, ROWTIME) VALUES ('a', 1, 1000), ('a', 2, 9000), ('a', 4, 11000), ('b', 8, 2000);
    """)
    by_key = "SELECT WINDOWSTART, WINDOWEND, total FROM w WHERE k = 'a' AND WINDOWSTART < 20000"
    wait_until(
        lambda: rows_of(engine, by_key) == [(0, 10_000, 3), (10_000, 20_000, 4)],
        timeout_s=60,
        what="both windows are there",
    )
    scanned = "SELECT k, WINDOWSTART, total FROM w"
    wait_until(
        lambda: sorted(rows_of(engine, scanned)) == [("a", 0, 3), ("a", 10_000, 4), ("b", 0, 8)],
        timeout_s=60,
        what="all windows",
    )


def test_topics_of_different_partitions_are_not_joined(engine: SqlEngine, topic: str) -> None:
    engine.execute(f"""
        CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='{topic}', value_format='JSON', partitions=3);
        CREATE TABLE t (k STRING PRIMARY KEY, v INT) WITH (kafka_topic='{topic}-t', value_format='JSON', partitions=2);
    """)
    with pytest.raises(SqlError, match="as many partitions"):
        engine.execute("CREATE STREAM j AS SELECT s.k, s.v + t.v AS w FROM s JOIN t ON s.k = t.k")


# -- the command


def command(cluster: Any, service: str, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "odradek", "sql", "-b", str(cluster.bootstrap), "--service", service, *arguments]
    stdin = {"input": text} if text is not None else {"stdin": subprocess.DEVNULL}
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(whole, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=90, **stdin)


def test_the_command_answers_in_words_and_in_json(cluster: Any, topic: str, service: str) -> None:
    create = f"CREATE STREAM s (k INT KEY, v STRING) WITH (kafka_topic='{topic}', value_format='JSON', partitions=1)"
    made = command(cluster, service, "-e", create, "-e", "INSERT INTO s VALUES (1, 'one'), (2, 'two')")
    assert (made.returncode, made.stdout) == (0, "STREAM S created\n2 rows written to S\n"), made.stderr
    words = command(cluster, service, text="SELECT k, v FROM s;")
    assert (words.returncode, words.stdout) == (0, "K  V\n1  one\n2  two\n"), words.stderr
    pushed = command(cluster, service, "--json", "-e", "SELECT v, k FROM s EMIT CHANGES LIMIT 2")
    rows = [json.loads(line) for line in pushed.stdout.splitlines()]
    assert (pushed.returncode, rows) == (0, [{"V": "one", "K": 1}, {"V": "two", "K": 2}]), pushed.stderr


def test_a_wrong_statement_is_pointed_at_and_ends_with_2(cluster: Any, service: str) -> None:
    wrong = command(cluster, service, "-e", "SHOW STREMS")
    assert wrong.returncode == 2
    assert wrong.stderr == (
        "odradek: line 1:6: STREMS is not expected here\n  SHOW STREMS\n       ^^^^^^\n  did you mean STREAMS?\n"
    )


def test_the_prompt_remembers_and_shows_rows_live(cluster: Any, topic: str, service: str, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    readable = select.poll()
    readable.register(ours, select.POLLIN)
    history = tmp_path / "history"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ODRADEK_SQL_HISTORY": str(history), "TERM": "xterm"}
    whole = [sys.executable, "-m", "odradek", "sql", "-b", str(cluster.bootstrap), "--service", service]
    prompt = subprocess.Popen(
        whole, stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, env=environment, start_new_session=True
    )

    def answer(typed: str, expected: str) -> str:
        os.write(ours, typed.encode())
        said, deadline = "", time.monotonic() + 60
        while expected not in said:
            assert time.monotonic() < deadline, f"no {expected!r} in {said!r}"
            if readable.poll(200):  # not select(): a test run may have more than 1,024 files open
                said += os.read(ours, 65_536).decode()
        return said

    try:
        answer("", "sql> ")
        answer(f"CREATE STREAM s (k INT KEY, v INT) WITH (kafka_topic='{topic}',\n", "    > ")
        answer("value_format='JSON', partitions=1);\n", "STREAM S created")
        answer("INSERT INTO s VALUES (1, 10), (2, 20);\n", "2 rows written to S")
        assert "did you mean V?" in answer("SELECT vv FROM s;\n", "did you mean V?")
        answer("SELECT k, v FROM s EMIT CHANGES;\n", "2 rows; Ctrl-C ends it")
        os.kill(prompt.pid, signal.SIGINT)
        answer("SHOW STREAMS;\n", "Value format")
        answer("exit\n", "exit")
        assert prompt.wait(30) == 0
    finally:
        prompt.kill()
        prompt.wait()
        os.close(ours)
        os.close(theirs)
    assert "SELECT k, v FROM s EMIT CHANGES;" in history.read_text()


def test_without_a_cluster_it_ends_with_1() -> None:
    class Nowhere:
        bootstrap = "127.0.0.1:1"

    nobody = command(Nowhere, "none", "-e", "SHOW STREAMS")
    assert nobody.returncode == 1
    assert "nothing answers" in nobody.stderr


def test_a_served_query_runs_with_functions_from_a_file(
    cluster: Any, topic: str, service: str, tmp_path: Path
) -> None:
    functions = tmp_path / "mine.py"
    functions.write_text("from streams.sql import udf\n\n@udf\ndef twice(n: int) -> int:\n    return 2 * n\n")
    define = f"""
        CREATE STREAM s (k INT KEY, v INT) WITH (kafka_topic='{topic}', value_format='JSON', partitions=1);
        CREATE STREAM d WITH (kafka_topic='{topic}-d') AS SELECT k, TWICE(v) AS w FROM s;
    """
    script = tmp_path / "define.sql"
    script.write_text(define)
    made = command(cluster, service, "--udf", str(functions), "-f", str(script))
    assert made.returncode == 0, made.stderr
    assert "rests from now on" in made.stderr
    whole = [sys.executable, "-m", "odradek", "sql", "-b", str(cluster.bootstrap), "--service", service, "--serve",
             "--udf", str(functions)]  # fmt: skip
    server = subprocess.Popen(whole, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        asked = command(
            cluster, service, "--json", "--udf", str(functions),
            "-e", "INSERT INTO s VALUES (1, 21); SELECT k, w FROM d EMIT CHANGES LIMIT 1",
        )  # fmt: skip
        assert (asked.returncode, json.loads(asked.stdout.splitlines()[-1])) == (0, {"K": 1, "W": 42}), asked.stderr
        server.terminate()
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait()
