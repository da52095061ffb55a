"""`python -m chaos.matrix`: every fault against every workload, each on a fresh cluster; the table, with seeds.

    python -m chaos.matrix                                   13 faults x 5 workloads, 60 s each
    python -m chaos.matrix --seconds 20 --cells kill/queue,pause/transactions
    odradek chaos replay chaos-runs/matrix-1/kill-queue      a cell again

Exit code 1 when any cell has an anomaly, or did not heal.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from chaos.faults import FAULTS
from chaos.plan import WORKLOAD_NAMES, Plan, PlannedFault
from chaos.run import NOT_JUDGED, Result, run_plan
from model.errors import OdradekError
from testing.waiting import ClusterFailed

SENDS_PER_S = 500
Cell = tuple[str, str]
QUICK: tuple[Cell, ...] = (
    ("kill", "queue"),
    ("kill", "transactions"),
    ("pause", "auto_commit"),
    ("partition", "queue"),
    ("torn-tail", "abort"),
    ("noise", "rebalance"),
    ("actor-crash", "transactions"),
    ("request", "queue"),
)
"""Those that `make test` runs."""
_VARIANTS: dict[str, tuple[PlannedFault, ...]] = {
    # a broker that wakes up in time, and one that finds itself replaced after 0.8 s
    "pause": (PlannedFault("pause", for_s=0.4), PlannedFault("pause")),
    # writes are held up, and whoever is not heard for a session is fenced
    "partition": (PlannedFault("partition", for_s=0.5), PlannedFault("partition", for_s=2.5)),
}
"""What a cell does by turns, where lasting long is another thing than lasting shortly."""
_CONFIGS = {"partition": {"broker.session.timeout.ms": "1000"}}


def all_cells() -> list[Cell]:
    return [(fault, workload) for fault in FAULTS for workload in WORKLOAD_NAMES]


def plan_of(cell: Cell, *, seed: int, seconds: float, rate: int = SENDS_PER_S) -> Plan:
    """Each cell has a seed of its own, so that no two of a matrix make the same choices."""
    fault, workload = cell
    own_seed = seed * 1_000_000 + zlib.crc32(f"{fault}/{workload}".encode()) % 1_000_000
    return Plan(
        _VARIANTS.get(fault, (PlannedFault(fault),)), workload, rate=rate, duration_s=seconds, seed=own_seed,
        order="listed", configs=_CONFIGS.get(fault, {}),
    )  # fmt: skip


def run_cells(
    cells: Iterable[Cell], folder: Path, *, seed: int, seconds: float, rate: int, say: Callable[[str], None]
) -> dict[Cell, Result | str]:
    """In order; a cell that can't be run at all has its failure for a result."""
    results: dict[Cell, Result | str] = {}
    for cell in cells:
        plan = plan_of(cell, seed=seed, seconds=seconds, rate=rate)
        try:
            results[cell] = result = run_plan(plan, folder / "-".join(cell))
            say(result.line())
        except (ClusterFailed, OdradekError, OSError) as failure:
            results[cell] = str(failure)
            say(f"{'/'.join(cell)}: {failure}")
    return results


def table(results: dict[Cell, Result | str]) -> str:
    rows = [("FAULT", "WORKLOAD", "SEED", "FAULTS", "OPS/S", "STALL ms", "WHOLE AFTER s", "ANOMALIES", "")]
    for (fault, workload), result in results.items():
        if isinstance(result, str):
            rows.append((fault, workload, "", "", "", "", "", "", result[:60]))
            continue
        healed = [done.healthy_after_s for done in result.faults if done.healthy_after_s is not None]
        none = "?" if result.verdict.text == NOT_JUDGED else "0"
        anomalies = " ".join(f"{kind}:{count}" for kind, count in result.verdict.anomalies.items()) or none
        rows.append(
            (fault, workload, str(result.plan.seed), str(len(result.was_done)), f"{result.ops_per_s:.0f}",
             str(result.stats.get("longest_stall_ms", "")), f"{max(healed, default=0):.1f}", anomalies,
             "" if result.is_good else result.trouble[:60] or "NOT VALID")
        )  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def least(results: dict[Cell, Result | str]) -> str:
    """How much was asked of the cell of which least was: what the figures of all of them are worth."""
    ran = [result for result in results.values() if isinstance(result, Result)]
    faults = min((len(result.was_done) for result in ran), default=0)
    return f"at least {faults} faults and {min((result.ops_per_s for result in ran), default=0):.0f} ops/s in each"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="matrix", description="Every fault against every workload.")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each cell (default: 60)")
    parser.add_argument("--seed", type=int, default=1, help="of the whole matrix (default: 1)")
    parser.add_argument("--rate", type=int, default=SENDS_PER_S, help="sends per second (default: 500)")
    parser.add_argument("--cells", default="", help="FAULT/WORKLOAD,… (default: all 65); quick: those of make test")
    parser.add_argument("--folder", type=Path, default=None, help="where runs go (default: chaos-runs/matrix-SEED)")
    options = parser.parse_args(arguments)
    if options.cells == "quick":
        cells = list(QUICK)
    elif options.cells:
        cells = [tuple(cell.split("/", 1)) for cell in options.cells.split(",")]
    else:
        cells = all_cells()
    unknown = [cell for cell in cells if cell not in all_cells()]
    if unknown:
        parser.error(f"no such cell: {', '.join(map('/'.join, unknown))}")
    folder = options.folder or Path("chaos-runs") / f"matrix-{options.seed}"
    began_s = time.monotonic()
    results = run_cells(
        cells, folder, seed=options.seed, seconds=options.seconds, rate=options.rate, say=partial(print, flush=True)
    )
    good = sum(isinstance(result, Result) and result.is_good for result in results.values())
    print()
    print(table(results))
    took_s = time.monotonic() - began_s
    print(f"\n{good} of {len(results)} cells without anomalies, in {took_s:.0f} s; {least(results)}; runs in {folder}")
    return 0 if good == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
