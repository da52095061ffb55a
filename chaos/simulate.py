"""Run the simulator from the command line.

    python -m chaos.simulate --seed 17             the transcript of one seed, one line per event
    python -m chaos.simulate --seeds 1-500         many seeds, a summary
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from chaos.simulation import Report, simulate

TRANSCRIPTS = Path("tests/transcripts")


def run_many(seeds: Iterable[int], workers: int | None = None) -> Iterator[Report]:
    """Reports in the order of the seeds, made by as many processes as there are cores."""
    workers = workers or os.cpu_count() or 1
    if workers == 1:
        yield from map(simulate, seeds)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(simulate, seeds, chunksize=4)


def summary(reports: list[Report], real_s: float) -> str:
    """What a run of many seeds has shown, in a few lines."""
    simulated_s = sum(report.simulated_s for report in reports)
    cpu_s = sum(report.real_s for report in reports)
    faults: Counter[str] = Counter()
    for report in reports:
        faults.update(report.faults)
    kinds = Counter(report.kind for report in reports)
    failed = [report for report in reports if report.violation]
    lines = [
        f"{len(reports)} seeds, {len(failed)} with a violation",
        f"{sum(r.events for r in reports):,} events, {sum(faults.values()):,} faults, "
        f"{sum(r.deaths for r in reports):,} deaths, {sum(r.elections for r in reports):,} leader epochs, "
        f"{sum(r.acked for r in reports):,} batches acked to acks=all, "
        f"{sum(r.commits for r in reports):,} group commits, "
        f"{sum(r.transactions for r in reports):,} transactions committed",
        "workloads: " + ", ".join(f"{name} {count}" for name, count in sorted(kinds.items())),
        f"{simulated_s:,.0f} simulated seconds in {real_s:.1f} s: {simulated_s / real_s:,.0f} per second, "
        f"{simulated_s / cpu_s:,.0f} per second and core",
        "faults: " + ", ".join(f"{name} {count}" for name, count in faults.most_common()),
    ]
    lines += [f"seed {report.seed}: {report.violation[:400]}" for report in failed]
    return "\n".join(lines)


def seeds_of(text: str) -> range:
    """1-500, or 7. Raises ValueError."""
    first, dash, last = text.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()) or int(last or first) < int(first):
        raise ValueError(f"{text} are no seeds: write them as 1-500")
    return range(int(first), int(last or first) + 1)


def main(arguments: list[str] | None = None) -> int:
    """0 when every invariant held."""
    parser = argparse.ArgumentParser(prog="simulate", description="Simulate a cluster's life from a seed.")
    parser.add_argument("--seed", type=int, help="print the transcript of this seed")
    parser.add_argument("--seeds", default="1-500", help="run these, e.g. 1-500 (the default)")
    parser.add_argument("--workers", type=int, default=None, help="processes (default: one per core)")
    parser.add_argument("--save", action="store_true", help=f"save the transcripts of failing seeds in {TRANSCRIPTS}")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        report = simulate(options.seed, is_traced=True)
        print("\n".join(report.lines))
        if report.violation:
            print(report.trouble, file=sys.stderr)
        if options.save and report.violation:
            save(report)
        return 1 if report.violation else 0
    try:
        seeds = seeds_of(options.seeds)
    except ValueError as mistake:
        parser.error(str(mistake))
    began_s = time.perf_counter()
    reports = list(run_many(seeds, options.workers))
    print(summary(reports, time.perf_counter() - began_s))
    failed = [report for report in reports if report.violation]
    if options.save:
        for report in failed:
            save(simulate(report.seed, is_traced=True))
    return 1 if failed else 0


def save(report: Report) -> None:
    """Keep a failing seed's transcript, to be replayed as a test."""
    TRANSCRIPTS.mkdir(parents=True, exist_ok=True)
    path = TRANSCRIPTS / f"seed_{report.seed}.txt"
    path.write_text("\n".join(report.lines) + "\n")
    print(f"saved {path}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
