"""Queue: idempotent producers, consumers that read every partition by themselves.

What must hold: what was acknowledged is there, once, in the order in which each producer sent it, for every reader.
"""

from __future__ import annotations

from typing import Any

from chaos.workloads.reader import Reader, read_from_the_beginning
from chaos.workloads.sender import Sender
from chaos.workloads.workload import Workload

_SENDERS = 4
_READERS = 2


class QueueWorkload(Workload):
    name = "queue"

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.topics = [self.topic()]

    def launch(self) -> None:
        for number in range(_SENDERS):
            self.run_writer(Sender(self, self.topics[0], f"sender-{number}", self.rate / _SENDERS).live, f"s{number}")
        for number in range(_READERS):
            self.run(Reader(self, self.topics[0], f"reader-{number}").live, f"r{number}")

    def drain(self, deadline: float) -> None:
        read_from_the_beginning(self, self.topics[0], deadline)
