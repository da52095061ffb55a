"""`python -m chaos.kills`: SIGKILL the leader again and again under an acks=all producer, and count what is lost.

    python -m chaos.kills --count 1000
    1000 kills: failover p50 17 ms, p99 61 ms, max 118 ms; 412,000 acked, 0 lost, 0 doubled

Three brokers, one partition on all of them, min.insync.replicas=2. The next kill waits until all replicas are in sync
again; so long as one of two replicas lives, nothing acknowledged may be lost. Exit code 1 when something is.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from chaos.faults.kill import Kill
from chaos.patient import Patient
from chaos.probe import Probe, lost_of
from clients.admin_types import NewTopic
from model.errors import OdradekError
from testing.cluster import Cluster
from testing.waiting import ClusterFailed

TOPIC = "kills"
_ACKS = 10
_TELL_EVERY = 50


@dataclass(slots=True)
class Kills:
    """`failovers_ms`: from each kill on, the longest time between two acknowledged writes."""

    acked: int = 0
    lost: int = 0
    doubled: int = 0
    failed: int = 0
    failovers_ms: list[float] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        """Of the failovers; 0.5 is the median."""
        ordered = sorted(self.failovers_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def failovers(self) -> str:
        return (
            f"{len(self.failovers_ms)} kills: failover p50 {self.quantile(0.5):.0f} ms, "
            f"p99 {self.quantile(0.99):.0f} ms, max {self.quantile(1.0):.0f} ms"
        )

    def line(self) -> str:
        """Also what was lost, which is known at the end only."""
        return (
            f"{self.failovers()}; {self.acked:,} acked, "
            f"{self.lost} lost, {self.doubled} doubled, {self.failed} failed"
        )


def kill_leaders(cluster: Cluster, count: int, *, say: Callable[[str], None] = lambda _: None) -> Kills:
    """`cluster` runs already, with `--restarts-per-minute` high enough. Raises ClusterFailed when it does not heal."""
    cluster.admin.create_topics([NewTopic(TOPIC, 1, 3, configs={"min.insync.replicas": "2"})])
    kills = Kills()
    with closing(Patient(cluster.data_dir, topics=[TOPIC])) as patient:
        with Probe(cluster.bootstrap, TOPIC, 0) as probe:
            for number in range(1, count + 1):
                patient.wait_until_healthy()
                probe.wait_for_acks(_ACKS)
                began_s = time.monotonic()
                Kill("leader").inject(patient)
                probe.wait_for_acks(_ACKS)
                patient.wait_until_healthy()
                kills.failovers_ms.append(probe.longest_gap_ms(began_s))
                if number % _TELL_EVERY == 0:
                    say(kills.failovers())
        found = probe.read()
    kills.acked, kills.failed = len(probe.acked), len(probe.failed)
    kills.lost = len(lost_of(probe.acked, found))
    kills.doubled = sum(len(offsets) > 1 for offsets in found.values())
    return kills


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="kills", description="Kill the leader again and again.")
    parser.add_argument("--count", type=int, default=1000, help="how often (default: 1000)")
    options = parser.parse_args(arguments)
    if options.count < 1:
        parser.error(f"--count {options.count}: without a kill nothing is shown")
    try:
        with Cluster(brokers=3, options=["--restarts-per-minute", "10000"]) as cluster:
            kills = kill_leaders(cluster, options.count, say=partial(print, flush=True))
    except (ClusterFailed, OdradekError) as failure:
        print(f"kills: {failure}", file=sys.stderr)
        return 1
    print(kills.line())
    return 1 if kills.lost or kills.doubled or kills.failed else 0


if __name__ == "__main__":
    sys.exit(main())
