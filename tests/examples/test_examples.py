"""Every example runs, with brokers of its own that it kills, and its last line says ok."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from postgres import postgres

from odradek import Cluster

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = [
    "offsets_in_database",
    "dedupe_table",
    "retry_topics",
    "queue_and_subscribers",
    "event_sourcing",
    "shop",
    "word_count",
]
LIMIT_S = 120

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(LIMIT_S + 30)]


def run(name: str, *arguments: str) -> str:
    """Its output. Whatever it leaves behind ends with it."""
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
    )  # fmt: skip
    try:
        output, _ = process.communicate(timeout=LIMIT_S)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
    assert process.returncode == 0, output[-4000:]
    return output


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_while_its_processes_and_brokers_are_killed(name: str) -> None:
    assert run(name).splitlines()[-1].startswith("ok: ")


def test_results_and_offsets_go_into_one_transaction_of_postgresql() -> None:
    with postgres() as database:
        assert run("offsets_in_database", "", database).splitlines()[-1].startswith("ok: ")
        import psycopg

        with psycopg.connect(database) as connection:
            row = connection.execute("SELECT COUNT(*) FROM offsets WHERE next > 0").fetchone()
        assert row is not None and row[0] == 3  # it went there, not into a file of SQLite


def test_it_runs_against_brokers_given_by_address(cluster: Cluster) -> None:
    assert run("dedupe_table", cluster.bootstrap).splitlines()[-1].startswith("ok: ")
