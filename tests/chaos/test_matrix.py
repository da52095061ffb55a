"""Eight cells of the chaos matrix, 20 s each; `make chaos` runs all 65 for a minute each."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.matrix import QUICK, Cell, plan_of
from chaos.run import run_plan

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
SECONDS = 20.0


@pytest.mark.parametrize("cell", QUICK, ids="-".join)
def test_nothing_is_wrong_with_what_clients_saw(cell: Cell, tmp_path: Path) -> None:
    result = run_plan(plan_of(cell, seed=1, seconds=SECONDS), tmp_path / "run")
    assert result.is_good, f"{result.line()}\n{result.verdict.text}"
    assert len(result.was_done) >= 4 and result.ops_per_s > 100, result.line()
    print(result.line())
