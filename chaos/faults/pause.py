"""SIGSTOP and SIGCONT: a process that is there and does nothing. The supervisor replaces it after 0.8 s."""

from __future__ import annotations

import signal
from contextlib import suppress

from chaos.faults.fault import Fault
from chaos.patient import ChaosFailed, Patient


class Pause(Fault):
    """`broker` 0 is any."""

    name = "pause"

    def __init__(self, broker: int = 0) -> None:
        self.broker = broker
        self._paused: list[int] = []

    def inject(self, patient: Patient) -> str:
        broker = patient.chosen(self.broker)
        pid = patient.strike(broker, signal.SIGSTOP)
        self._paused.append(pid)
        return f"stopped broker {broker} (pid {pid})"

    def heal(self, patient: Patient) -> None:
        mine = {int(row["pid"]): broker for broker, row in patient.rows().items() if row["pid"]}
        while self._paused:
            pid = self._paused.pop()
            if pid in mine:  # else it was replaced, and the number may be somebody else's
                with suppress(ChaosFailed):  # or is being replaced just now
                    patient.strike(mine[pid], signal.SIGCONT)
