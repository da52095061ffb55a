"""A disk that takes its time: each write and each sync of a broker blocks."""

from __future__ import annotations

from chaos.faults.fault import Fault, at_least
from chaos.patient import Patient
from protocol.cluster_chaos import DiskTrouble


class SlowDisk(Fault):
    """`broker` 0 is any."""

    name = "slow-disk"

    def __init__(self, write_ms: float = 10.0, sync_ms: float = 300.0, broker: int = 0) -> None:
        at_least(0, write_ms=write_ms, sync_ms=sync_ms)
        self.write_ms = float(write_ms)
        self.sync_ms = float(sync_ms)
        self.broker = broker

    def inject(self, patient: Patient) -> str:
        broker = patient.chosen(self.broker)
        event = patient.tell(self.name, f"broker {broker}", write_ms=self.write_ms, sync_ms=self.sync_ms)
        trouble = DiskTrouble(write_delay_ms=self.write_ms, sync_delay_ms=self.sync_ms)
        patient.order(broker, trouble, stays=True, event=event)
        return f"the disk of broker {broker} takes {self.write_ms:g} ms to write, {self.sync_ms:g} ms to sync"

    def heal(self, patient: Patient) -> None:
        patient.order(0, DiskTrouble(), stays=True)
        patient.tell(self.name, "brokers", "heal")
