"""500 lives of a cluster, each from its seed: every invariant after every step, and all well again at the end."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chaos.simulate import TRANSCRIPTS, run_many
from chaos.simulation import simulate

SEEDS = 500
BLOCKS = 10


@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_seed_breaks_an_invariant(block: int) -> None:
    size = SEEDS // BLOCKS
    reports = list(run_many(range(1 + block * size, 1 + (block + 1) * size)))
    assert len(reports) == size
    assert [(report.seed, report.violation) for report in reports if report.violation] == []
    assert sum(report.acked for report in reports) > 50 * size, "the clients must get something done"
    assert sum(report.deaths for report in reports) > 3 * size, "and the cluster must be hurt"


def test_one_seed_is_one_story() -> None:
    first, second = (simulate(7, is_traced=True) for _ in range(2))
    assert first.lines == second.lines
    assert len(first.lines) > 500


def test_another_seed_is_another_story() -> None:
    assert simulate(7, is_traced=True).lines != simulate(8, is_traced=True).lines


def test_the_transcript_does_not_depend_on_hash_randomisation() -> None:
    program = (
        "import hashlib; from chaos.simulation import simulate; "
        "print(hashlib.sha256('\\n'.join(simulate(3, is_traced=True).lines).encode()).hexdigest())"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": "."},
        capture_output=True,
        text=True,
        check=True,
    )
    here = hashlib.sha256("\n".join(simulate(3, is_traced=True).lines).encode()).hexdigest()
    assert elsewhere.stdout.strip() == here


@pytest.mark.parametrize("path", sorted(TRANSCRIPTS.glob("seed_*.txt")), ids=lambda path: path.stem)
def test_a_seed_that_was_saved_since_it_failed_does_not_fail_any_more(path: Path) -> None:
    assert simulate(int(path.stem.removeprefix("seed_"))).violation == ""
