"""A wall clock that is wrong, and goes on wrong: brokers stamp records and judge timeouts by it."""

from __future__ import annotations

from chaos.faults.fault import Fault
from chaos.patient import Patient
from protocol.cluster_chaos import ClockSkew


class Clock(Fault):
    """`offset_ms` 0 is any up to a minute either way; `drift` in seconds per second; `broker` 0 is any."""

    name = "clock"

    def __init__(self, offset_ms: int = 0, drift: float = 0.0, broker: int = 0) -> None:
        self.offset_ms = int(offset_ms)
        self.drift = float(drift)
        self.broker = broker

    def inject(self, patient: Patient) -> str:
        broker = patient.chosen(self.broker)
        offset_ms = self.offset_ms or patient.random.randrange(-60_000, 60_000)
        event = patient.tell(self.name, f"broker {broker}", offset_ms=offset_ms, drift=self.drift)
        patient.order(broker, ClockSkew(offset_ms, self.drift), stays=True, event=event)
        return f"the clock of broker {broker} is off by {offset_ms} ms"

    def heal(self, patient: Patient) -> None:
        patient.order(0, ClockSkew(0), stays=True)
        patient.tell(self.name, "brokers", "heal")
