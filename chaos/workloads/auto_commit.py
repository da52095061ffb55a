"""Auto-commit: a group whose members commit what they were handed, on a timer, and leave now and then.

What must hold: each acknowledged message is handed to some member. So the group itself reads to the end, no other
reader helps it: where a committed offset ran ahead of the messages, they stay unseen.
"""

from __future__ import annotations

from typing import Any

from chaos.workloads.group_reader import GroupReader
from chaos.workloads.sender import Sender
from chaos.workloads.workload import Workload

_SENDERS = 3
_MEMBERS = 3


class AutoCommitWorkload(Workload):
    name = "auto_commit"
    mean_life_s = 8.0
    commits = False
    member_configs: dict[str, Any] = {"enable_auto_commit": True, "auto_commit_interval_ms": 300}  # noqa: RUF012

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.topics = [self.topic()]

    def launch(self) -> None:
        topic = self.topics[0]
        for number in range(_SENDERS):
            self.run_writer(Sender(self, topic, f"sender-{number}", self.rate / _SENDERS).live, f"s{number}")
        for number in range(_MEMBERS):
            member = GroupReader(
                self, topic, f"{topic}-group", f"member-{number}",
                mean_life_s=self.mean_life_s, commits=self.commits, configs=self.member_configs,
            )  # fmt: skip
            self.run(member.live, f"m{number}")

    def drain(self, deadline: float) -> None:
        self.wait_until_seen(deadline, self.topics)
