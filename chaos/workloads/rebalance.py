"""Rebalance: members of a cooperative group come and go every few seconds, and commit after each poll.

What must hold is what must hold of `auto_commit`, and that a member which keeps a partition reads on without a gap.
"""

from __future__ import annotations

from typing import Any

from chaos.workloads.auto_commit import AutoCommitWorkload


class RebalanceWorkload(AutoCommitWorkload):
    name = "rebalance"
    partitions = 6
    mean_life_s = 3.0
    commits = True

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        strategy = self.random("strategy").choice(["cooperative-sticky", "cooperative-sticky", "range"])
        self.member_configs = {"partition_assignment_strategy": strategy}
