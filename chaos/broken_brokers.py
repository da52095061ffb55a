"""`python -m chaos.broken_brokers`: real brokers with a mistake in them, and how clients' histories show it.

The mistakes are mutants (`chaos/mutants`); `wrong_broker.py` says how they come into a broker's process. What a mistake
in replication does, `negative_controls.py` shows; here it is transactions, producers and groups.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

from confluent_kafka import KafkaException

from chaos.checkers import Verdict, check
from chaos.history import History
from chaos.workloads import WORKLOADS, WorkloadFailed
from chaos.wrong_broker import wrong
from model.errors import OdradekError
from testing.cluster import Cluster
from testing.waiting import ClusterFailed

KILLS = 6
ATTEMPTS = 3
_EVERY_S = 1.5
_DRAIN_S = 6.0


@dataclass(frozen=True)
class Broken:
    """`shows_as`: kinds of which one at least must be found."""

    mutant: str
    workload: str
    shows_as: frozenset[str]
    kills: int = KILLS


BROKEN: dict[str, Broken] = {
    broken.mutant: broken
    for broken in (
        Broken("readers-see-open-transactions", "abort", frozenset({"precommitted-read", "G1a"}), kills=1),
        Broken("aborted-records-are-read", "abort", frozenset({"G1a"}), kills=1),
        Broken("followers-know-no-aborts", "abort", frozenset({"G1a"})),
        Broken("retries-are-appended", "queue", frozenset({"duplicate"})),
        Broken("followers-forget-producers", "queue", frozenset({"duplicate"})),
        Broken("a-new-coordinator-forgets-offsets", "transactions", frozenset({"double-consume"})),
        Broken("aborted-offsets-count", "transactions", frozenset({"unseen", "lost-write"})),
    )
}


def run(mutant: str, workload_name: str, kills: int = KILLS, seed: int = 1) -> Verdict:
    """A cluster with this mistake, as many SIGKILLs as told, and what the checker says of its clients' history."""
    with Cluster(brokers=3, options=wrong(mutant)) as cluster:
        history = History()
        workload = WORKLOADS[workload_name](cluster.bootstrap, history, seed=seed)
        workload.start()
        try:
            for number in range(kills):
                time.sleep(_EVERY_S)
                cluster.kill(number % 3 + 1)
                cluster.wait_until_all_run(60)
            time.sleep(_EVERY_S)
        finally:
            workload.stop(_DRAIN_S)
    return check(history)


def run_until_found(name: str) -> tuple[bool, Verdict]:
    """Kills don't always hit: a mistake has `ATTEMPTS` runs to show. Whether it did, and the last verdict."""
    broken = BROKEN[name]
    for seed in range(1, ATTEMPTS + 1):
        verdict = run(name, broken.workload, broken.kills, seed)
        if broken.shows_as & set(verdict.counts):
            return True, verdict
    return False, verdict


def main(arguments: list[str] | None = None) -> int:
    """0 when each mistake showed as it must."""
    parser = argparse.ArgumentParser(prog="broken_brokers", description="Mistakes in real brokers must be seen.")
    parser.add_argument("mutants", nargs="*", help=f"these only, of: {', '.join(BROKEN)}")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.mutants if name not in BROKEN]:
        parser.error(f"there is no {unknown[0]}: there are {', '.join(BROKEN)}")
    print(f"{'mistake':36} {'workload':14} {'':13} anomalies")
    missed = 0
    for name in options.mutants or BROKEN:
        broken = BROKEN[name]
        try:
            is_found, verdict = run_until_found(name)
        except (ClusterFailed, WorkloadFailed, OdradekError, KafkaException) as failure:
            print(f"{name:36} {broken.workload:14} {'failed':13} {failure}")
            missed += 1
            continue
        missed += not is_found
        kinds = ", ".join(f"{kind} {count}" for kind, count in verdict.counts.items()) or "none"
        print(f"{name:36} {broken.workload:14} {'found' if is_found else 'NOT FOUND':13} {kinds}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
