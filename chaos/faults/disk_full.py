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
        self._full: dict[int, int] = {}  # broker -> its incarnation: the next one has room

    def inject(self, patient: Patient) -> str:
        broker = patient.chosen(self.broker)
        life = patient.incarnation(broker)
        event = patient.tell(self.name, f"broker {broker}", path=self.path)
        self._full[broker] = life  # first: an order that is not answered may be obeyed
        patient.order(broker, DiskTrouble(is_full=True, path=self.path), event=event)
        return f"the disk of broker {broker} is full"

    def heal(self, patient: Patient) -> None:
        for broker, life in list(self._full.items()):
            if patient.incarnation(broker) == life:
                event = patient.tell(self.name, f"broker {broker}", "heal")
                # room alone is not enough, as in Kafka: a replica that went offline comes back with its broker
                patient.order(broker, DiskTrouble(), stays=True)
                patient.strike(broker, signal.SIGTERM, event=event)
                patient.wait_for_next_life(broker, life)
            del self._full[broker]
