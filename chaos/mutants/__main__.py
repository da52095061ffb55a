"""`python -m chaos.mutants`: which seed finds which mutant, and by which invariant.

    python -m chaos.mutants                          all of them
    python -m chaos.mutants no-epoch-bump --seeds 50
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from chaos.mutants.catalogue import load, mutated
from chaos.simulation import Report, simulate

MOST_SEEDS = 500


def find(name: str, most_seeds: int = MOST_SEEDS, *, hint_first: bool = False) -> Report | None:
    """The report of the first seed that finds the mutant, and nothing when the mutant is off; None when none does."""
    seeds = [load()[name].hint] if hint_first else []
    for seed in [*seeds, *range(1, most_seeds + 1)]:
        with mutated(name):
            report = simulate(seed)
        if report.violation and not simulate(seed).violation:
            return report
    return None


def main(arguments: list[str] | None = None) -> int:
    """0 when all were found."""
    parser = argparse.ArgumentParser(prog="mutants", description="Show that the simulator finds known-wrong variants.")
    parser.add_argument("names", nargs="*", help="these only")
    parser.add_argument("--seeds", type=int, default=MOST_SEEDS, help=f"at most so many each (default {MOST_SEEDS})")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes (default: one per core)")
    options = parser.parse_args(arguments)
    mutants = load()
    names = options.names or list(mutants)
    missed = 0
    print(f"{'mutant':44} {'seeds':>5}  {'invariant':24} what is wrong")
    with ProcessPoolExecutor(options.workers) as pool:
        found = pool.map(find, names, [options.seeds] * len(names))
        for name, report in zip(names, found, strict=True):
            missed += report is None
            seeds, invariant = (str(report.seed), report.invariant) if report is not None else ("-", "NOT FOUND")
            print(f"{name:44} {seeds:>5}  {invariant:24} {mutants[name].lie}", flush=True)
    print(f"{len(names) - missed} of {len(names)} found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
