"""What runs while things break: five ways to use a cluster, each by real clients that write down what they saw.

    with History() as history:
        history.write("history.jsonl")
        workload = WORKLOADS["queue"]("127.0.0.1:9092", history, seed=7)
        workload.start()
        ...                            # break and heal
        workload.stop()
        print(check(history).table())

They need a bootstrap address and nothing else, so they run against anybody's cluster.
"""

from __future__ import annotations

from chaos.workloads.abort import AbortWorkload
from chaos.workloads.auto_commit import AutoCommitWorkload
from chaos.workloads.queue import QueueWorkload
from chaos.workloads.rebalance import RebalanceWorkload
from chaos.workloads.transactions import TransactionsWorkload
from chaos.workloads.workload import Ledger, Workload, WorkloadFailed

WORKLOADS: dict[str, type[Workload]] = {
    kind.name: kind
    for kind in (QueueWorkload, TransactionsWorkload, AutoCommitWorkload, AbortWorkload, RebalanceWorkload)
}

__all__ = ["WORKLOADS", "Ledger", "Workload", "WorkloadFailed"]
