"""A disk that takes no more bytes. Replicas that want to write go offline; healed, their broker is restarted."""

from __future__ import annotations

import signal

from chaos.faults.fault import Fault
from chaos.patient import Patient
from protocol.cluster_chaos import DiskTrouble


class DiskFull(Fault):
    """`broker` 0 is any; `path`: only files whose path contains it, e.g. "orders-0"."""

    name = "disk-full"

    def __init__(self, broker: int = 0, path: str = "") -> None:
        self.broker = broker
        self.path = path
        self._full: set[int] = set()

    def inject(self, patient: Patient) -> str:
        broker = patient.chosen(self.broker)
        event = patient.tell(self.name, f"broker {broker}", path=self.path)
        patient.order(broker, DiskTrouble(is_full=True, path=self.path), event=event)
        self._full.add(broker)
        return f"the disk of broker {broker} is full"

    def heal(self, patient: Patient) -> None:
        while self._full:
            broker = self._full.pop()
            before = patient.incarnation(broker)
            event = patient.tell(self.name, f"broker {broker}", "heal")
            # room alone is not enough, as in Kafka: a replica that went offline comes back with its broker
            patient.order(broker, DiskTrouble(), stays=True)
            patient.strike(broker, signal.SIGTERM, event=event)
            patient.wait_for_next_life(broker, before)
