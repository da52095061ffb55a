"""Every example runs, with brokers of its own that it kills, and its last line says ok."""

from __future__ import annotations

import pytest
from example_runner import LIMIT_S, run_example
from postgres import postgres

from odradek import Cluster

NAMES = [
    "offsets_in_database",
    "dedupe_table",
    "retry_topics",
    "queue_and_subscribers",
    "event_sourcing",
    "shop",
    "word_count",
]

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(LIMIT_S + 30)]


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_while_its_processes_and_brokers_are_killed(name: str) -> None:
    assert run_example(name).startswith("ok: ")


def test_results_and_offsets_go_into_one_transaction_of_postgresql() -> None:
    with postgres() as database:
        assert run_example("offsets_in_database", "", database).startswith("ok: ")
        import psycopg

        with psycopg.connect(database) as connection:
            row = connection.execute("SELECT COUNT(*) FROM offsets WHERE next > 0").fetchone()
        assert row is not None and row[0] == 3  # it went there, not into a file of SQLite


def test_it_runs_against_brokers_given_by_address(cluster: Cluster) -> None:
    assert run_example("dedupe_table", cluster.bootstrap).startswith("ok: ")
