"""Every broker is restarted in order, one after the other, as for an upgrade."""

from __future__ import annotations

import signal

from chaos.faults.fault import Fault
from chaos.patient import Patient


class RollingRestart(Fault):
    name = "rolling-restart"
    lasts = False

    def inject(self, patient: Patient) -> str:
        event = patient.tell(self.name, "brokers")
        for broker in sorted(patient.rows()):
            before = patient.incarnation(broker)
            patient.strike(broker, signal.SIGTERM, event=event)
            patient.wait_for_next_life(broker, before)
            # the next one may only go when nobody depends on it
            patient.wait_until_healthy()
        return "restarted every broker in order"
